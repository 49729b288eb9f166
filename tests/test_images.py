"""The input contract: every form of one image gives one array, and what cannot be read correctly is refused."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medzoo.core.errors import DataError, InputError, RunError
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import SUFFIXES, as_array, decode, read_image
from medzoo.data.pixel_formats import from_array

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (60, 84, 3), dtype=np.uint8)
GREY = RGB[..., 0]
GEOMETRIES = [Geometry(32, 32), Geometry(32, 48, "center"), Geometry(32, 32, channels=1), Geometry(90, 70, "center", 1)]


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A picture with soft and sharp structures, as a photograph has them."""
    small = np.random.default_rng(1).integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("array", [RGB, GREY, GREY[..., None]], ids=["rgb", "grey", "grey1"])
def test_every_form_of_an_image_gives_the_same_array(
    array: NDArray[np.uint8], geometry: Geometry, tmp_path: Path
) -> None:
    image = Image.fromarray(array.squeeze())
    path = tmp_path / "Röntgen bild.png"
    image.save(path)
    want = read_image(path, geometry)
    assert want.shape == (geometry.height, geometry.width, geometry.channels)
    assert want.dtype == np.uint8
    first = np.moveaxis(array, 2, 0) if array.ndim == 3 else array
    wide = array.astype(np.uint16) * 257
    forms: dict[str, Any] = {
        "str": str(path),
        "pil": image,
        "array": array,
        "fortran": np.asfortranarray(array),
        "chw": first,
        "uint16": wide,
        "big-endian uint16": wide.astype(">u2"),
        "float32": (array / 255).astype(np.float32),
        "float64": array / 255,
        "tensor": torch.from_numpy(array),
        "tensor chw": torch.from_numpy(np.ascontiguousarray(first)),
        "float tensor": torch.from_numpy(np.ascontiguousarray(first)).float().div(255).requires_grad_(),
        "uint16 tensor": torch.from_numpy(wide),
    }
    for name, form in forms.items():
        np.testing.assert_array_equal(as_array(form, geometry), want, err_msg=name)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(as_array(opened, geometry), want)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("WEBP", {"lossless": True}), ("PPM", {})],
)
def test_lossless_formats_agree(kind: str, options: dict[str, Any]) -> None:
    geometry = Geometry(32, 32)
    data = encoded(Image.fromarray(RGB), kind, **options)
    np.testing.assert_array_equal(decode(data, geometry, "x"), as_array(RGB, geometry))


def test_modes_become_what_a_viewer_shows() -> None:
    geometry = Geometry(60, 84)  # the size it has: no resampling, so that values can be compared
    palette = Image.fromarray(RGB).quantize(16)
    cmyk = Image.fromarray(RGB).convert("CMYK")
    bits = Image.fromarray(GREY).convert("1")
    cases = [
        (palette, np.asarray(palette.convert("RGB"))),
        (cmyk, np.asarray(cmyk.convert("RGB"))),
        (bits, np.repeat(np.asarray(bits)[..., None] * np.uint8(255), 3, 2)),
        (Image.fromarray(GREY), np.repeat(GREY[..., None], 3, 2)),
        (Image.fromarray(GREY.astype(np.float32) / 255), np.repeat(GREY[..., None], 3, 2)),
        (Image.fromarray(GREY.astype(np.int32) * 257), np.repeat(GREY[..., None], 3, 2)),
    ]
    for image, want in cases:
        np.testing.assert_array_equal(as_array(image, geometry), want, err_msg=image.mode)


