"""Find the hashes of one set of images among those of another, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.perceptual_hash import EXACT, NEAR, NEAR_BITS

# Comparisons in one block: the intermediates stay in a core's cache.
_QUERIES, _KNOWN = 64, 8192
# The last 64-bit word holds the finest frequencies: the least alike between different images, so the best first sieve.
_SIEVE = 3


def _ones_by_halves(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The one bits of each 64-bit word, added up in pairs, fours and eights, then over the bytes."""
    pairs, fours, eights, bytewise = (
        np.uint64(0x0101010101010101 * byte) for byte in (0b01010101, 0b00110011, 0b00001111, 1)
    )
    x = words - (words >> np.uint64(1) & pairs)
    x = (x & fours) + (x >> np.uint64(2) & fours)
    x = x + (x >> np.uint64(4)) & eights
    return (x * bytewise >> np.uint64(56)).astype(np.uint8)


# numpy 1.26 has no bitwise_count.
_ones = getattr(np, "bitwise_count", _ones_by_halves)


def distances(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bits in which the near hashes of two equally long lists differ, row by row.

    Args:
        a: ``uint8 [N, 48]`` hashes.
        b: ``uint8 [N, 48]`` hashes.

    Returns:
        ``int64 [N]``, 0 (the same) to 256.

    Example:
        >>> a, b = np.zeros((1, 48), np.uint8), np.full((1, 48), 255, np.uint8)
        >>> distances(a, b).tolist()
        [256]
    """
    return _apart(_words(a), _words(b))


def nearest(
    queries: NDArray[np.uint8], known: NDArray[np.uint8], limit: int = NEAR_BITS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest known hash of each query, where one is near enough.

    Every pair is compared, so none is missed: a quarter of the bits throws out what is too far already, and what is
    left is counted in full.

    Args:
        queries: ``uint8 [N, 48]`` hashes.
        known: ``uint8 [M, 48]`` hashes.
        limit: The most bits, 0 to 256, in which two near hashes may differ.

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
        sieve = np.ascontiguousarray(words_k[k : k + _KNOWN, _SIEVE])
        for q in range(0, len(queries), _QUERIES):
            apart = _ones(words_q[q : q + _QUERIES, _SIEVE, None] ^ sieve)
            i, j = np.divmod(np.flatnonzero(apart <= limit), len(sieve))
            i, j = i + q, j + k
            full = _apart(words_q[i], words_k[j])
            close = full <= limit
            np.minimum.at(best, i[close], full[close] * len(known) + j[close])
    hit = best < none
    return np.where(hit, best % max(len(known), 1), -1), np.where(hit, best // max(len(known), 1), -1)


def exact_rows(queries: NDArray[np.uint8], known: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The first known image with exactly the pixels of each query.

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
    """The near hashes as four 64-bit words each."""
    return np.ascontiguousarray(hashes[:, NEAR]).view(np.uint64)


def _apart(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    count: NDArray[np.int64] = _ones(a ^ b).sum(1, dtype=np.int64)
    return count
