"""Content hashes of images: an exact one of the pixels, and a perceptual one that survives rescaling and re-encoding.

A hash is 48 bytes: ``EXACT`` (16) and ``NEAR`` (32). The near hash holds the signs of the 256 lowest cosine frequencies
of the grey image, area-averaged to 32 x 32: they barely change with size, encoding, brightness or linear contrast. They
tell images apart so well that no thumbnail of a patient's image need be published. Chosen by measurement
(``benchmarks/audit.py``): the same X-ray rescaled by strangers differs in at most 3 bits, two different X-rays in 44 or
more, two different eyes in 24 or more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import InputError

VERSION = "dct256-1"
LENGTH = 48
EXACT = slice(0, 16)
NEAR = slice(16, 48)

# Up to this many of 256 bits, two images count as copies.
NEAR_BITS = 20

_GRID = 32
_LUMA = np.array([0.299, 0.587, 0.114])
# The 256 lowest frequencies (row, column) by their sum, without the mean (0, 0).
_FREQUENCIES = np.array(sorted(((u, s - u) for s in range(1, 23) for u in range(s + 1)), key=sum)[:256]).T
_COSINES = np.cos(np.pi * np.arange(_FREQUENCIES.max() + 1)[:, None] * (np.arange(_GRID) + 0.5) / _GRID) / _GRID


def image_hash(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Hash one decoded image.

    Give the full frame, before any crop: the near hash squashes it to a square, so it agrees between an original of any
    size and its squashed cache entry, but not between a frame and its centre crop. Do not count on finding a copy that
    was flipped, rotated, cropped by more than one percent, histogram-equalised, bent by a strong gamma, or that had a
    bright label put on it.

    The exact part is BLAKE2b over pixels, shape and type (three equal channels count as one), not over the file: it
    works for arrays that came from no file, and a lossless copy in another container is still exact. A file that was
    decoded at reduced size, or by another JPEG decoder, gives other pixels: then the near part finds it.

    Args:
        array: ``[H, W]``, ``[H, W, 1]`` or ``[H, W, 3]`` (RGB), any integer or float type, any value range.

    Returns:
        ``uint8 [48]``: the exact hash in ``EXACT``, the near hash in ``NEAR``.

    Raises:
        InputError: The array is empty, has another shape or type, or holds values that are not finite.

    Example:
        >>> grey = np.arange(64, dtype=np.uint8).reshape(8, 8) ** 2
        >>> rgb = np.stack([grey] * 3, axis=-1)
        >>> bool((image_hash(grey) == image_hash(rgb)).all())
        True

    Source:
        Signs of low cosine frequencies as a robust image hash: C. Zauner, "Implementation and Benchmarking of
        Perceptual Image Hash Functions", 2010 (pHash), here with 256 bits and without its median.
    """
    pixels = _one_or_three(np.asarray(array))
    out = np.empty(LENGTH, dtype=np.uint8)
    out[EXACT] = np.frombuffer(_digest(pixels), dtype=np.uint8)
    out[NEAR] = np.packbits(_signs(pixels))
    return out


def image_hashes(arrays: Iterable[NDArray[Any]]) -> NDArray[np.uint8]:
    """Hash images of any sizes, one at a time.

    Args:
        arrays: Images as in ``image_hash``; a generator keeps one image in memory.

    Returns:
        ``uint8 [N, 48]``.

    Raises:
        InputError: An image cannot be hashed (see ``image_hash``).

    Example:
        >>> image_hashes(np.zeros((2, 9, 7), np.uint8)).shape
        (2, 48)
    """
    rows = [image_hash(array) for array in arrays]
    return np.stack(rows) if rows else np.empty((0, LENGTH), dtype=np.uint8)


def _one_or_three(array: NDArray[Any]) -> NDArray[Any]:
    """Return the image as [H, W] where it is grey, else [H, W, 3]."""
    shape = "x".join(map(str, array.shape))
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)) or not array.size:
        raise InputError(f"cannot hash an array of shape {shape or '()'}; give [H, W], [H, W, 1] or [H, W, 3]")
    if array.dtype.kind not in "uif":
        raise InputError(f"cannot hash an array of {array.dtype}; give integer or float pixels")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            f"cannot hash an image ({shape}) with values that are not finite; replace NaN and infinity first"
        )
    if array.ndim == 3 and all(np.array_equal(array[..., 0], array[..., c]) for c in range(1, array.shape[2])):
        return array[..., 0]
    return array


def _digest(pixels: NDArray[Any]) -> bytes:
    little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    digest = hashlib.blake2b(f"{little.dtype.str}{little.shape}".encode(), digest_size=16)
    digest.update(little.data)
    return digest.digest()


def _signs(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which of the lowest cosine frequencies of the grey image are positive, ``bool [256]``."""
    small = _shrink(_shrink(pixels).swapaxes(0, 1)).swapaxes(0, 1)
    grey = small if small.ndim == 2 else small @ _LUMA
    spectrum = _COSINES @ grey @ _COSINES.T
    # More than rounding: a blank image has no signs, whatever its colour.
    least = 1e-9 * np.abs(grey).max()
    positive: NDArray[np.bool_] = spectrum[_FREQUENCIES[0], _FREQUENCIES[1]] > least
    return positive


def _shrink(array: NDArray[Any]) -> NDArray[np.float64]:
    """Average the first axis by area to the grid, ``float64 [32, ...]``.

    Plain sums rather than a matrix product: faster on large images, and no slower where other work keeps the cores
    busy, when the threads of a small product wait for one another a hundred times as long as they compute.
    """
    if len(array) < _GRID:
        array = np.repeat(array, -(-_GRID // len(array)), axis=0)
    edges = np.arange(_GRID + 1) * len(array) / _GRID
    first = edges.astype(np.int64)
    sums = np.stack([array[a:b].sum(0, dtype=np.float64) for a, b in pairwise(first)])
    # A row that an edge cuts was counted below the edge; the part above it belongs to the cell before.
    above = (edges - first)[:-1].reshape(-1, *[1] * (array.ndim - 1)) * array[first[:-1]]
    mean: NDArray[np.float64] = (sums - above + np.roll(above, -1, axis=0)) * (_GRID / len(array))
    return mean
