"""Images, not decoded -> their size, kind of pixels and number of pages, from the headers of their files alone."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from medzoo.core.errors import DataError
from medzoo.data.decoding import UNREADABLE, Images
from medzoo.data.dicom import is_dicom
from medzoo.data.library_warnings import logged_warnings
from medzoo.data.pillow_reader import count_images, open_image, swaps_sides
from medzoo.data.read_options import DEFAULT, ReadOptions

# Pillow's modes in words; the others are known by their own names (RGB, CMYK, ...).
_WORDS = {"1": "1-bit", "L": "grey", "LA": "grey with alpha", "I": "32-bit grey", "F": "float grey", "P": "palette"}
_CHANNELS = (1, 3, 4)
_TURNED = ("JPEG", "MPO", "TIFF")  # to read the orientation of others, Pillow decodes them


@dataclass(frozen=True)
class Header:
    """What the header of an image says.

    Attributes:
        width: In pixels, of the upright image.
        height: In pixels.
        mode: The kind of its pixels, such as ``grey`` or ``RGB``.
        pages: How many images the file holds.
        row: Which image of the data set it is.
    """

    width: int
    height: int
    mode: str
    pages: int = 1
    row: int = field(default=0, compare=False, repr=False)


def read_headers(items: Images, rows: Iterable[int], options: ReadOptions = DEFAULT) -> list[Header]:
    """Read headers; those that cannot be read are left out, as decoding names them.

    Args:
        items: The images, in any form that is decoded.
        rows: Which of them.
        options: The largest size allowed.

    Example:
        >>> read_headers([np.zeros((20, 30), np.uint8)], [0])
        [Header(width=30, height=20, mode='uint8 array', pages=1)]
    """
    found = []
    for row in rows:
        try:
            header = _read(items[row], options)
        except UNREADABLE:
            continue
        if header is not None:
            found.append(replace(header, row=row))
    return found


def _read(item: Any, options: ReadOptions) -> Header | None:
    if isinstance(item, (str, Path)):
        with Path(item).open("rb") as file:
            return _of_file(file, str(item), options)
    if isinstance(item, bytes):
        return _of_file(io.BytesIO(item), "", options)
    if isinstance(item, Image.Image):
        return Header(*item.size, _word(item.mode))
    return _of_array(item)


def _of_file(file: BinaryIO, name: str, options: ReadOptions) -> Header | None:
    head = file.read(132)
    file.seek(0)
    if is_dicom(head, name):
        return _of_dicom(file)
    image = open_image(file, options)
    turned = image.format in _TURNED and swaps_sides(image)
    size = image.size[::-1] if turned else image.size
    return Header(*size, _word(image.mode), count_images(image))


def _of_dicom(file: BinaryIO) -> Header | None:
    try:
        import pydicom
    except ImportError:  # decoding says what to install
        return None
    try:
        with logged_warnings():
            found = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            kind = f"DICOM {found.BitsStored}-bit {found.PhotometricInterpretation}"
            return Header(int(found.Columns), int(found.Rows), kind, int(found.get("NumberOfFrames") or 1))
    except Exception as error:  # whatever a broken header makes it raise
        raise DataError(f"broken DICOM ({error})") from error


def _of_array(item: Any) -> Header | None:
    shape = tuple(getattr(item, "shape", ()))
    kind = f"{str(getattr(item, 'dtype', '')).removeprefix('torch.')} array"
    if len(shape) == 3 and shape[2] in _CHANNELS:
        shape = shape[:2]
    elif len(shape) == 3 and shape[0] in _CHANNELS:
        shape = shape[1:]
    return Header(int(shape[1]), int(shape[0]), kind) if len(shape) == 2 else None


def _word(mode: str) -> str:
    return "16-bit grey" if mode.startswith("I;16") else _WORDS.get(mode, mode)


def spread(count: int, most: int) -> list[int]:
    """Return at most so many row numbers, evenly spread over all.

    Example:
        >>> spread(10, 4), spread(2, 4)
        ([0, 3, 6, 9], [0, 1])
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
