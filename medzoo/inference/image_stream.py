"""Decode images of any form in chunks, on all cores and in bounded memory, and name every unreadable one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medzoo.core.errors import DataError, UnreadableError
from medzoo.core.progress import counting
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Images, decode_many
from medzoo.data.geometry import Geometry
from medzoo.data.opening import images_below, without_labels
from medzoo.data.read_options import DEFAULT, ReadOptions
from medzoo.engine.loader import batch_slices

# Bytes of decoded images held at a time: 7,000 images of 224 px. A chunk is decoded whole before the network sees it,
# so that of all but huge sets every unreadable image is named at the start.
ROOM = 2**30
_NAMED = 5  # unreadable images in an error's message; its details name all


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some images, decoded.

    Attributes:
        rows: ``int64 [n]`` which of the items.
        images: ``uint8 [n, H, W, C]`` of them.
        unreadable: (item, reason) of those left out.
    """

    rows: NDArray[np.int64]
    images: NDArray[np.uint8]
    unreadable: tuple[tuple[int, str], ...] = ()


def list_images(images: Any, reading: ReadOptions = DEFAULT) -> ImageDataset[Images]:
    """List the images given, in any form, with their names.

    Args:
        images: A file, a folder (searched below), or one or several paths, PIL images, arrays or tensors.
        reading: How they are read.

    Returns:
        The images, without labels; their names are paths, relative to the folder where one was given, or numbers.

    Raises:
        DataError: There are none.
        UnreadableError: A folder cannot be opened, and is not to be skipped.

    Example:
        >>> list_images(["a.png", "b.png"]).ids
        ('a.png', 'b.png')
    """
    found: ImageDataset[Images]
    if isinstance(images, np.ndarray) and images.dtype.kind in "OU":  # a column of paths
        images = images.ravel().tolist()
    if isinstance(images, (str, Path)) and Path(images).is_dir():
        found = images_below(Path(images), reading)
    else:
        one = isinstance(images, (str, Path, Image.Image))
        one = one or (isinstance(images, (np.ndarray, torch.Tensor)) and images.ndim < 4)
        items = [images] if one or not isinstance(images, Iterable) else list(images)
        names = [str(item) if isinstance(item, (str, Path)) else str(number) for number, item in enumerate(items)]
        found = without_labels("images", items, tuple(names), reading)
    if not len(found):
        raise DataError("there are no images to predict; give paths, a folder with images, arrays or tensors")
    return found


def decode_chunks(
    names: Sequence[str], items: Images, geometry: Geometry, *, reading: ReadOptions = DEFAULT, room: int = ROOM
) -> Iterator[Chunk]:
    """Decode images, chunk by chunk, on all cores.

    Files are decoded exactly, without the reduced-size decoding of large JPEGs that fine-tuning uses: a path gives what
    the same image gives as an array.

    Args:
        names: The name of each image.
        items: Paths, PIL images, arrays and tensors, in any mixture.
        geometry: The size wanted.
        reading: How they are read, and whether what cannot be read is left out; else it is an error.
        room: Bytes of decoded images in a chunk.

    Yields:
        The items, in order.

    Raises:
        UnreadableError: Images cannot be read: those of this chunk and of all that follow; or none can be read.
        RunError: DICOM files without pydicom.
    """
    size = max(1, room // (geometry.height * geometry.width * geometry.channels))
    parts = batch_slices(len(items), size)
    unreadable: list[tuple[int, str]] = []
    for part in parts:
        chunk = _decode(items, part, geometry, reading)
        unreadable += chunk.unreadable
        if chunk.unreadable and not reading.skip_unreadable:
            unreadable += [bad for rest in parts for bad in _decode(items, rest, geometry, reading).unreadable]
            raise _unreadable(names, unreadable)
        if len(unreadable) == len(items):
            raise _unreadable(names, unreadable)
        yield chunk


def _unreadable(names: Sequence[str], unreadable: Sequence[tuple[int, str]]) -> UnreadableError:
    named = "; ".join(reason for _, reason in unreadable[:_NAMED])
    return UnreadableError(
        f"{len(unreadable):,} of {len(names):,} images cannot be read: {named}. Repair or remove them",
        [(names[index], reason) for index, reason in unreadable],
    )


def _decode(items: Images, part: slice, geometry: Geometry, reading: ReadOptions) -> Chunk:
    rows = np.arange(part.start, part.stop)
    images = np.empty((len(rows), geometry.height, geometry.width, geometry.channels), np.uint8)
    with counting("reading images") as progress:
        bad = decode_many(
            items, geometry, images, indices=rows.tolist(), progress=progress, fast=False, options=reading
        )
    if not bad:
        return Chunk(rows, images)
    good = np.ones(len(rows), bool)
    good[[index - part.start for index, _ in bad]] = False
    return Chunk(rows[good], images[good], tuple(bad))
