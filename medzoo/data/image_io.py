"""Anything that holds one image -> one uint8 array of the size wanted: the only place where files become numbers.

Colours, depth and value ranges follow ``medzoo.data.pixel_formats``; other formats' headers
``medzoo.data.pillow_reader``; DICOM ``medzoo.data.dicom``. A camera's EXIF orientation is applied first; a file of
several images is refused unless one is chosen (``medzoo.data.read_options``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medzoo.core.errors import DataError, InputError, RunError
from medzoo.data import dicom, pixel_formats
from medzoo.data.geometry import Geometry
from medzoo.data.pillow_reader import Box, open_image, pillow_errors, swaps_sides, upright
from medzoo.data.read_options import DEFAULT, ReadOptions

if TYPE_CHECKING:
    import torch

Size: TypeAlias = Geometry | int | None

DECODE_VERSION = 1  # raise it whenever an image of a data set of ``training`` may decode to other values: keys caches
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".jp2"),
    *(".dcm", ".dicom"),
)

_DRAFT = 2.5  # a fast decode gives at least this many times the size wanted: closer is faster, but less exact


def read_image(
    path: str | Path,
    size: Size = None,
    *,
    page: int | None = None,
    max_pixels: int | None = None,
) -> NDArray[np.uint8]:
    """Read one image file exactly as fine-tuning and prediction read it.

    Args:
        path: A PNG, JPEG, TIFF, BMP, GIF, WebP, PPM, JPEG 2000 or DICOM file.
        size: A side in pixels: resized with its proportions kept, and the centre cut out; or a ``Geometry``. By
            default the size and channels of the file.
        page: Which page of a TIFF, or frame of an animation or a DICOM file, counted from 1; by default a file of
            several is refused.
        max_pixels: The largest width x height that is decoded; by default 89 million.

    Returns:
        ``uint8 [H, W, C]``, 0 (black) to 255 (white); C is 1 (grey) or 3 (RGB).

    Raises:
        DataError: The file is missing, empty, truncated, broken, of no known format or too large.
        InputError: It holds several images, or its values cannot be read correctly (``medzoo.data.pixel_formats`` has
            the rules).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "grey.png"
        ...     Image.new("L", (640, 480), 128).save(file)
        ...     read_image(file).shape, read_image(file, 224).shape
        ((480, 640, 1), (224, 224, 1))
    """
    options = ReadOptions(page, max_pixels)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return decode(data, size, str(path), options=options)


def decode(
    data: bytes, geometry: Size, name: str, *, fast: bool = False, options: ReadOptions = DEFAULT
) -> NDArray[np.uint8]:
    """Decode the bytes of one image file.

    Args:
        data: The file's content.
        geometry: The size and channels wanted, as in ``read_image``.
        name: What to call the image in an error, usually its path.
        fast: Decode a large JPEG at a half, quarter or eighth of its size, still at least 2.5 times the size wanted:
            several times faster, and on average a seventh of a grey level from the exact way (figures in
            ``benchmarks/README.md``). Meant for filling caches.
        options: Which of several images, and the largest size allowed.

    Returns:
        ``uint8 [H, W, C]``.

    Raises:
        DataError: The content is no whole image.
        InputError: Its values cannot be read correctly.
        RunError: DICOM without pydicom, or not enough memory.
    """
    return decode_sizes(data, (geometry,), name, fast=fast, options=options)[0]


def decode_sizes(
    data: bytes, geometries: Sequence[Size], name: str, *, fast: bool = False, options: ReadOptions = DEFAULT
) -> tuple[NDArray[np.uint8], ...]:
    """Decode one image file at several sizes: once, but for a large JPEG that ``fast`` shrinks differently for each.

    Args:
        data: As in ``decode``.
        geometries: The sizes wanted; each array is what ``decode`` returns for its geometry alone.
        name: As in ``decode``.
        fast: As in ``decode``.
        options: As in ``decode``.

    Raises:
        DataError: As in ``decode``.
        InputError: As in ``decode``.
    """
    if not data:
        raise DataError(f"{name}: the file is empty (0 bytes); fetch it again or leave it out")
    with _named(name):
        if dicom.is_dicom(data, name):
            whole = Image.fromarray(dicom.pixels(data, options))
            return tuple(_fit(whole, geometry) for geometry in geometries)
        return _from_file(data, geometries, fast, options)


def as_array(
    image: str | Path | bytes | Image.Image | NDArray[Any] | torch.Tensor,
    geometry: Geometry,
    options: ReadOptions = DEFAULT,
) -> NDArray[np.uint8]:
    """Turn one image in any form into one array; the same image in every form gives the same array.

    Args:
        image: A path, a file's content, a PIL image, or an array or tensor as
            ``medzoo.data.pixel_formats.from_array`` takes them.
        geometry: The size and channels wanted.
        options: Which of several images in a file, and the largest size allowed.

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
        return read_image(image, geometry, page=options.page, max_pixels=options.max_pixels)
    return as_arrays(image, (geometry,), options)[0]


