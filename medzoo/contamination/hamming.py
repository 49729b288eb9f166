"""Nearest hashes by Hamming distance, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.perceptual_hash import EXACT, NEAR, NEAR_BITS

# Comparisons in one block: the intermediates stay in a core's cache.
_QUERIES, _KNOWN = 64, 8192
# The last 64-bit word holds the finest frequencies: they differ most between images, which makes it the best filter.
_FILTER = 3


def _ones_by_halves(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the one bits of each 64-bit word, in pairs, fours and eights, then over the bytes."""
    pairs, fours, eights, bytewise = (
        np.uint64(0x0101010101010101 * byte) for byte in (0b01010101, 0b00110011, 0b00001111, 1)
    )
    x = words - (words >> np.uint64(1) & pairs)
    x = (x & fours) + (x >> np.uint64(2) & fours)
    x = x + (x >> np.uint64(4)) & eights
    return (x * bytewise >> np.uint64(56)).astype(np.uint8)


# numpy 1.26 has no bitwise_count.
_ones = getattr(np, "bitwise_count", _ones_by_halves)


def nearest(
    queries: NDArray[np.uint8], known: NDArray[np.uint8], limit: int = NEAR_BITS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the nearest known hash of each query within a limit.

    The search is exact: a quarter of the bits excludes the pairs that differ too much in it already, and the others are
    counted in full.

    Args:
        queries: ``uint8 [N, 48]`` hashes.
        known: ``uint8 [M, 48]`` hashes.
        limit: The largest distance, 0 to 256 bits.

    Returns:
        ``int64 [N]`` rows of ``known`` (-1 where none is near; the first of equally near ones) and ``int64 [N]``
        distances (-1 where none is near).

    Example:
        >>> known = np.eye(3, 48, k=16, dtype=np.uint8) * 255
        >>> rows, bits = nearest(known[[2, 0]], known, limit=4)
        >>> rows.tolist(), bits.tolist()
        ([2, 0], [0, 0])
    """
    words_q, words_k = _words(queries), _words(known)
    # One number for distance and row, so that the least is the nearest and, among equals, the first.
    none = np.iinfo(np.int64).max
    best = np.full(len(queries), none, dtype=np.int64)
    for k in range(0, len(known), _KNOWN):
        part = np.ascontiguousarray(words_k[k : k + _KNOWN, _FILTER])
        for q in range(0, len(queries), _QUERIES):
            differing = _ones(words_q[q : q + _QUERIES, _FILTER, None] ^ part)
            i, j = np.divmod(np.flatnonzero(differing <= limit), len(part))
            i, j = i + q, j + k
            full = _distance(words_q[i], words_k[j])
            close = full <= limit
            np.minimum.at(best, i[close], full[close] * len(known) + j[close])
    hit = best < none
    return np.where(hit, best % max(len(known), 1), -1), np.where(hit, best // max(len(known), 1), -1)


def exact_rows(queries: NDArray[np.uint8], known: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Find the first known image with exactly the pixels of each query.

    Args:
        queries: ``uint8 [N, 48]`` hashes.
        known: ``uint8 [M, 48]`` hashes.

    Returns:
        ``int64 [N]`` rows of ``known``, -1 where no image is the same.

    Example:
        >>> known = np.eye(3, 48, dtype=np.uint8)
        >>> exact_rows(known[[1]], known).tolist(), exact_rows(known[[1]], known[:1]).tolist()
        ([1], [-1])
    """
    wanted = {row.tobytes() for row in queries[:, EXACT]}
    first: dict[bytes, int] = {}
    for index, row in enumerate(known[:, EXACT]):
        key = row.tobytes()
        if key in wanted:
            first.setdefault(key, index)
    return np.array([first.get(row.tobytes(), -1) for row in queries[:, EXACT]], dtype=np.int64)


def _words(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the near hashes as four 64-bit words each."""
    return np.ascontiguousarray(hashes[:, NEAR]).view(np.uint64)


def _distance(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    count: NDArray[np.int64] = _ones(a ^ b).sum(1, dtype=np.int64)
    return count
