"""Many image files -> arrays of one size, on all cores, with bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medzoo.core.errors import DataError, InputError
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import as_array, decode

Progress = Callable[[int, int], None]
# What reading an image raises in code of others (a torch data set), where the image and not the code is to blame.
_UNREADABLE = (OSError, SyntaxError, Image.DecompressionBombError, DataError, InputError)
_AHEAD = 8  # images in flight per job: enough that one slow file holds nothing up


@dataclass(frozen=True)
class Stamp:
    """What tells whether a file has changed: size and time for a quick look, the digest for certain.

    Attributes:
        size: Bytes.
        mtime_ns: Time of last change, in nanoseconds.
        sha256: Digest of the content, in hexadecimal; empty where the file could not be read.
    """

    size: int
    mtime_ns: int
    sha256: str = ""

    @property
    def quick(self) -> tuple[int, int]:
        """What one ``stat`` call tells."""
        return self.size, self.mtime_ns


@dataclass(frozen=True)
class Decoded:
    """One decoded or rejected file.

    Attributes:
        index: Its place in the paths given.
        image: ``uint8 [H, W, C]``, or ``None`` where the file was rejected.
        reason: Why it was rejected, else empty.
        stamp: The file as it was when it was read.
    """

    index: int
    image: NDArray[np.uint8] | None
    reason: str
    stamp: Stamp


def quick_stamp(path: Path) -> Stamp:
    """Size and time of a file without reading it; ``Stamp(-1, -1)`` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return Stamp(-1, -1)
    return Stamp(status.st_size, status.st_mtime_ns)


def full_stamp(path: Path) -> Stamp:
    """Size, time and digest of a file; ``Stamp(-1, -1)`` where it cannot be read."""
    try:
        return _read(path)[1]
    except OSError:
        return Stamp(-1, -1)


def decode_each(
    paths: Sequence[Path],
    geometry: Geometry,
    *,
    indices: Sequence[int] | None = None,
    jobs: int | None = None,
    fast: bool = True,
) -> Iterator[Decoded]:
    """Decode files on all cores and hand them out in order, a bounded number ahead.

    Threads, not processes: Pillow lets go of Python's lock while it decodes and resizes, nothing has to be copied
    between processes, and a script needs no ``if __name__ == "__main__"``.

    Args:
        paths: Files.
        geometry: The size and channels wanted.
        indices: Which of them, in which order; all by default.
        jobs: Threads; by default one for each core this process may use.
        fast: As in ``medzoo.data.image_io.read_image``.

    Yields:
        One ``Decoded`` for each file, in the order asked.

    Raises:
        RunError: DICOM files without pydicom: nothing is wrong with the files.
    """
    jobs = jobs or joblib.cpu_count()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="decode")
    running: deque[Future[Decoded]] = deque()
    try:
        for index in range(len(paths)) if indices is None else indices:
            if len(running) == jobs * _AHEAD:
                yield running.popleft().result()
            running.append(pool.submit(_decode_one, index, paths[index], geometry, fast))
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def decode_many(
    paths: Sequence[Path],
    geometry: Geometry,
    out: NDArray[np.uint8],
    *,
    progress: Progress | None = None,
    jobs: int | None = None,
    fast: bool = True,
) -> list[tuple[int, str]]:
    """Decode files into one array, on all cores.

    Args:
        paths: N files.
        geometry: The size and channels wanted.
        out: ``uint8 [N, H, W, C]`` in memory or memory-mapped; the rows of rejected files are left as they were.
        progress: Called with (done, total) after every file.
        jobs: Threads; by default one for each core this process may use.
        fast: As in ``medzoo.data.image_io.read_image``.

    Returns:
        (index, reason) of every file that could not be read; the reason names the file.

    Raises:
        ValueError: ``out`` has another shape or type.
        RunError: DICOM files without pydicom.

    Example:
        >>> out = np.zeros((1, 8, 8, 3), np.uint8)
        >>> decode_many([Path("none.png")], Geometry(8, 8), out)
        [(0, 'none.png: cannot be read (No such file or directory)')]
    """
    shape = (len(paths), geometry.height, geometry.width, geometry.channels)
    if out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f"out is {out.dtype} {out.shape}, expected uint8 {shape}")
    rejected = []
    for done, item in enumerate(decode_each(paths, geometry, jobs=jobs, fast=fast), start=1):
        if item.image is None:
            rejected.append((item.index, item.reason))
        else:
            out[item.index] = item.image
        if progress:
            progress(done, len(paths))
    return rejected


def convert_many(
    fetch: Callable[[int], Any],
    geometry: Geometry,
    out: NDArray[np.uint8],
    *,
    progress: Progress | None = None,
    jobs: int | None = None,
) -> list[tuple[int, str]]:
    """Bring images that are no files to one size, on all cores.

    Args:
        fetch: Gives one image, in any form that ``medzoo.data.image_io.as_array`` takes; called in order and in this
            thread, as code of others may not like threads.
        geometry: The size and channels wanted.
        out: As in ``decode_many``.
        progress: Called with (done, total) after every image.
        jobs: Threads; by default one for each core this process may use.

    Returns:
        (index, reason) of every image that could not be read.

    Example:
        >>> out = np.zeros((2, 8, 8, 3), np.uint8)
        >>> convert_many([np.ones((9, 9)), np.full((9, 9), 7.0)].__getitem__, Geometry(8, 8), out)
        [(1, 'image 1: float values from 7 to 7; allowed: [0, 1] (divide by the full range, or give uint8 or uint16)')]
    """
    jobs = jobs or joblib.cpu_count()
    rejected: list[tuple[int, str]] = []
    running: deque[tuple[int, Future[NDArray[np.uint8]]]] = deque()

    def finish() -> None:
        index, future = running.popleft()
        try:
            out[index] = future.result()
        except _UNREADABLE as error:
            rejected.append((index, f"image {index}: {error}"))

    with ThreadPoolExecutor(jobs, thread_name_prefix="convert") as pool:
        for index in range(len(out)):
            try:
                image = fetch(index)
            except _UNREADABLE as error:
                rejected.append((index, f"image {index}: {error}"))
            else:
                running.append((index, pool.submit(as_array, image, geometry)))
            if len(running) >= jobs * _AHEAD:
                finish()
            if progress:
                progress(index + 1, len(out))
        while running:
            finish()
    return sorted(rejected)


def _read(path: Path) -> tuple[bytes, Stamp]:
    """A file's content, with the stamp of the very bytes returned: the file may change meanwhile."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        data = file.read()
    return data, Stamp(status.st_size, status.st_mtime_ns, hashlib.sha256(data).hexdigest())


def _decode_one(index: int, path: Path, geometry: Geometry, fast: bool) -> Decoded:
    stamp = quick_stamp(path)
    try:
        data, stamp = _read(path)
        return Decoded(index, decode(data, geometry, str(path), fast=fast), "", stamp)
    except OSError as error:
        return Decoded(index, None, f"{path}: cannot be read ({error.strerror or error})", stamp)
    except (DataError, InputError) as error:
        return Decoded(index, None, str(error), stamp)
