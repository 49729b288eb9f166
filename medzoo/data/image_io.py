"""Anything that holds one image -> one uint8 array of the size wanted: the only place where files become numbers.

Colours, depth and value ranges follow ``medzoo.data.pixel_formats``; DICOM follows ``medzoo.data.dicom``. A camera's
EXIF orientation is
applied first; of a file with several pictures the first is used.
"""

from __future__ import annotations

import io
import logging
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from medzoo.core.errors import DataError, InputError
from medzoo.data import dicom, pixel_formats
from medzoo.data.geometry import Geometry

if TYPE_CHECKING:
    import torch

INTERPOLATION = "bilinear"  # antialiased, as torchvision's presets; under timm's name for it in config.json
DECODE_VERSION = 1  # raise it whenever any image may decode to other values: caches are keyed by it
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".jp2"),
    *(".dcm", ".dicom"),
)

_Box: TypeAlias = tuple[float, float, float, float]
_LOG = logging.getLogger(__name__)
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")  # none that runs other programs
_BROKEN = (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error, zlib.error)
_DRAFT = 2.5  # a fast decode gives at least this many times the size wanted: closer is faster, but less exact
_RESAMPLE = Image.Resampling.BILINEAR
_WARNINGS = threading.Lock()
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


def read_image(path: str | Path, geometry: Geometry, *, fast: bool = False) -> NDArray[np.uint8]:
    """Read one image file.

    Args:
        path: A PNG, JPEG, TIFF, BMP, GIF, WebP, PPM, JPEG 2000 or DICOM file.
        geometry: The size and channels wanted.
        fast: Decode a large JPEG at a half, quarter or eighth of its size, still at least 2.5 times the size wanted:
            several times faster, and on average a seventh of a grey level from the exact way (figures in
            ``benchmarks/README.md``). Meant for filling caches.

    Returns:
        ``uint8 [H, W, C]`` of exactly the geometry's size.

    Raises:
        DataError: The file is missing, empty, truncated, broken, of no known format or absurdly large.
        InputError: Its values cannot be read correctly (``medzoo.data.pixel_formats`` has the rules).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "grey.png"
        ...     Image.new("L", (640, 480), 128).save(file)
        ...     array = read_image(file, Geometry(224, 224, channels=1))
        >>> array.shape, int(array.max())
        ((224, 224, 1), 128)
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return decode(data, geometry, str(path), fast=fast)


def decode(data: bytes, geometry: Geometry, name: str, *, fast: bool = False) -> NDArray[np.uint8]:
    """Decode the bytes of one image file; see ``read_image``.

    Args:
        data: The file's content.
        geometry: The size and channels wanted.
        name: What to call the image in an error, usually its path.
        fast: As in ``read_image``.

    Returns:
        ``uint8 [H, W, C]``.

    Raises:
        DataError: The content is no whole image.
        InputError: Its values cannot be read correctly.
    """
    return decode_sizes(data, (geometry,), name, fast=fast)[0]


def decode_sizes(
    data: bytes, geometries: Sequence[Geometry], name: str, *, fast: bool = False
) -> tuple[NDArray[np.uint8], ...]:
    """Decode one image file at several sizes: once, but for a large JPEG that ``fast`` shrinks differently for each.

    Args:
        data: As in ``decode``.
        geometries: The sizes wanted; each array is what ``decode`` returns for its geometry alone.
        name: As in ``decode``.
        fast: As in ``read_image``.

    Raises:
        DataError: As in ``decode``.
        InputError: As in ``decode``.
    """
    if not data:
        raise DataError(f"{name}: the file is empty (0 bytes); fetch it again or leave it out")
    with _named(name):
        if data[128:132] == b"DICM" or name.lower().endswith((".dcm", ".dicom")):
            whole = pixel_formats.from_array(dicom.pixels(data))
            return tuple(_fit(whole, geometry) for geometry in geometries)
        return _from_file(data, geometries, fast)


def as_array(
    image: str | Path | bytes | Image.Image | NDArray[Any] | torch.Tensor, geometry: Geometry
) -> NDArray[np.uint8]:
    """Turn one image in any form into one array; the same image in every form gives the same array.

    Args:
        image: A path, a file's content, a PIL image, or an array or tensor as
            ``medzoo.data.pixel_formats.from_array`` takes them.
        geometry: The size and channels wanted.

    Returns:
        ``uint8 [H, W, C]`` of exactly the geometry's size.

    Raises:
        DataError: A file that cannot be decoded.
        InputError: An empty image, an impossible shape, or values outside their range.

    Example:
        >>> as_array(np.full((50, 40), 0.5), Geometry(1, 2, channels=1)).tolist()
        [[[128], [128]]]
    """
    if isinstance(image, (str, Path)):
        return read_image(image, geometry)
    return as_arrays(image, (geometry,))[0]


def as_arrays(
    image: bytes | Image.Image | NDArray[Any] | torch.Tensor, geometries: Sequence[Geometry]
) -> tuple[NDArray[np.uint8], ...]:
    """Turn one image in memory into arrays of several sizes; each is what ``as_array`` returns for its geometry."""
    if isinstance(image, bytes):
        return decode_sizes(image, geometries, "image")
    if isinstance(image, Image.Image):
        with _named(str(getattr(image, "filename", "")) or "image"):
            whole, _ = _upright(image)
    else:
        whole = pixel_formats.from_array(image)
    return tuple(_fit(whole, geometry) for geometry in geometries)


@contextmanager
def _logged_warnings() -> Iterator[None]:
    """Send Pillow's warnings to our log, and make an absurd size an error, for a few lines.

    Python's warning state belongs to the process: hold the lock, keep what is inside short, and hand on what
    other threads warned about meanwhile.
    """
    with _WARNINGS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
    for warning in caught:
        if Path(warning.filename).parent.name == "PIL":
            _LOG.info("%s", warning.message)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Begin every error with the image's name."""
    try:
        yield
    except (DataError, InputError) as error:
        raise type(error)(f"{name}: {error}") from error


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """Turn whatever Pillow raises on a bad file into one error."""
    try:
        yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller, "
            "or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise DataError(f"not an image of a known format ({', '.join(_FORMATS)} or DICOM)") from error
    except _BROKEN as error:
        raise DataError(f"broken or truncated ({error}); fetch it again or leave it out") from error


