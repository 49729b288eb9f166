"""Many images -> arrays of one size or several, on all cores, with bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medzoo.core.errors import DataError, InputError
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import as_arrays, decode_sizes
from medzoo.data.read_options import DEFAULT, ReadOptions

Progress = Callable[[int, int], None]
# What reading an image raises in code of others (a torch data set), where the image and not the code is to blame.
UNREADABLE = (OSError, SyntaxError, Image.DecompressionBombError, DataError, InputError)
_AHEAD = 8  # images in flight per job: enough that one slow file holds nothing up


class Images(Protocol):
    """N images by number: files, arrays, or anything lazy; each is read when it is indexed."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True)
class Stamp:
    """Identify a file's content: size and time for a fast comparison, the digest for certain.

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
        """Size and time, as one ``stat`` call gives them."""
        return self.size, self.mtime_ns


@dataclass(frozen=True)
class Decoded:
    """One decoded or rejected image.

    Attributes:
        index: Its place in the items given.
        images: ``uint8 [H, W, C]`` for each geometry asked for; none where the image was rejected.
        reason: Why it was rejected, else empty.
        stamp: The file as it was when it was read; ``Stamp(-1, -1)`` for an image that came from no file.
    """

    index: int
    images: tuple[NDArray[np.uint8], ...]
    reason: str
    stamp: Stamp

    @property
    def image(self) -> NDArray[np.uint8] | None:
        """The image at the first size asked for, or ``None`` where it was rejected."""
        return self.images[0] if self.images else None


def quick_stamp(path: Path) -> Stamp:
    """Return size and time of a file without reading it; ``Stamp(-1, -1)`` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return Stamp(-1, -1)
    return Stamp(status.st_size, status.st_mtime_ns)


def full_stamp(path: Path) -> Stamp:
    """Return size, time and digest of a file; ``Stamp(-1, -1)`` where it cannot be read."""
    try:
        return _read(path)[1]
    except OSError:
        return Stamp(-1, -1)


def decode_each(
    items: Images,
    *geometries: Geometry,
    indices: Sequence[int] | None = None,
    jobs: int | None = None,
    fast: bool = True,
    options: ReadOptions = DEFAULT,
) -> Iterator[Decoded]:
    """Decode images on all cores and yield them in order, a bounded number ahead; each is read once.

    Threads, not processes: Pillow releases Python's lock while it decodes and resizes, nothing has to be copied
    between processes, and a script needs no ``if __name__ == "__main__"``.

    Args:
        items: Paths, or images in any form that ``medzoo.data.image_io.as_array`` takes. They are indexed in order
            and in this thread, as code of others may not like threads.
        geometries: The sizes and channels wanted.
        indices: Which of them, in which order; all by default.
        jobs: Threads; by default one for each core this process may use.
        fast: As in ``medzoo.data.image_io.decode``; for files.
        options: Which of several images in a file, and the largest size allowed.

    Yields:
        One ``Decoded`` for each item, in the order asked.

    Raises:
        RunError: DICOM files without pydicom: nothing is wrong with the files.

    Example:
        >>> [item.reason for item in decode_each([np.full((9, 9), 7.0)], Geometry(8, 8))]
        ['image 0: float values from 7 to 7; allowed: [0, 1] (divide by the full range, or give uint8 or uint16)']
    """
    jobs = jobs or joblib.cpu_count()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="decode")
    running: deque[Future[Decoded]] = deque()
    try:
        for index in range(len(items)) if indices is None else indices:
            if len(running) == jobs * _AHEAD:
                yield running.popleft().result()
            running.append(pool.submit(_decode_one, index, _item(items, index), geometries, fast, options))
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def decode_many(
    items: Images,
    geometry: Geometry,
    out: NDArray[np.uint8],
    *,
    indices: Sequence[int] | None = None,
    progress: Progress | None = None,
    jobs: int | None = None,
    fast: bool = True,
    options: ReadOptions = DEFAULT,
) -> list[tuple[int, str]]:
    """Decode images into one array, on all cores.

    Args:
        items: As in ``decode_each``.
        geometry: The size and channels wanted.
        out: ``uint8 [n, H, W, C]`` in memory or memory-mapped; the rows of rejected images are left as they were.
        indices: The n images to decode, in which order; all by default.
        progress: Called with (done, total) after every image.
        jobs: Threads; by default one for each core this process may use.
        fast: As in ``decode_each``.
        options: As in ``decode_each``.

    Returns:
        (index, reason) of every image that could not be read; the reason names it.

    Raises:
        ValueError: ``out`` has another shape or type.
        RunError: DICOM files without pydicom.

    Example:
        >>> out = np.zeros((1, 8, 8, 3), np.uint8)
        >>> decode_many([Path("none.png")], Geometry(8, 8), out)
        [(0, 'none.png: cannot be read (No such file or directory)')]
    """
    total = len(items) if indices is None else len(indices)
    shape = (total, geometry.height, geometry.width, geometry.channels)
    if out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f"out is {out.dtype} {out.shape}, expected uint8 {shape}")
    rejected = []
    for row, item in enumerate(decode_each(items, geometry, indices=indices, jobs=jobs, fast=fast, options=options)):
        if item.image is None:
            rejected.append((item.index, item.reason))
        else:
            out[row] = item.image
        if progress:
            progress(row + 1, total)
    return rejected


def _read(path: Path) -> tuple[bytes, Stamp]:
    """A file's content, with the stamp of the very bytes returned: the file may change meanwhile."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        data = file.read()
    return data, Stamp(status.st_size, status.st_mtime_ns, hashlib.sha256(data).hexdigest())


def _item(items: Images, index: int) -> Any:
    """One item, or the error with which it could not be read."""
    try:
        return items[index]
    except UNREADABLE as error:
        return error


def _decode_one(index: int, item: Any, geometries: Sequence[Geometry], fast: bool, options: ReadOptions) -> Decoded:
    stamp = Stamp(-1, -1)
    try:
        if isinstance(item, Exception):
            raise item
        if not isinstance(item, (str, Path)):
            return Decoded(index, as_arrays(item, geometries, options), "", stamp)
        stamp = quick_stamp(Path(item))
        data, stamp = _read(Path(item))
        return Decoded(index, decode_sizes(data, geometries, str(item), fast=fast, options=options), "", stamp)
    except UNREADABLE as error:
        if not isinstance(item, (str, Path)):
            return Decoded(index, (), f"image {index}: {error}", stamp)
        if isinstance(error, OSError):
            return Decoded(index, (), f"{item}: cannot be read ({error.strerror or error})", stamp)
        return Decoded(index, (), str(error), stamp)
