"""What the headers of PNG, TIFF, GIF and others say of depth, polarity, pages and size."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import medzoo
from medzoo.core.errors import DataError, InputError, RunError
from medzoo.data.decoding import decode_many
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import as_array, decode
from medzoo.data.read_options import ReadOptions

RAMP = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
COLOUR = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)


def png16(values: NDArray[np.uint16]) -> bytes:
    """A 16-bit PNG of grey (2-D), RGB or RGBA values, which Pillow cannot write."""
    kind = {1: 0, 3: 2, 4: 6}[1 if values.ndim == 2 else values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(data: bytes, size: tuple[int, int], **tags: tuple[int, ...]) -> bytes:
    """An uncompressed TIFF of one strip; ``tags`` are ``t258=(16,)`` and so on."""
    numbers = {"t256": (size[0],), "t257": (size[1],), "t258": (16,), "t259": (1,), "t262": (1,), "t277": (1,)} | tags
    fields = {int(name[1:]): value for name, value in numbers.items()}
    fields |= {273: (0,), 278: (size[1],), 279: (len(data),)}
    start = 8 + 2 + 12 * len(fields) + 4
    extra, entries = b"", b""
    place = start + sum(2 * len(value) for value in fields.values() if len(value) > 2)
    for tag, value in sorted(fields.items()):
        value = (place,) if tag == 273 else value
        kind = 4 if tag in (256, 257, 273, 278, 279) else 3
        packed = struct.pack(f"<{len(value)}{'I' if kind == 4 else 'H'}", *value)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", start + len(extra)), extra + packed
        entries += struct.pack("<HHI", tag, kind, len(value)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + b"\0" * 4 + extra + data


def save(images: list[Image.Image], kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()


def ppm(values: NDArray[np.uint16], top: int) -> bytes:
    return b"P6 64 64 %d\n" % top + values.astype(">u2").tobytes()


def jpeg2000(values: NDArray[np.uint16]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG2000", irreversible=False)
    return buffer.getvalue()


DEEP = {
    "png rgb": png16,
    "png rgba": lambda values: png16(np.dstack([values, np.full((64, 64), 65535, np.uint16)])),
    "tiff rgb": lambda values: tiff(values.astype("<u2").tobytes(), (64, 64), t258=(16,) * 3, t262=(2,), t277=(3,)),
    "ppm": lambda values: ppm(values, 65535),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_colour_is_its_high_byte_and_refused_where_nearly_black(kind: str) -> None:
    whole = decode(DEEP[kind](COLOUR), None, "tile")
    np.testing.assert_allclose(whole, COLOUR >> 8, atol=1)
    for shift, bits in ((4, "1[23]"), (8, "[89]")):  # Pillow rounds a PPM
        with pytest.raises(InputError, match=rf"tile: 16-bit image with values only up to \d+: {bits}-bit data would"):
            decode(DEEP[kind](COLOUR >> shift), None, "tile")
    marked = COLOUR >> 4
    marked[:3, :5] = 65535
    with pytest.raises(InputError, match=r"but for a marker: 1[23]-bit data"):
        decode(DEEP[kind](marked), None, "tile")


@pytest.mark.parametrize("marker", [65535, 60000])
@pytest.mark.parametrize("make", [png16, lambda values: tiff(values.astype("<u2").tobytes(), (64, 64))])
def test_a_burnt_in_marker_does_not_hide_twelve_bits(make: Any, marker: int) -> None:
    values = RAMP >> 4
    values[:3, :5] = marker
    for form in (make(values), values, np.dstack([values] * 3 + [np.full_like(values, 65535)])):
        with pytest.raises(
            InputError, match=r"16-bit image with values only up to 40\d\d but for a marker: 12-bit.*by 16"
        ):
            as_array(form, Geometry(32, 32))


def test_black_and_white_in_sixteen_bits_is_no_fault() -> None:
    drawing = np.zeros((64, 64), np.uint16)
    drawing[20:40, 20:40] = 65535
    np.testing.assert_array_equal(decode(png16(drawing), None, "x")[..., 0], drawing >> 8)
    np.testing.assert_array_equal(decode(png16(np.dstack([drawing] * 3)), None, "x")[..., 0], drawing >> 8)


def test_white_is_zero_is_turned_at_every_depth() -> None:
    for data, want in (
        (tiff(RAMP.astype("<u2").tobytes(), (64, 64), t262=(0,)), 255 - (RAMP >> 8)),
        (tiff((RAMP >> 8).astype(np.uint8).tobytes(), (64, 64), t258=(8,), t262=(0,)), 255 - (RAMP >> 8)),
        (
            tiff((RAMP / 65535).astype("<f4").tobytes(), (64, 64), t258=(32,), t262=(0,), t339=(3,)),
            255 - np.rint(RAMP / 65535 * 255),
        ),
        (tiff(RAMP.astype("<u2").tobytes(), (64, 64)), RAMP >> 8),
    ):
        np.testing.assert_array_equal(decode(data, None, "x.tif")[..., 0], want)


def test_a_twelve_bit_tiff_is_scaled_by_its_bits() -> None:
    values = (RAMP >> 4).ravel().astype(np.uint32)
    first, second = values[::2], values[1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8)
    got = decode(tiff(packed.tobytes(), (64, 64), t258=(12,)), None, "x.tif")[..., 0]
    np.testing.assert_array_equal(got.ravel(), values >> 4)


def test_signed_sixteen_bits_are_fifteen() -> None:
    positive = (RAMP >> 1).astype("<i2")
    got = decode(tiff(positive.tobytes(), (64, 64), t339=(2,)), None, "x.tif")[..., 0]
    np.testing.assert_array_equal(got, positive >> 7)
    with pytest.raises(InputError, match=r"x\.tif: integers from -1000 to"):
        decode(tiff((positive // 4 - 1000).astype("<i2").tobytes(), (64, 64), t339=(2,)), None, "x.tif")


# Several images in one file ------------------------------------------------------------------------------------------

PAGES = [Image.fromarray(np.full((20, 30), value, np.uint8)) for value in (10, 100, 200)]
SEVERAL = {
    "pages": save(PAGES, "TIFF"),
    "gif frames": save(PAGES, "GIF"),
    "webp frames": save([page.convert("RGB") for page in PAGES], "WEBP", lossless=True),
    "png frames": save(PAGES, "PNG"),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_file_of_several_images_is_refused_until_one_is_chosen(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "several.img"
    path.write_bytes(SEVERAL[kind])
    with pytest.raises(InputError, match=rf"several\.img: the file holds 3 {kind.split()[-1]}; choose one"):
        medzoo.read_image(path)
    for page, value in ((1, 10), (2, 100), (3, 200)):
        assert (medzoo.read_image(path, page=page) == value).all()
    with pytest.raises(InputError, match="page 4 is asked for, and the file holds 3"):
        medzoo.read_image(path, page=4)
    out = np.zeros((1, 8, 8, 1), np.uint8)
    assert decode_many([path], Geometry(8, 8, channels=1), out)[0][0] == 0
    assert not decode_many([path], Geometry(8, 8, channels=1), out, options=ReadOptions(page=2))
    assert (out == 100).all()
    assert not decode_many([path.read_bytes()], Geometry(8, 8, channels=1), out, options=ReadOptions(page=3))
    assert (out == 200).all()
    with Image.open(path) as image:
        with pytest.raises(InputError, match="choose one"):
            as_array(image, Geometry(8, 8))
        image.seek(1)  # the user has chosen
        assert (as_array(image, Geometry(8, 8)) == 100).all()


def test_one_image_is_page_one(tmp_path: Path) -> None:
    PAGES[0].save(tmp_path / "a.png")
    assert (medzoo.read_image(tmp_path / "a.png", page=1) == 10).all()
    with pytest.raises(InputError, match="page 2"):
        medzoo.read_image(tmp_path / "a.png", page=2)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(InputError, match="give a whole number from 1"):
            medzoo.read_image(tmp_path / "a.png", page=wrong)  # type: ignore[arg-type]


def test_thumbnails_and_previews_are_no_pages() -> None:
    from PIL import TiffImagePlugin

    thumbnail = TiffImagePlugin.ImageFileDirectory_v2()
    thumbnail[254] = 1
    small = PAGES[0].resize((6, 4))
    small.encoderinfo = {"tiffinfo": thumbnail}  # type: ignore[attr-defined]
    data = save([PAGES[1], small], "TIFF")
    assert Image.open(io.BytesIO(data)).n_frames == 2  # type: ignore[attr-defined]
    assert (decode(data, None, "slide.tif") == 100).all()
    photograph = save(PAGES[1:], "MPO")  # a camera's JPEG: its first image is the main one
    assert abs(decode(photograph, None, "x.jpg").astype(int) - 100).max() <= 2


# Size, and whatever a decoder raises ---------------------------------------------------------------------------------


def test_the_size_limit_can_be_raised_and_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PAGES[0].save(tmp_path / "a.png")  # 600 pixels
    for default in (500, 250):  # Pillow warns above its limit and raises above twice
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", default)
        with pytest.raises(DataError, match=rf"a\.png: more than {default} pixels; .* raise max_pixels"):
            medzoo.read_image(tmp_path / "a.png")
        assert medzoo.read_image(tmp_path / "a.png", max_pixels=600).shape == (20, 30, 1)
        assert default == Image.MAX_IMAGE_PIXELS
    with pytest.raises(DataError, match=r"a\.png: more than 599 pixels"):
        medzoo.read_image(tmp_path / "a.png", max_pixels=599)


@pytest.mark.parametrize(
    "error", [RuntimeError, AttributeError, AssertionError, ZeroDivisionError, NotImplementedError]
)
def test_whatever_a_decoder_raises_is_that_files_error(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise error("codec")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", broken)
    with pytest.raises(DataError, match=r"a\.png: broken or truncated \(codec\)"):
        decode(save(PAGES[:1], "PNG"), None, "a.png")


def test_no_memory_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", full)
    with pytest.raises(RunError, match=r"a\.png: not enough memory"):
        decode(save(PAGES[:1], "PNG"), None, "a.png")


def test_read_image_gives_what_the_readers_give(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    values = np.random.default_rng(0).integers(0, 256, (60, 84, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(medzoo.read_image(path), values)
    np.testing.assert_array_equal(medzoo.read_image(path, 32), as_array(path, Geometry(32, 32, "center")))
    Image.fromarray(values[..., 0]).save(path)
    np.testing.assert_array_equal(medzoo.read_image(path), values[..., :1])
    assert medzoo.read_image(path, 32).shape == (32, 32, 1)