def _open(data: bytes) -> Image.Image:
    with _pillow_errors(), _logged_warnings():
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.format == "TIFF":
        _turn(image)  # Pillow turns a TIFF by itself while loading: read its tags where warnings are caught
    return image


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to set the image upright; a broken EXIF block says nothing."""
    try:
        with _logged_warnings():
            return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _BROKEN as error:
        _LOG.info("EXIF block ignored: %s", error)
        return None


def _from_file(data: bytes, geometries: Sequence[Geometry], fast: bool) -> tuple[NDArray[np.uint8], ...]:
    decoded: dict[tuple[str, tuple[int, int]], tuple[Image.Image, _Box | None]] = {}  # by what a draft changes
    arrays = []
    for geometry in geometries:
        image = _open(data)
        box = _draft(image, geometry) if fast and image.format in ("JPEG", "MPO") else None
        key = (image.mode, image.size)
        if key not in decoded:
            decoded[key] = _upright(image, box)
        arrays.append(_fit(decoded[key][0], geometry, decoded[key][1]))
    return tuple(arrays)


def _upright(image: Image.Image, box: _Box | None = None) -> tuple[Image.Image, _Box | None]:
    """Load an image, set it upright, and make it plain L or RGB; the box holds only where it was not turned."""
    if min(image.size) < 1:
        raise InputError("the image has no pixels")
    with _pillow_errors():
        image.load()
    turn = _turn(image)
    if turn is not None:
        image, box = image.transpose(turn), None
    return pixel_formats.plain(image), box


def _draft(image: Image.Image, geometry: Geometry) -> _Box | None:
    """Let libjpeg decode only as many of the frequencies as the size wanted needs."""
    if min(image.size) < 1:
        return None
    swapped = _turn(image) in _SWAPPING
    width, height = image.size[::-1] if swapped else image.size
    scale = _scale(width, height, geometry)
    want = (math.ceil(width * scale[0] * _DRAFT), math.ceil(height * scale[1] * _DRAFT))
    # Decoding a colour file to luma alone spares the colour work; CMYK has no such short cut.
    mode = "L" if geometry.channels == 1 and image.mode == "RGB" else None
    draft = image.draft(mode, want[::-1] if swapped else want)
    return draft[1] if draft else None


def _scale(width: float, height: float, geometry: Geometry) -> tuple[float, float]:
    """By how much each side shrinks or grows."""
    x, y = geometry.width / width, geometry.height / height
    return (x, y) if geometry.fit == "squash" else (max(x, y), max(x, y))


def _fit(
    image: Image.Image,
    geometry: Geometry,
    box: _Box | None = None,
) -> NDArray[np.uint8]:
    """Resize an upright L or RGB image, or the part of it in ``box``, to the geometry."""
    if geometry.channels == 1 and image.mode != "L":
        image = image.convert("L")
    width, height = box[2:] if box else image.size
    x, y = _scale(width, height, geometry)
    left, top = max(0.0, (width - geometry.width / x) / 2), max(0.0, (height - geometry.height / y) / 2)
    part = (left, top, width - left, height - top)
    small = np.asarray(image.resize((geometry.width, geometry.height), _RESAMPLE, part))
    return np.repeat(small[..., None], geometry.channels, axis=2) if small.ndim == 2 else small.copy()
