"""Brushes that the three painters share: coordinates, soft edges and smooth noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.floating]
Pixels = NDArray[np.uint8]


@lru_cache(maxsize=64)
def grid(height: int, width: int) -> tuple[Field, Field]:
    """Read-only coordinates ``(y, x)`` of every pixel, each from -1 to 1.

    Example:
        >>> y, x = grid(2, 3)
        >>> x.tolist()
        [[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]
    """
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y, x = (np.ascontiguousarray(np.broadcast_to(axis, (height, width))) for axis in (down, across))
    y.flags.writeable = x.flags.writeable = False
    return y, x


def inside(distance: Any, soft: float) -> Field:
    """1 where a signed distance is negative, 0 where positive, smooth over a width of ``soft``.

    Example:
        >>> inside(np.float32([-1, 0, 1]), soft=0.5).tolist()
        [1.0, 0.5, 0.0]
    """
    t = np.clip(0.5 - np.asarray(distance, dtype=np.float32) * np.float32(1 / soft), 0, 1)
    return t * t * (3 - 2 * t)


def hill(x: Any, y: Any, width: float, height: float) -> Field:
    """A smooth bump of height 1 at the origin, gone at about twice its half-widths.

    Example:
        >>> hill(np.float32([0, 9]), np.float32([0, 0]), 1, 1).tolist()
        [1.0, 0.0]
    """
    square = (x * (1 / width)) ** 2 + (y * (1 / height)) ** 2
    return np.clip(1 - square / 4, 0, 1) ** 2


def cloud(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 1) -> Field:
    """Smooth noise of mean 0 and spread about 1, with features of about ``cell`` pixels.

    Args:
        rng: Where the numbers come from.
        height: Pixels.
        width: Pixels.
        cell: Size of the coarsest features in pixels.
        octaves: How many sizes are added, each half as large and half as strong as the one before.

    Returns:
        ``float32 [height, width]``.

    Example:
        >>> cloud(np.random.default_rng(0), 32, 48, cell=8, octaves=2).shape
        (32, 48)
    """
    # Coarse noise is added up at half the resolution, and the finest is not smoothed as well: nobody sees it, and
    # it takes half the time.
    half = 2 if cell / 2 ** (octaves - 1) >= 6 else 1
    filter_ = Image.Resampling.BICUBIC if half == 2 else Image.Resampling.BILINEAR
    down, across = height // half, width // half
    total = np.zeros((down, across), dtype=np.float32)
    for octave in range(octaves):
        size = cell / 2**octave / half
        coarse = rng.standard_normal((int(down / size) + 3, int(across / size) + 3), dtype=np.float32)
        # A random part of the coarse cells, so that cell borders fall elsewhere in every picture.
        left, top = rng.uniform(0, 1, 2)
        box = (left, top, left + across / size, top + down / size)
        fine = Image.fromarray(coarse).resize((across, down), filter_, box=box)
        total += np.asarray(fine) * np.float32(0.5**octave)
    if half == 1:
        return total
    return np.asarray(Image.fromarray(total).resize((width, height), Image.Resampling.BILINEAR))


def bend(picture: Field, amount: float) -> Field:
    """Values clipped to 0 to 1 with the middle tones lifted or lowered: a cheap stand-in for gamma.

    Example:
        >>> bend(np.float32([0, 0.5, 1]), 0.4).round(2).tolist()
        [0.0, 0.6000000238418579, 1.0]
    """
    clipped = np.clip(picture, 0, 1)
    return clipped + np.float32(amount) * clipped * (1 - clipped)


def cover_of(canvas: Image.Image, times: int) -> Field:
    """An 8-bit canvas that was painted ``times`` as large, for smooth borders, as values from 0 to 1.

    Example:
        >>> cover_of(Image.new("L", (4, 2), 255), times=2).tolist()
        [[1.0, 1.0]]
    """
    return np.asarray(canvas.reduce(times), dtype=np.float32) * np.float32(1 / 255)


def interleaved(planes: Field) -> Pixels:
    """Three planes ``[3, height, width]`` of values from 0 to 1 as an RGB picture ``uint8 [height, width, 3]``."""
    return np.ascontiguousarray(to_bytes(planes).transpose(1, 2, 0))


def to_bytes(picture: NDArray[Any]) -> Pixels:
    """Values from 0 to 1 as bytes.

    Example:
        >>> to_bytes(np.array([-1, 0.5, 2])).tolist()
        [0, 128, 255]
    """
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