def test_bool_arrays_are_black_and_white() -> None:
    np.testing.assert_array_equal(as_array(GREY > 127, Geometry(60, 84, channels=1))[..., 0], (GREY > 127) * 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_alpha_is_dropped_whatever_it_says(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(8).convert("RGB")
    alpha = Image.fromarray(GREY)
    if mode == "P":
        image = image.quantize(8)
        image.save(tmp_path / "a.png", transparency=bytes(range(8)))
    else:
        image = image.convert("L").convert("LA") if mode == "LA" else image.convert(mode)
        image.putalpha(alpha)
        image.save(tmp_path / ("a.tif" if mode == "PA" else "a.png"))
    plain = image.convert("RGBA").convert("RGB")
    path = next(tmp_path.iterdir())
    np.testing.assert_array_equal(read_image(path, Geometry(32, 32)), as_array(plain, Geometry(32, 32)))


def test_rgba_array_equals_rgba_image() -> None:
    rgba = np.dstack([RGB, GREY])
    np.testing.assert_array_equal(as_array(rgba, Geometry(32, 32)), as_array(RGB, Geometry(32, 32)))


def test_sixteen_bit_files_use_the_whole_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    for name in ("a.png", "a.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        got = read_image(tmp_path / name, Geometry(64, 64, channels=1))[..., 0]
        np.testing.assert_array_equal(got, ramp >> 8)
        np.testing.assert_array_equal(as_array(ramp, Geometry(64, 64, channels=1))[..., 0], got)


def test_twelve_bit_data_in_sixteen_bits_is_refused_with_the_factor(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 4095, 4096).astype(np.uint16).reshape(64, 64)).save(tmp_path / "ct.png")
    with pytest.raises(InputError, match=r"ct\.png: 16-bit image with values only up to 4095: 12-bit .* by 16"):
        read_image(tmp_path / "ct.png", Geometry(32, 32))
    assert not as_array(np.zeros((9, 9), np.uint16), Geometry(8, 8)).any()  # black is black in any depth


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fast", [False, True])
def test_exif_orientation_is_applied(orientation: int, fast: bool) -> None:
    image = Image.fromarray(smooth(640, 960))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "JPEG", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert upright is not None
    for geometry in (Geometry(64, 96, "center"), Geometry(96, 64), Geometry(48, 48, channels=1)):
        got = decode(data, geometry, "x", fast=fast).astype(int)
        want = as_array(np.asarray(upright), geometry).astype(int)
        assert abs(got - want).max() <= (4 if fast else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_of_other_formats(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(RGB), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    want = as_array(np.rot90(RGB, -1), Geometry(84, 60))
    np.testing.assert_array_equal(decode(data, Geometry(84, 60), "x"), want)


def test_a_broken_exif_block_does_not_spoil_a_good_image() -> None:
    data = encoded(Image.fromarray(RGB), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f\x01\x00")
    assert decode(data, Geometry(32, 32), "x").shape == (32, 32, 3)


def test_centre_keeps_proportions_and_cuts_both_sides_alike() -> None:
    wide = np.zeros((100, 300), np.uint8)
    wide[:, 100:200] = 255  # exactly the central square
    assert as_array(wide, Geometry(50, 50, "center", 1)).min() > 250 * (50 - 2) / 50 - 130  # edges blend
    assert (as_array(wide, Geometry(50, 50, "center", 1))[:, 1:-1] == 255).all()
    squashed = as_array(wide, Geometry(50, 50, channels=1))
    assert squashed[25, 5] == 0
    assert squashed[25, 25] == 255


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 2)])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_odd_sizes(size: tuple[int, int], geometry: Geometry) -> None:
    assert as_array(np.full(size, 9, np.uint8), geometry).min() == 9


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([None, 1, 3, 4]),
    dtype=st.sampled_from(["uint8", "uint16", "float32", "bool"]),
    geometry=st.builds(
        Geometry, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["squash", "center"]), st.sampled_from([1, 3])
    ),
)
def test_any_allowed_tensor_has_the_geometry(
    shape: tuple[int, int], channels: int | None, dtype: str, geometry: Geometry
) -> None:
    top = {"uint8": 255, "uint16": 65535, "float32": 1, "bool": 1}[dtype]
    values = np.full(shape if channels is None else (channels, *shape), top, dtype)
    got = as_array(torch.from_numpy(values), geometry)
    assert got.shape == (geometry.height, geometry.width, geometry.channels)
    assert (got == 255).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full((9, 9), 255.0), r"from 255 to 255; allowed: \[0, 1\] \(divide by"),
        (np.linspace(-2, 2, 81).reshape(9, 9), r"from -2 to 2; .*before normalisation"),
        (np.full((9, 9), np.nan), "NaN"),
        (np.full((9, 9), np.inf), "infinity"),
        (np.zeros((0, 9)), "not one image"),
        (np.zeros((9, 9, 0)), "not one image"),
        (np.zeros((2, 9, 9, 3)), "not one image"),
        (np.zeros(9), "not one image"),
        (np.zeros((9, 9, 5)), "no axis of 1, 3 or 4"),
        (np.zeros((3, 9, 3)), "could be HWC or CHW"),
        (np.zeros((9, 9), np.int64), "int64; allowed: uint8"),
        (np.zeros((9, 9), complex), "complex128; allowed: uint8"),
        (torch.zeros(9, 9, dtype=torch.int32), "int32; allowed: uint8"),
        (torch.full((3, 9, 9), 2.0), "float values from 2 to 2"),
        ([[1, 2], [3, 4]], "cannot read a list"),
        (None, "cannot read a NoneType"),
        (Image.new("I", (9, 9), 70000), "integers from 70000 to 70000; allowed: 0 to 65535"),
        (Image.new("LAB", (9, 9)), "mode LAB is not supported"),
        (Image.new("RGB", (0, 9)), "no pixels"),
    ],
)
def test_what_cannot_be_read_correctly_is_refused(values: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_array(values, Geometry(8, 8))


def test_rounding_beside_the_range_is_no_mistake() -> None:
    assert as_array(np.array([[-1e-6, 1 + 1e-6]]), Geometry(1, 2, channels=1)).ravel().tolist() == [0, 255]
    assert (from_array(torch.ones(2, 2, dtype=torch.bfloat16)).getpixel((0, 0))) == 255


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("BMP", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("PPM", {}),
    ("JPEG2000", {}),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda x: str(x))
def test_truncated_files_of_every_format(kind: str, options: dict[str, Any], fast: bool) -> None:
    data = encoded(Image.fromarray(smooth(128, 160)), kind, **options)
    whole = decode(data, Geometry(32, 32), "x", fast=fast)
    for share in (0.001, 0.01, 0.1, 0.5, 0.9):
        with pytest.raises(DataError, match=r"^cut\.img: "):
            cut = data[: max(1, int(len(data) * share))]
            got = decode(cut, Geometry(32, 32), "cut.img", fast=fast)
            # A codec made to be cut (JPEG 2000 keeps its coarse layers first) may still give the whole picture.
            if abs(got.astype(int) - whole).mean() < 4:
                raise DataError("cut.img: whole enough")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda x: str(x))
