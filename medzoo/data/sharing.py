"""Decoded images for the workers of a cluster: named by their file where workers see it, else the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medzoo.core.cluster import Cluster
from medzoo.data.dataset import Examples, ImageDataset


@dataclass(frozen=True)
class ImagesFile:
    """A whole ``.npy`` file of images, not opened.

    Attributes:
        path: The file.
        count: Its number of images.
    """

    path: Path
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: object) -> NDArray[np.uint8]:
        raise TypeError(f"{self.path} is not opened; call opened()")


Shared: TypeAlias = "Examples | ImageDataset[ImagesFile]"


def shareable(examples: Examples, cluster: Cluster) -> Shared:
    """Return a data set in the form in which it is sent to workers.

    Args:
        examples: Decoded images.
        cluster: The workers.

    Returns:
        The data set with its images named by their file, if that is whole and every worker sees it; else in memory.
    """
    file = _file_of(examples.images)
    if file is not None and cluster.sees(file):
        return examples.with_images(ImagesFile(file, len(examples)))
    return examples.with_images(np.asarray(examples.images))


def files_of(shared: Shared) -> tuple[Path, ...]:
    """Return the files that a worker must see to open a data set."""
    return (shared.images.path,) if isinstance(shared.images, ImagesFile) else ()


def _file_of(images: NDArray[np.uint8]) -> Path | None:
    """Return the ``.npy`` file of which an array is the whole; ``None`` for any other array."""
    path = Path(images.filename or "") if isinstance(images, np.memmap) else Path()
    if path.suffix != ".npy" or not path.is_file():
        return None
    whole = np.load(path, mmap_mode="r")
    return path.absolute() if (whole.shape, whole.dtype) == (images.shape, images.dtype) else None


def opened(shared: Shared) -> Examples:
    """Return the data set with its images, on a worker."""
    if isinstance(shared.images, ImagesFile):
        # Copy on write: torch takes no read-only array.
        return shared.with_images(np.load(shared.images.path, mmap_mode="c"))
    return shared
