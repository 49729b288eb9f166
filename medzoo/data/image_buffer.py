"""Arrays for decoded images: in memory, or in a temporary file where memory is short."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from medzoo.core.cache import cache_folder
from medzoo.core.errors import DataError

# Of the free memory, how much decoded images may take; the rest is the network's.
SHARE = 0.5
_CHUNK = 256  # images copied at a time


def room_for(shape: Sequence[int]) -> NDArray[np.uint8]:
    """Make an array for decoded images.

    More than half of the free memory is not taken: larger arrays lie in a temporary file in medzoo's cache folder
    (``MEDZOO_CACHE``), of which the system keeps in memory what fits. The file goes when the array does.

    Args:
        shape: The array's shape.

    Returns:
        ``uint8`` of that shape, with any values.

    Raises:
        DataError: The disk has no room either.

    Example:
        >>> room_for((2, 4, 4, 3)).shape
        (2, 4, 4, 3)
    """
    size = math.prod(shape)
    if size <= SHARE * free_memory():
        return np.empty(tuple(shape), np.uint8)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"the decoded images take {size / 1e9:.1f} GB, more than half of the free memory, and {folder} has "
            f"{free / 1e9:.1f} GB left; set MEDZOO_CACHE to a larger disk, or choose a smaller image size"
        )
    with tempfile.TemporaryFile(dir=folder, prefix="images-") as file:  # has no name: gone with its last user
        return np.asarray(np.memmap(file, np.uint8, "w+", shape=tuple(shape)))


def picked(images: NDArray[np.uint8], rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Copy some images.

    Args:
        images: ``uint8 [N, H, W, C]``.
        rows: Indices of the n wanted.

    Returns:
        ``uint8 [n, H, W, C]``.
    """
    copy = room_for((len(rows), *images.shape[1:]))
    for start in range(0, len(rows), _CHUNK):
        copy[start : start + _CHUNK] = images[rows[start : start + _CHUNK]]
    return copy


def joined(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Concatenate images of two arrays of the same geometry."""
    both = room_for((len(first) + len(second), *first.shape[1:]))
    both[: len(first)] = first
    both[len(first) :] = second
    return both


def free_memory() -> int:
    """Return the bytes that this process could take: of the machine, or of its container where that has less."""
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
    except OSError:  # no container, or none that tells
        return free
    return free if limit == "max" else min(free, max(int(limit) - int(used), 0))