def test_damaged_bytes_give_an_image_or_a_clear_error(kind: str, options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(smooth(64, 64)), kind, **options)
    rng = np.random.default_rng(5)
    for _ in range(60):
        bad = bytearray(data)
        for place in rng.integers(0, min(len(bad), 400), 4):
            bad[place] = rng.integers(256)
        try:
            assert decode(bytes(bad), Geometry(16, 16), "bad.img").shape == (16, 16, 3)
        except (DataError, InputError) as error:
            assert str(error).startswith("bad.img: ")


@pytest.mark.filterwarnings("error")
def test_files_that_are_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(content: bytes, says: str) -> None:
        path = tmp_path / "scan.png"
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"scan\.png: .*{says}"):
            read_image(path, Geometry(8, 8))

    refused(b"", "empty")
    refused(b"<html>Sign in</html>", "not an image of a known format")
    refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image")  # would run Ghostscript
    with pytest.raises(DataError, match=r"none\.png: cannot be read"):
        read_image(tmp_path / "none.png", Geometry(8, 8))
    with pytest.raises(DataError, match="cannot be read"):
        read_image(tmp_path, Geometry(8, 8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for side in (40, 60):  # Pillow warns above the limit and raises above twice the limit
        refused(encoded(Image.new("L", (side, side)), "PNG"), "more than 1,000 pixels")


def test_warnings_of_others_are_handed_on() -> None:
    from medzoo.data.library_warnings import logged_warnings

    with pytest.warns(UserWarning, match="mine"), logged_warnings():
        warnings.warn("mine", UserWarning, stacklevel=1)


def test_a_truncated_image_that_the_user_opened(tmp_path: Path) -> None:
    (tmp_path / "half.png").write_bytes(encoded(Image.fromarray(RGB), "PNG")[:5000])
    with pytest.raises(DataError, match=r"half\.png: broken or truncated"):  # noqa: SIM117
        with Image.open(tmp_path / "half.png") as image:
            as_array(image, Geometry(8, 8))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_fast_decoding_stays_within_a_few_grey_levels(mode: str, geometry: Geometry) -> None:
    data = encoded(Image.fromarray(smooth(960, 1280)).convert(mode), "JPEG", quality=90)
    exact = decode(data, geometry, "x").astype(int)
    difference = abs(decode(data, geometry, "x", fast=True) - exact)
    assert difference.max() <= 8
    assert difference.mean() < 1


def test_fast_decoding_is_exact_where_nothing_is_gained() -> None:
    for data in (encoded(Image.fromarray(smooth(96, 96)), "JPEG"), encoded(Image.fromarray(smooth(960, 960)), "PNG")):
        np.testing.assert_array_equal(
            decode(data, Geometry(64, 64), "x", fast=True), decode(data, Geometry(64, 64), "x", fast=False)
        )


# DICOM -------------------------------------------------------------------------------------------------------------


def dicom_file(values: NDArray[Any], **elements: Any) -> bytes:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.Rows, file.Columns = values.shape[:2]
    file.SamplesPerPixel = 1 if values.ndim == 2 else 3
    file.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        file.PlanarConfiguration = 0
    file.BitsAllocated = 8 * values.dtype.itemsize
    file.BitsStored = elements.pop("BitsStored", file.BitsAllocated)
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(values.dtype.kind == "i")
    file.PixelData = values.tobytes()
    for name, value in elements.items():
        setattr(file, name, value)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=False)
    return b"\0" * 128 + b"DICM" + buffer.getvalue().removeprefix(b"\0" * 128 + b"DICM")


SIZE = Geometry(16, 16, channels=1)
RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16  # 12 bits


def test_dicom_without_a_window_shows_its_own_range() -> None:
    got = decode(dicom_file(RAMP, BitsStored=12), SIZE, "x.dcm")[..., 0]
    np.testing.assert_allclose(got, RAMP / 16, atol=1)


def test_monochrome1_is_inverted() -> None:
    plain = decode(dicom_file(RAMP), SIZE, "x.dcm")
    inverted = decode(dicom_file(RAMP, PhotometricInterpretation="MONOCHROME1"), SIZE, "x.dcm")
    np.testing.assert_array_equal(inverted, 255 - plain)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
def test_rescale_and_window(function: str) -> None:
    # Stored 0 to 4080, rescaled to -1024 to 3056 (CT), shown from -160 to 240 (soft tissue).
    data = dicom_file(
        RAMP, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400, VOILUTFunction=function
    )
    want = np.clip((RAMP.astype(float) - 1024 + 160) / 400, 0, 1) * 255
    np.testing.assert_allclose(decode(data, SIZE, "x.dcm")[..., 0], want, atol=1)


def test_first_of_several_windows() -> None:
    many = dicom_file(RAMP, WindowCenter=[2000, 100], WindowWidth=[4000, 50])
    one = dicom_file(RAMP, WindowCenter=2000, WindowWidth=4000)
    np.testing.assert_array_equal(decode(many, SIZE, "x.dcm"), decode(one, SIZE, "x.dcm"))


def test_signed_pixels_and_sigmoid_window() -> None:
    data = dicom_file((RAMP - 2000.0).astype(np.int16), WindowCenter=0, WindowWidth=500, VOILUTFunction="SIGMOID")
    want = 255 / (1 + np.exp(-4 * (RAMP - 2000.0) / 500))
    np.testing.assert_allclose(decode(data, SIZE, "x.dcm")[..., 0], want, atol=2)


def test_voi_lut_sequence() -> None:
    from pydicom.dataset import Dataset

    lut = Dataset()
    lut.LUTDescriptor = [256, 0, 8]
    lut.LUTData = list(range(255, -1, -1))
    lut["LUTData"].VR = "US"
    data = dicom_file((RAMP // 16).astype(np.uint8), VOILUTSequence=[lut])
    np.testing.assert_array_equal(decode(data, SIZE, "x.dcm")[..., 0], 255 - RAMP // 16)


def test_colour_dicom_and_uniform_dicom() -> None:
    np.testing.assert_array_equal(decode(dicom_file(RGB), Geometry(60, 84), "x.dcm"), as_array(RGB, Geometry(60, 84)))
    assert not decode(dicom_file(np.full((9, 9), 7, np.uint16)), SIZE, "x.dcm").any()


def test_dicom_errors_name_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    good = dicom_file(RAMP)
    with pytest.raises(InputError, match=r"vol\.dcm: .*5 frames"):
        decode(dicom_file(RAMP, NumberOfFrames=5), SIZE, "vol.dcm")
    with pytest.raises(DataError, match=r"cut\.dcm: "):
        decode(good[:-100], SIZE, "cut.dcm")
    with pytest.raises(InputError, match=r"cut\.dcm: .*no image"):
        decode(good[:140], SIZE, "cut.dcm")
    with pytest.raises(DataError, match=r"fake\.dcm: not a DICOM file"):
        decode(encoded(Image.fromarray(RGB), "PNG"), SIZE, "fake.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(RunError, match=r"pip install 'medzoo\[dicom\]'"):
        decode(good, SIZE, "x.dcm")


@pytest.mark.real
def test_every_real_image_can_be_read(real: Path) -> None:
    paths = [path for path in real.rglob("*") if path.suffix.lower() in SUFFIXES][::25]
    assert len(paths) > 100
    for path in paths:
        assert read_image(path, Geometry(64, 64)).std() > 1
