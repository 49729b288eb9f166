"""What a DICOM header says, and what it says wrongly: right as pydicom's own pipeline, or refused by name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_makers import dicom_file, lut_item
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import medzoo
from medzoo.core.errors import DataError, InputError, MedzooError
from medzoo.data.decoding import decode_many
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import decode
from medzoo.data.pixel_formats import robust_range, stretch
from medzoo.data.read_options import ReadOptions

pydicom = pytest.importorskip("pydicom")

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16  # 12 bits
EMPTY = ("DS", "")


def read(values: NDArray[Any] = RAMP, **elements: Any) -> NDArray[np.uint8]:
    elements.setdefault("BitsStored", 12) if values is RAMP else None
    return decode(dicom_file(values, **elements), None, "scan.dcm")[..., 0]


def stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    return stretch(values, *robust_range(values, np.ones(values.shape, bool)))


@pytest.mark.parametrize(
    "elements",
    [
        {"RescaleSlope": EMPTY, "RescaleIntercept": 0},
        {"RescaleSlope": EMPTY, "RescaleIntercept": EMPTY},
        {"VOILUTSequence": []},
        {"VOILUTSequence": [pydicom.Dataset()]},
        {"ModalityLUTSequence": []},
        {"ModalityLUTSequence": [pydicom.Dataset()]},
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 0, "WindowWidth": 0},
        {"WindowCenter": 100, "WindowWidth": -5},
        {"WindowCenter": EMPTY, "WindowWidth": EMPTY},
        {"WindowCenter": 100, "WindowWidth": EMPTY},
        {"WindowCenter": 100},
        {"WindowWidth": 100},
        {"VOILUTFunction": ("CS", "")},
        {"NumberOfFrames": ("IS", "")},
        {"PixelPaddingValue": ("US", None)},
    ],
    ids=str,
)
def test_what_is_present_but_empty_is_absent(elements: dict[str, Any]) -> None:
    np.testing.assert_array_equal(read(**elements), read())


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, "RescaleSlope is 0"),
        ({"RescaleSlope": EMPTY, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}, "needs the other"),
        ({"RescaleSlope": [1, 2], "RescaleIntercept": 0}, "broken DICOM|RescaleSlope"),
        ({"WindowCenter": ("LO", "wide"), "WindowWidth": 10}, "could not convert"),
        ({"WindowCenter": 100, "WindowWidth": 50, "VOILUTFunction": "ROUND"}, "ROUND"),
        ({"NumberOfFrames": ("LO", "1A")}, "1A"),
        ({"NumberOfFrames": 3}, "3 frames; choose one"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "Palette"),
        ({"PhotometricInterpretation": ("CS", "")}, "states no PhotometricInterpretation"),
        ({"drop": ("Rows",)}, "states no Rows"),
        ({"drop": ("BitsStored",)}, "Bits ?Stored"),
        ({"drop": ("PixelData",)}, "holds no image"),
        ({"BitsStored": 99}, "broken DICOM"),
        ({"VOILUTSequence": [lut_item([0, 1, 2], 8, count=300)]}, "LUT in VOILUTSequence has 3 entries"),
        ({"Rows": 60000, "Columns": 60000}, "more than 89,478,485"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_what_would_be_wrong_is_refused_by_name(elements: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.dcm").write_bytes(dicom_file(RAMP, **elements))
    with pytest.raises((DataError, InputError), match=rf"bad\.dcm: .*({says})"):
        medzoo.read_image(tmp_path / "bad.dcm")
    rejected = decode_many([tmp_path / "bad.dcm"], Geometry(8, 8), np.zeros((1, 8, 8, 3), np.uint8))
    assert [index for index, _ in rejected] == [0]


def test_negative_slope_keeps_its_window() -> None:
    """Stored 0 is the brightest: 4095 - stored, shown from 0 to 4000."""
    got = read(
        RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2000, WindowWidth=4000, VOILUTFunction="LINEAR_EXACT"
    )
    np.testing.assert_array_equal(got, stretch(4095 - RAMP.astype(float), 0, 4000))
    without = read(RescaleSlope=-1, RescaleIntercept=4095)
    np.testing.assert_array_equal(without, stretched(4095 - RAMP.astype(float)))


@pytest.mark.parametrize(("claimed", "held"), [(16, 12), (16, 8), (12, 12), (8, 8), (16, 16)])
def test_a_voi_lut_is_scaled_by_the_bits_it_holds(claimed: int, held: int) -> None:
    table = np.linspace(0, 2**held - 1, 4096).astype(int)
    got = read(VOILUTSequence=[lut_item(table.tolist(), claimed)])
    np.testing.assert_array_equal(got, stretch(table[RAMP], 0, 2**held - 1))


def test_a_voi_lut_after_a_signed_rescale() -> None:
    """Its first entry, -1024, is written as an unsigned number."""
    table = list(range(4096))
    got = read(VOILUTSequence=[lut_item(table, 12, first=2**16 - 1024)], RescaleSlope=1, RescaleIntercept=-1024)
    np.testing.assert_array_equal(got, stretch(RAMP, 0, 4095))


def test_padding_does_not_move_the_range() -> None:
    signed = RAMP.astype(np.int16) // 4
    padded = signed.copy()
    padded[:4] = -2000
    got = read(padded, PixelPaddingValue=("SS", -2000))
    np.testing.assert_array_equal(got[4:], stretched(signed[4:])[:])
    assert not got[:4].any()
    ranged = padded.copy()
    ranged[2] = -1500
    np.testing.assert_array_equal(
        read(ranged, PixelPaddingValue=("SS", -2000), PixelPaddingRangeLimit=("SS", -1500))[4:], got[4:]
    )


def test_a_few_extreme_pixels_do_not_move_the_range() -> None:
    values = np.tile(RAMP, (4, 4))
    marked = values.copy()
    marked[0, :5] = 65535
    np.testing.assert_allclose(read(marked).astype(int)[1:], read(values)[1:], atol=2)


def test_an_overlay_in_the_high_bits_is_cleared() -> None:
    old = RAMP | (np.indices(RAMP.shape).sum(0) % 2 << 15).astype(np.uint16)
    data = dicom_file(old, BitsStored=12)
    file = pydicom.dcmread(io.BytesIO(data))
    file.add_new(0x60000102, "US", 15)
    buffer = io.BytesIO()
    file.save_as(buffer)
    np.testing.assert_array_equal(decode(buffer.getvalue(), None, "x")[..., 0], read())


def test_files_without_preamble_or_meta_are_read(tmp_path: Path) -> None:
    bare = dicom_file(RAMP, BitsStored=12, preamble=False)
    assert bare[128:132] != b"DICM"
    for name in ("a.dcm", "IM0001"):  # old archives give no suffix either
        (tmp_path / name).write_bytes(bare)
        np.testing.assert_array_equal(medzoo.read_image(tmp_path / name)[..., 0], read())
    with pytest.raises(DataError, match=r"cut\.dcm: "):
        decode(bare[:200], None, "cut.dcm")


def test_tiny_colour_files_and_deep_colour() -> None:
    tiny = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(decode(dicom_file(tiny), None, "x.dcm"), tiny)
    deep = np.random.default_rng(0).integers(0, 65536, (9, 9, 3), dtype=np.uint16)
    np.testing.assert_array_equal(decode(dicom_file(deep), None, "x.dcm"), stretch(deep, 0, 65535))
    with pytest.raises(InputError, match=r"x\.dcm: 16-bit image with values only up to 4095: 12-bit"):
        decode(dicom_file(deep >> 4), None, "x.dcm")
    np.testing.assert_array_equal(decode(dicom_file(deep >> 4, BitsStored=12), None, "x"), stretch(deep >> 4, 0, 4095))


def test_a_frame_can_be_chosen_with_its_own_window() -> None:
    from pydicom.dataset import Dataset

    def group(center: int) -> Dataset:
        window, item = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = center, 400
        item.FrameVOILUTSequence = [window]
        return item

    frames = np.stack([RAMP, RAMP.T])
    data = dicom_file(
        RAMP,
        BitsStored=12,
        NumberOfFrames=2,
        PixelData=frames.tobytes(),
        PerFrameFunctionalGroupsSequence=[group(500), group(2000)],
    )
    for page, center in ((1, 500), (2, 2000)):
        got = decode(data, None, "x.dcm", options=ReadOptions(page=page))[..., 0]
        np.testing.assert_array_equal(
            got, read(np.ascontiguousarray(frames[page - 1]), WindowCenter=center, WindowWidth=400)
        )
    with pytest.raises(InputError, match=r"x\.dcm: page 3 is asked for, and the file holds 2"):
        decode(data, None, "x.dcm", options=ReadOptions(page=3))


# Headers at random ---------------------------------------------------------------------------------------------------

NUMBER = st.sampled_from([-2, -1, 0, 0.5, 1, 2, 40, 400, 2000])
WRONG = st.sampled_from([("LO", "x"), ("LO", ""), ("US", 7), ("LO", "nan")])


def maybe(value: Any) -> Any:
    return st.one_of(st.just("absent"), st.just(("DS", "")), value, WRONG)


HEADERS = st.fixed_dictionaries(
    {
        "RescaleSlope": maybe(NUMBER),
        "RescaleIntercept": maybe(NUMBER),
        "WindowCenter": maybe(st.one_of(NUMBER, st.lists(NUMBER, min_size=2, max_size=2))),
        "WindowWidth": maybe(st.one_of(NUMBER, st.lists(NUMBER, min_size=2, max_size=2))),
        "VOILUTFunction": st.sampled_from(["absent", ("CS", ""), "LINEAR", "LINEAR_EXACT", "SIGMOID", "CUBE"]),
        "PhotometricInterpretation": st.sampled_from(["MONOCHROME1", "MONOCHROME2"] * 4 + [("CS", ""), "RGB", "X"]),
        "VOILUTSequence": st.sampled_from(["absent"] * 4 + ["empty", "item", "lut", "short"]),
        "ModalityLUTSequence": st.sampled_from(["absent"] * 4 + ["empty", "item", "lut", "short"]),
        "PixelPaddingValue": st.sampled_from(["absent", ("US", 0), ("US", None), ("LO", "x")]),
        "NumberOfFrames": st.sampled_from(["absent"] * 4 + [("IS", ""), 1, 2, ("LO", "1A")]),
        "BitsStored": st.sampled_from([12] * 6 + [16, 8, 0, 99]),
    }
)


def elements_of(drawn: dict[str, Any]) -> dict[str, Any]:
    kinds = {
        "empty": list,
        "item": lambda: [pydicom.Dataset()],
        "lut": lambda: [lut_item(list(range(4096)), 12)],
        "short": lambda: [lut_item([0, 4000], 12)],
    }
    kept = {name: value for name, value in drawn.items() if not (isinstance(value, str) and value == "absent")}
    return {name: kinds[value]() if name.endswith("Sequence") else value for name, value in kept.items()}


EMPTIES = [("DS", ""), ("LO", ""), ("CS", ""), ("IS", ""), ("US", None), [], [pydicom.Dataset()]]


def reference(elements: dict[str, Any]) -> NDArray[np.uint8] | None:
    """pydicom's own pipeline, on a header without what is empty; ``None`` where it is not defined."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    kept = {name: value for name, value in elements.items() if value not in EMPTIES}
    if isinstance(kept.get("WindowWidth"), (int, float)) and kept["WindowWidth"] <= 0:
        del kept["WindowWidth"]
    try:
        file = pydicom.dcmread(io.BytesIO(dicom_file(RAMP, **kept)))
        stored = apply_modality_lut(file.pixel_array, file)
        shown = apply_voi_lut(stored, file).astype(float)
        rescaled = "RescaleSlope" in file and "RescaleIntercept" in file and "ModalityLUTSequence" not in file
        slope, intercept = (float(file.RescaleSlope), float(file.RescaleIntercept)) if rescaled else (1.0, 0.0)
        if slope < 0 or not np.isfinite(shown).all():  # pydicom's window is then upside down
            return None
        if "VOILUTSequence" in file:
            low, high = 0.0, 2.0 ** int(max(file.VOILUTSequence[0].LUTData)).bit_length() - 1
        elif "WindowCenter" in file and "WindowWidth" in file:
            top = 4095 if "ModalityLUTSequence" in file else 2**file.BitsStored - 1
            low, high = intercept, top * slope + intercept
        else:
            low, high = robust_range(shown, RAMP != 0 if file.get("PixelPaddingValue") == 0 else RAMP >= 0)
    except Exception:  # noqa: BLE001  # whatever a wrong header raises
        return None
    grey = stretch(shown, low, high)
    return 255 - grey if file.PhotometricInterpretation == "MONOCHROME1" else grey


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=HEADERS)
def test_any_header_is_read_right_or_refused_by_name(drawn: dict[str, Any]) -> None:
    elements = elements_of(drawn)
    want = reference(elements)
    try:
        got = decode(dicom_file(RAMP, **elements), None, "drawn.dcm")[..., 0]
    except MedzooError as error:
        assert str(error).startswith("drawn.dcm: ")
        return
    if want is not None:
        np.testing.assert_allclose(got.astype(int), want, atol=1)


