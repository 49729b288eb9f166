"""One file that Pillow reads -> an upright 8-bit grey or RGB image, by what its header says."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import ExifTags, Image, ImageOps

from medzoo.core.errors import DataError, InputError
from medzoo.data.library_warnings import logged_warnings
from medzoo.data.pixel_formats import plain
from medzoo.data.read_options import DEFAULT, ReadOptions

Box = tuple[float, float, float, float]

_LOG = logging.getLogger(__name__)
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")  # none that runs other programs
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPING = (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])
_SUBFILE, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 254, 258, 262, 339  # TIFF tags
_SECONDARY = 0b101  # of NewSubfileType: a reduced copy of another page, or a mask for one
_SIZ = b"\xff\x4f\xff\x51"  # how a JPEG 2000 code stream begins


def open_image(data: bytes | BinaryIO, options: ReadOptions = DEFAULT) -> Image.Image:
    """Open a file without decoding its pixels.

    Args:
        data: The file's content, or the open file, of which only the header is read.
        options: The largest size allowed.

    Returns:
        The image, not loaded.

    Raises:
        DataError: No known format, broken, or more pixels than allowed.
    """
    with pillow_errors(), logged_warnings():
        limit = Image.MAX_IMAGE_PIXELS
        if options.max_pixels:
            Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit is a global; checked below instead
        try:
            image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if options.max_pixels and image.width * image.height > options.max_pixels:
        raise _too_large(options.max_pixels)
    return image


def upright(
    image: Image.Image, options: ReadOptions = DEFAULT, box: Box | None = None
) -> tuple[Image.Image, Box | None]:
    """Decode an opened image, with the camera's EXIF orientation applied, to 8 bits of grey or RGB.

    Args:
        image: As ``open_image`` or a user opened it.
        options: Which page or frame.
        box: The part of it that is the image, where a draft of a JPEG has a border.

    Returns:
        The image in mode L or RGB, and the part of it to use, or ``None`` for all.

    Raises:
        DataError: The file is broken or truncated.
        InputError: It holds several images and none is chosen, or values that cannot be brought to 8 bits correctly.
    """
    if min(image.size) < 1:
        raise InputError("the image has no pixels")
    with pillow_errors():
        _select_page(image, options)
        bits, negative = _stored_bits(image), _is_negative(image)
        if image.format == "TIFF":
            _turn(image)  # Pillow turns a TIFF by itself while loading: read its tags where warnings are caught
        image.load()
        turn = _turn(image)
        if turn is not None:
            image, box = image.transpose(turn), None
        image = plain(image, bits)
        return (ImageOps.invert(image) if negative else image), box


def swaps_sides(image: Image.Image) -> bool:
    """Return whether setting the image upright swaps its height and width."""
    return _turn(image) in _SWAPPING


def count_images(image: Image.Image) -> int:
    """Return how many images a file holds of which one is to be chosen: pages of a TIFF, frames of an animation."""
    if image.format == "MPO" or not hasattr(image, "n_frames"):
        return 1
    with pillow_errors():
        return len(_tiff_pages(image)) if image.format == "TIFF" else int(image.n_frames)


@contextmanager
def pillow_errors() -> Iterator[None]:
    """Turn whatever Pillow raises on a bad file into one error."""
    try:
        yield
    except (DataError, InputError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(Image.MAX_IMAGE_PIXELS or 0) from error
    except Image.UnidentifiedImageError as error:
        raise DataError(f"not an image of a known format ({', '.join(_FORMATS)} or DICOM)") from error
    except Exception as error:
        raise DataError(f"broken or truncated ({error}); fetch it again or leave it out") from error


def _too_large(limit: int) -> DataError:
    return DataError(f"more than {limit:,} pixels; make it smaller, or raise max_pixels if you trust it")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to set the image upright; a broken EXIF block says nothing."""
    try:
        with logged_warnings():
            return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception as error:  # noqa: BLE001  # whatever a broken block raises; the pixels are not in it
        _LOG.info("EXIF block ignored: %s", error)
        return None


def _select_page(image: Image.Image, options: ReadOptions) -> None:
    """Seek the page or frame to read; one that the user has sought already is taken."""
    if options.page is None and (image.format == "MPO" or not hasattr(image, "n_frames") or image.tell()):
        return  # the first image of an MPO (a camera's JPEG with a preview) is the main one by definition
    paged = image.format == "TIFF"
    pages = _tiff_pages(image) if paged else list(range(getattr(image, "n_frames", 1)))
    frame = pages[options.choose(len(pages), "pages" if paged else "frames")]
    if image.tell() != frame:
        image.seek(frame)


def _tiff_pages(image: Image.Image) -> list[int]:
    """Frames that are images of their own, not thumbnails or masks of others."""
    pages = []
    with logged_warnings():
        try:
            for frame in range(image.n_frames):  # type: ignore[attr-defined]
                with contextlib.suppress(SyntaxError):  # a page of a mode that Pillow does not read is still a page
                    image.seek(frame)
                if not int(image.tag_v2.get(_SUBFILE, 0)) & _SECONDARY:  # type: ignore[attr-defined]
                    pages.append(frame)
        except Exception as error:  # noqa: BLE001  # a broken chain of pages ends at the last whole one
            _LOG.info("TIFF pages after %d ignored: %s", len(pages), error)
        image.seek(0)
    return pages or [0]


def _stored_bits(image: Image.Image) -> int:
    """How many bits a value has in the file, where Pillow has not scaled it."""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        signed = 2 in tags.get(_SAMPLE_FORMAT, ())
        return max(tags.get(_BITS, (1,))) - signed
    if image.format == "JPEG2000" and image.mode.startswith("RGB"):
        return _jpeg2000_bits(image)
    args = [tile[3] for tile in getattr(image, "tile", ())][:1]  # of the file's encoding; gone once the image is loaded
    for values in args:
        if isinstance(values, str):
            return 16 if ";16" in values else 8
        if image.format == "PPM" and image.mode == "RGB" and isinstance(values[-1], int):
            return 16 if values[-1] > 255 else 8  # scaled by the greatest value that the header states
    return 8


def _jpeg2000_bits(image: Image.Image) -> int:
    file = getattr(image, "fp", None)
    if file is None:
        return 8
    place = file.tell()
    file.seek(0)
    head = file.read(2**16)
    file.seek(place)
    start = head.find(_SIZ)
    depth = head[start + 42 : start + 43] if start >= 0 else b""
    return (depth[0] & 0x7F) + 1 if depth else 8


def _is_negative(image: Image.Image) -> bool:
    """Return whether black and white are still swapped: WhiteIsZero of more than 8 bits, which Pillow leaves."""
    deep = image.mode.startswith(("I", "F"))
    return deep and image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]
