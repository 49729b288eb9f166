"""The stamps of many files, in 49 bytes each."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

import numpy as np
from numpy.typing import NDArray

from medzoo.data.decoding import Stamp

_DIGEST = 32  # bytes of a sha256


class Stamps(MutableMapping[int, Stamp]):
    """A mapping from row to stamp; rows are iterated in ascending order.

    As objects, the stamps of a million images take half a gigabyte.

    Args:
        count: The rows are 0 to ``count - 1``.

    Example:
        >>> stamps = Stamps(3)
        >>> stamps[2] = Stamp(7, 8, "0" * 64)
        >>> list(stamps), stamps[2].size
        ([2], 7)
    """

    def __init__(self, count: int) -> None:
        self._known = np.zeros(count, bool)
        self._quick = np.zeros((count, 2), np.int64)
        self._digests = np.zeros((count, _DIGEST), np.uint8)

    def __getitem__(self, row: int) -> Stamp:
        if not self._known[row]:
            raise KeyError(row)
        size, mtime_ns = self._quick[row].tolist()
        return Stamp(size, mtime_ns, self._digests[row].tobytes().hex())

    def __setitem__(self, row: int, stamp: Stamp) -> None:
        self._quick[row] = stamp.quick
        self._digests[row] = np.frombuffer(bytes.fromhex(stamp.sha256), np.uint8)
        self._known[row] = True

    def __delitem__(self, row: int) -> None:
        self._known[row] = False

    def __len__(self) -> int:
        return int(self._known.sum())

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._known).tolist())

    @property
    def missing(self) -> list[int]:
        """The rows without a stamp."""
        return np.flatnonzero(~self._known).tolist()

    def keep(self, quick: NDArray[np.int64]) -> None:
        """Forget the stamps of files that have another size or time now.

        Args:
            quick: ``int64 [count, 2]``, ``Stamp.quick`` of every row's file.
        """
        self._known &= (self._quick == quick).all(1)
