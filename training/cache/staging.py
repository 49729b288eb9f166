"""The working folder of a cache in the making, which can be resumed after a kill at any point."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.format import open_memmap, write_array_header_1_0
from numpy.typing import NDArray

from medzoo.data.decoding import Stamp
from medzoo.data.geometry import Geometry
from training.cache.stamps import Stamps

_BATCH = 128  # images between two journal entries: what a kill can cost
_LINE = re.compile(r"(\d+),(\d+),(\d+),([0-9a-f]{64})\n?")


@dataclass(frozen=True)
class Place:
    """Where the pixels of a row lie.

    Attributes:
        file: The file, by its absolute path.
        start: Bytes before the first row.
        stride: Bytes of a row.
    """

    file: Path
    start: int
    stride: int


class Staging:
    """A partly filled ``images.npy``, and a journal of the images that are on disk.

    A batch of images is synced to disk before the journal lists it. The last line of an image counts; incomplete
    lines are ignored.

    Args:
        folder: Created if missing.
        count: Number of images.
        geometry: The size of one image.

    Attributes:
        images: The array's file.
        place: Where its rows lie.
        stamps: The files whose images are on disk, by index.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Staging(Path(folder), 2, Geometry(1, 1)) as staging:
        ...         staging.put(1, np.full((1, 1, 3), 7, np.uint8), Stamp(9, 9, "0" * 64))
        ...     with Staging(Path(folder), 2, Geometry(1, 1)) as again:
        ...         print(list(again.stamps))
        [1]
    """

    def __init__(self, folder: Path, count: int, geometry: Geometry) -> None:
        self.folder = folder
        self._count = count
        self.images = folder / "images.npy"
        journal, moved = folder / "journal.csv", self._final / "images.npy"
        shape = (count, geometry.height, geometry.width, geometry.channels)
        folder.mkdir(parents=True, exist_ok=True)
        if moved.exists() and not self.images.exists():  # killed while finishing
            moved.replace(self.images)
        if not journal.exists():
            open_memmap(self.images, "w+", np.uint8, shape)  # sparse: it takes no space yet
            journal.touch()
        self.stamps = Stamps(count)
        with journal.open(encoding="ascii") as lines:
            for line in filter(None, map(_LINE.fullmatch, lines)):
                self.stamps[int(line[1])] = Stamp(int(line[2]), int(line[3]), line[4])
        self._batch: dict[int, Stamp] = {}
        stride = int(np.prod(shape[1:]))
        self.place = Place(self.images.absolute(), self.images.stat().st_size - count * stride, stride)
        self._pixels = self.images.open("r+b")
        self._journal = journal.open("a", encoding="ascii")
        self._journal.write("\n")  # ends an incomplete line

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        with closing(self._pixels), closing(self._journal):  # on a full disk too, where the rest cannot be written
            self.commit()

    @property
    def _final(self) -> Path:
        return self.folder / "final"

    def put(self, row: int, image: NDArray[np.uint8], stamp: Stamp) -> None:
        """Write one image."""
        self._pixels.seek(self.place.start + row * self.place.stride)
        self._pixels.write(image.tobytes())
        self._batch[row] = stamp
        if len(self._batch) == _BATCH:
            self.commit()

    def record(self, stamps: Mapping[int, Stamp]) -> None:
        """Write images into the journal that others have put into their places and synced."""
        self._batch.update(stamps)
        self.commit()

    def commit(self) -> None:
        """Sync the images to disk, then list them in the journal."""
        _to_disk(self._pixels)
        self._journal.writelines(f"{i},{s.size},{s.mtime_ns},{s.sha256}\n" for i, s in self._batch.items())
        _to_disk(self._journal)
        self.stamps.update(self._batch)
        self._batch.clear()

    def finish(self, kept: list[int]) -> Path:
        """Make the array of some images, once closed; can be repeated after a kill.

        Returns:
            A folder that holds ``images.npy`` alone; to be filled and moved.
        """
        self._final.mkdir(exist_ok=True)
        if len(kept) == self._count:
            self.images.replace(self._final / "images.npy")
        else:
            _copy_rows(self.images, self._final / "images.npy", kept)
        return self._final


def _copy_rows(source: Path, target: Path, rows: list[int]) -> None:
    """Copy some images, a batch at a time, to save memory."""
    images = np.load(source, mmap_mode="r")
    with target.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), *images.shape[1:])}
        write_array_header_1_0(file, header)
        for start in range(0, len(rows), _BATCH):
            file.write(images[rows[start : start + _BATCH]].tobytes())
        _to_disk(file)


def _to_disk(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