def as_arrays(
    image: bytes | Image.Image | NDArray[Any] | torch.Tensor,
    geometries: Sequence[Geometry],
    options: ReadOptions = DEFAULT,
) -> tuple[NDArray[np.uint8], ...]:
    """Turn one image in memory into arrays of several sizes; each is what ``as_array`` returns for its geometry."""
    if isinstance(image, bytes):
        return decode_sizes(image, geometries, "image", options=options)
    if isinstance(image, Image.Image):
        with _named(str(getattr(image, "filename", "")) or "image"):
            whole, _ = upright(image, options)
    else:
        whole = pixel_formats.from_array(image)
    return tuple(_fit(whole, geometry) for geometry in geometries)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Begin every error with the image's name."""
    try:
        yield
    except (DataError, InputError) as error:
        raise type(error)(f"{name}: {error}") from error
    except MemoryError as error:  # nothing is wrong with the file
        raise RunError(f"{name}: not enough memory to decode it; free some, or make the image smaller") from error


def _from_file(
    data: bytes, geometries: Sequence[Size], fast: bool, options: ReadOptions
) -> tuple[NDArray[np.uint8], ...]:
    decoded: dict[tuple[str, tuple[int, int]], tuple[Image.Image, Box | None]] = {}  # by what a draft changes
    arrays = []
    for geometry in geometries:
        image, box = open_image(data, options), None
        if fast and isinstance(geometry, Geometry) and image.format in ("JPEG", "MPO") and options.page is None:
            with pillow_errors():
                box = _draft(image, geometry)
        key = (image.mode, image.size)
        if key not in decoded:
            decoded[key] = upright(image, options, box)
        arrays.append(_fit(decoded[key][0], geometry, decoded[key][1]))
    return tuple(arrays)


def _draft(image: Image.Image, geometry: Geometry) -> Box | None:
    """Let libjpeg decode only as many of the frequencies as the size wanted needs."""
    if min(image.size) < 1:
        return None
    swapped = swaps_sides(image)
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
    x, y = (x, y) if geometry.fit == "squash" else (max(x, y), max(x, y))
    return x / geometry.crop_share, y / geometry.crop_share


def _fit(image: Image.Image, geometry: Size, box: Box | None = None) -> NDArray[np.uint8]:
    """Resize an upright L or RGB image, or the part of it in ``box``, to the geometry."""
    if geometry is None:
        whole = np.array(image)
        return whole[..., None] if whole.ndim == 2 else whole
    if isinstance(geometry, int):
        geometry = Geometry(geometry, geometry, "center", len(image.getbands()))
    if geometry.channels == 1 and image.mode != "L":
        image = image.convert("L")
    width, height = box[2:] if box else image.size
    x, y = _scale(width, height, geometry)
    left, top = max(0.0, (width - geometry.width / x) / 2), max(0.0, (height - geometry.height / y) / 2)
    part = (left, top, width - left, height - top)
    small = np.asarray(
        image.resize((geometry.width, geometry.height), Image.Resampling[geometry.resample.upper()], part)
    )
    return np.repeat(small[..., None], geometry.channels, axis=2) if small.ndim == 2 else small.copy()
