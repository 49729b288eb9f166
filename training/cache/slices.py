"""Decode a data set in slices on a cluster's workers, which write into one file that all of them see."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medzoo.core.cluster import Cluster, worker_threads
from medzoo.core.errors import MedzooError, RunError
from medzoo.data.dataset import Files
from medzoo.data.decoding import Decoded, decode_each
from medzoo.data.geometry import Geometry
from training.cache.staging import Place, Staging

SLICE = 256  # images a task: seconds of work, and what a killed worker costs


@dataclass(frozen=True)
class Slice:
    """One task.

    Attributes:
        rows: Row of each image in the array.
        paths: Its file, absolute.
    """

    rows: tuple[int, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Slices(Sequence[Slice]):
    """All tasks; each is made when it is sent out.

    Attributes:
        rows: The rows to decode.
        files: The files of all rows.
    """

    rows: Sequence[int]
    files: Files

    def __len__(self) -> int:
        return -(-len(self.rows) // SLICE)

    def __getitem__(self, number: Any) -> Any:
        rows = tuple(self.rows[number * SLICE : (number + 1) * SLICE])
        return Slice(rows, tuple(self.files[row].absolute() for row in rows))


def decode_on_cluster(
    staging: Staging, files: Files, rows: Sequence[int], geometry: Geometry, cluster: Cluster
) -> Iterator[Decoded]:
    """Decode images on the workers; pixels do not pass through this process.

    A slice counts as done once its worker has synced it to disk and this process has written it into the journal.

    Args:
        staging: Where the images go.
        files: The files of all rows.
        rows: The rows to decode.
        geometry: The size and channels to keep.
        cluster: The workers.

    Yields:
        Each image, without its pixels.

    Raises:
        RunError: A worker does not see the files, or a slice cost several workers their lives.
    """
    staging.commit()  # workers write beside what this process has written, not at the same time
    slices, shared = Slices(rows, files), (staging.place, geometry)
    seen = (staging.images.absolute(), files.root.absolute())
    for number, found in cluster.run(_decode_slice, slices, shared, paths=seen):
        if isinstance(found, (MedzooError, OSError)):
            first, last = slices[number].paths[0], slices[number].paths[-1]
            raise RunError(f"the images from {first} to {last} were not decoded: {found}") from found
        if isinstance(found, Exception):
            raise found
        staging.record({item.index: item.stamp for item in found if not item.reason})
        for item, path in zip(found, slices[number].paths, strict=True):
            # As this process names the file.
            yield replace(item, reason=item.reason.replace(str(path), str(files[item.index])))


def _decode_slice(part: Slice, shared: tuple[Place, Geometry]) -> list[Decoded]:
    """Decode and write a slice; return its images without their pixels."""
    place, geometry = shared
    found = []
    # Write-only: a network file system may complete a page that it could read, and overwrite another worker's bytes.
    with os.fdopen(os.open(place.file, os.O_WRONLY | getattr(os, "O_BINARY", 0)), "wb") as file:
        for item in decode_each(part.paths, geometry, jobs=worker_threads()):
            row = part.rows[item.index]
            if item.image is not None:
                file.seek(place.start + row * place.stride)
                file.write(item.image.tobytes())
            found.append(replace(item, index=row, images=()))
        file.flush()
        os.fsync(file.fileno())
    return found
