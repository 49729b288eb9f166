"""One image, whatever holds it, gives the same numbers to the last bit, through everything that takes images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medzoo import create_model, evaluate, explain, predict
from medzoo.core.errors import MedzooError
from medzoo.data.image_io import as_array
from medzoo.data.opening import open_dataset

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (75, 90, 3), dtype=np.uint8)
GREY = RGB[..., 0]
OTHER = RGB[::-1].copy()  # a second class, for data sets

Save = Callable[[Path], tuple[Path, NDArray[Any]]]


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    return create_model(tiny)


def _png(array: NDArray[Any], image: Image.Image | None = None) -> Save:
    def save(folder: Path) -> tuple[Path, NDArray[Any]]:
        (image or Image.fromarray(array)).save(folder / "image.png")
        return folder / "image.png", array

    return save


def _palette(folder: Path) -> tuple[Path, NDArray[Any]]:
    image = Image.fromarray(RGB).quantize(32)
    image.save(folder / "palette.png")
    return folder / "palette.png", np.asarray(image.convert("RGB"))


def _cmyk(folder: Path) -> tuple[Path, NDArray[Any]]:
    image = Image.fromarray(RGB).convert("CMYK")
    image.save(folder / "cmyk.tif")
    return folder / "cmyk.tif", np.asarray(image.convert("RGB"))


def _rotated(folder: Path) -> tuple[Path, NDArray[Any]]:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.fromarray(RGB).save(folder / "turned.jpg", exif=exif, quality=95)
    with Image.open(folder / "turned.jpg") as image:
        return folder / "turned.jpg", np.asarray(ImageOps.exif_transpose(image))


def _large_jpeg(folder: Path) -> tuple[Path, NDArray[Any]]:
    Image.fromarray(RGB).resize((360, 300), Image.Resampling.BICUBIC).save(folder / "large.jpg", quality=95)
    with Image.open(folder / "large.jpg") as image:
        return folder / "large.jpg", np.asarray(image)


FILES: dict[str, Save] = {
    "grey": _png(GREY),
    "rgb": _png(RGB),
    "rgba": _png(np.dstack([RGB, GREY])),
    "16-bit grey": _png((GREY.astype(np.uint16) << 8) + 7),
    "1-bit": _png(GREY > 127),
    "palette": _palette,
    "cmyk": _cmyk,
    "turned by exif": _rotated,
    "large jpeg": _large_jpeg,
}


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(array))
    return tensor if tensor.ndim == 2 else tensor.permute(2, 0, 1)


def forms(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """The same image in every form."""
    opened = Image.open(path)
    opened.load()
    found = {"path": path, "text": str(path), "pil": opened, "array": array, "tensor": _tensor(array)}
    if array.dtype == np.uint8:
        found |= {"float array": array / 255, "float tensor": _tensor(array).float() / 255}
    return found


@pytest.mark.parametrize("kind", list(FILES))
def test_every_form_of_an_image_gives_the_same_probabilities(kind: str, model: Any, tmp_path: Path) -> None:
    path, array = FILES[kind](tmp_path)
    want = predict(model, path).probabilities
    for form, image in forms(path, array).items():
        np.testing.assert_array_equal(predict(model, image).probabilities, want, err_msg=form)
    with Image.open(path) as opened:  # not read yet
        np.testing.assert_array_equal(predict(model, opened).probabilities, want)
    np.testing.assert_array_equal(predict(model, tmp_path).probabilities, want)


@pytest.mark.parametrize("kind", list(FILES))
def test_evaluate_measures_what_predict_predicts(kind: str, model: Any, tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    (tmp_path / "mid").mkdir()
    path, array = FILES[kind](tmp_path / "low")
    Image.fromarray(OTHER).save(tmp_path / "mid" / "other.png")
    want = predict(model, [path, OTHER]).probabilities
    for form, image in forms(path, array).items():
        pair = evaluate(model, ([image, OTHER], ["low", "mid"]), bootstrap=0)
        np.testing.assert_array_equal(pair.predictions.probabilities, want, err_msg=form)
    folder = evaluate(model, tmp_path, bootstrap=0)
    np.testing.assert_array_equal(folder.predictions.probabilities, want)


@pytest.mark.parametrize("kind", list(FILES))
def test_fine_tuning_reads_what_predict_reads(kind: str, model: Any, tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    (tmp_path / "mid").mkdir()
    path, array = FILES[kind](tmp_path / "low")
    Image.fromarray(OTHER).save(tmp_path / "mid" / "other.png")
    geometry = model.medzoo.input.geometry
    want = as_array(path, geometry)
    for form, image in forms(path, array).items():
        np.testing.assert_array_equal(
            open_dataset(([image, OTHER], [0, 1])).decode(geometry).images[0], want, err_msg=form
        )
    of_folder = open_dataset(tmp_path).decode(geometry).images[0]
    if kind == "large jpeg":  # the one exception: a large JPEG file is decoded at less than its size, for speed
        assert 0 < np.abs(of_folder.astype(int) - want).mean() < 2
    else:
        np.testing.assert_array_equal(of_folder, want)


def test_the_logits_are_those_of_the_model_called_by_hand(model: Any, tmp_path: Path) -> None:
    path, _ = FILES["rgb"](tmp_path)
    contract = model.medzoo.input
    pixels = torch.from_numpy(as_array(path, contract.geometry)).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (contract.mean, contract.std))
    with torch.inference_mode():
        want = model((pixels - mean) / std).softmax(1)
    np.testing.assert_array_equal(predict(model, path).probabilities, want)


def test_grad_cam_sees_the_same(model: Any, tmp_path: Path) -> None:
    path, array = FILES["turned by exif"](tmp_path)
    want = next(explain(model, path))
    for form, image in forms(path, array).items():
        found = next(explain(model, image))
        np.testing.assert_array_equal(found.image, want.image, err_msg=form)
        np.testing.assert_array_equal(found.heat, want.heat, err_msg=form)


def _dicom(path: Path, **more: Any) -> Path:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["1"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    values = GREY.astype(np.uint16) * 16  # 12 bits
    fields = {
        **{"Rows": values.shape[0], "Columns": values.shape[1], "SamplesPerPixel": 1, "PixelRepresentation": 0},
        **{"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PhotometricInterpretation": "MONOCHROME2", **more},
    }
    for name, value in fields.items():
        setattr(file, name, value)
    file.PixelData = values.tobytes()
    pydicom.dcmwrite(path, file, enforce_file_format=True)
    return path


def test_dicom_is_what_a_viewer_shows(model: Any, tmp_path: Path) -> None:
    values = GREY.astype(float) * 16
    low, high = np.percentile(values, (0.5, 99.5))
    shown = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    plain = predict(model, _dicom(tmp_path / "a.dcm")).probabilities
    np.testing.assert_array_equal(plain, predict(model, shown).probabilities)
    inverted = predict(model, _dicom(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1")).probabilities
    np.testing.assert_array_equal(inverted, predict(model, 255 - shown).probabilities)
    windowed = predict(model, _dicom(tmp_path / "c.dcm", WindowCenter=1000, WindowWidth=500)).probabilities
    # PS3.3 C.11.2.1.2: linear between center - 0.5 -/+ (width - 1) / 2.
    window = np.rint(np.clip((values - (1000 - 0.5 - 249.5)) / 499, 0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(windowed, predict(model, window).probabilities)
    # A DICOM file among others, in a folder and in a data set.
    folder = predict(model, tmp_path, batch_size=1)  # sums in batches of another size differ in the last bit
    np.testing.assert_array_equal(folder.probabilities, np.concatenate([plain, inverted, windowed]))
    dicoms = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    pair = evaluate(model, (dicoms, ["low", "mid"]), bootstrap=0, batch_size=1)
    np.testing.assert_array_equal(pair.predictions.probabilities, np.concatenate([plain, inverted]))


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (RGB.astype(np.float32), r"float values from 0 to 255; allowed: \[0, 1\]"),
        (torch.randn(3, 40, 40), "give it before normalisation"),
        (np.full((40, 40), np.nan), "not finite"),
        ((GREY.astype(np.uint16) << 4), "16-bit image with values only up to"),
        (np.zeros((0, 40), np.uint8), "is not one image"),
        (np.zeros((40, 40), np.int64), "values of type int64"),
        (None, "cannot read a NoneType"),
    ],
)
def test_what_cannot_be_read_correctly_is_refused_everywhere(image: Any, says: str, model: Any) -> None:
    uses: list[Callable[[], Any]] = [
        lambda: predict(model, [OTHER, image]),
        lambda: list(explain(model, [OTHER, image])),
        lambda: evaluate(model, ([OTHER, image], ["low", "mid"])),
        lambda: open_dataset(([OTHER, image], [0, 1])).decode(model.medzoo.input.geometry),
    ]
    for use in uses:
        with pytest.raises(MedzooError, match=f"image 1: .*{says}"):
            use()