# pydicom's own files -------------------------------------------------------------------------------------------------

FILES = sorted(Path(pydicom.__file__).parent.joinpath("data").rglob("*.dcm"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pydicoms_own_files_are_read_right_or_refused_by_name(tmp_path: Path) -> None:
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

    read = 0
    for path in FILES:
        try:
            got = medzoo.read_image(path)
        except (DataError, InputError) as error:
            assert str(error).startswith(f"{path}: ")
            continue
        read += 1
        file = pydicom.dcmread(path)
        values = pixel_array(file)
        if file.PhotometricInterpretation == "PALETTE COLOR":
            colours = apply_color_lut(values, file)[..., :3]
            np.testing.assert_allclose(got, colours / np.iinfo(colours.dtype).max * 255, atol=0.51)
        elif values.ndim == 3:
            np.testing.assert_allclose(got, values / (2.0**file.BitsStored - 1) * 255, atol=0.51)
        else:
            shown = apply_voi_lut(apply_modality_lut(values, file), file).astype(float)
            inside = (got[..., 0] > 0) & (got[..., 0] < 255)  # not clipped
            if inside.any() and shown[inside].std():
                assert np.corrcoef(shown[inside], got[..., 0][inside])[0, 1] > 0.999, path.name
    assert read >= 55
    geometry = Geometry(8, 8)
    rejected = decode_many(FILES, geometry, np.zeros((len(FILES), 8, 8, 3), np.uint8))
    assert len(rejected) == len(FILES) - read


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name",
    ["SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm", "GDCMJ2K_TextGBR.dcm", "JPEGLSNearLossless_16.dcm"],
)
def test_what_hospitals_compress_with_is_decoded(name: str) -> None:
    pytest.importorskip("gdcm", reason="needs python-gdcm, of the extra dicom")
    path = next(file for file in FILES if file.name == name)
    assert medzoo.read_image(path).std() > 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_missing_decoder_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGLosslessSV1

    monkeypatch.setattr(get_decoder(JPEGLosslessSV1), "_available", {})
    path = next(file for file in FILES if file.name == "SC_rgb_jpeg_gdcm.dcm")
    with pytest.raises(DataError, match=r"gdcm\.dcm: cannot decode JPEG Lossless.*pip install 'medzoo\[dicom\]'"):
        medzoo.read_image(path)
