"""Decoded images -> those that look wrongly read: black, constant, or inverted against the rest of their set.

A header can say what a reader must believe and still be wrong (a window in other units, a polarity that nobody
stated). What no single image shows, a set often does: most of its images look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from medzoo.data.normalize import some

_CONSTANT = 1.0  # standard deviation in grey levels; an empty tile of a scanned slide has 1.8
_BLACK = 32  # grey level that 99 % of the pixels lie below; the darkest real fundus photograph has 48
_MOST = 0.99
_GRID = 32  # pixels a side that are looked at, about: 64 find no more on real sets
_CELLS = 16  # cells a side that brightness is averaged over
_FEWEST = 20  # images that make a set: of fewer, none is the rule
_ALIKE = 0.5  # correlation with the set's common pattern: the median of a set that has one is 0.67 or more, else 0.12
_OPPOSITE = -0.3
_COLOURED = 8.0  # grey levels between the channels
_CHUNK = 64  # whose pixels stay in the processor's cache
_NAMED = 5


@dataclass(frozen=True)
class ImageWarning:
    """Something that is wrong with some images of a set.

    Attributes:
        kind: What is wrong, such as ``nearly black``.
        ids: The names of all images concerned.
        total: How many were looked at.
    """

    kind: str
    ids: tuple[str, ...]
    total: int

    @property
    def what(self) -> str:
        """What is wrong with how many images, without a name."""
        return f"{len(self.ids):,} of {self.total:,} images are {self.kind}"

    def __str__(self) -> str:
        return f"{self.what}: {some(self.ids, _NAMED)}"


class ImageChecks:
    """The same as ``check_images`` for images that come in parts: about 1 kB of each is kept."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.float32], ...]] = []

    def add(self, images: NDArray[np.uint8]) -> None:
        """Look at the next images, ``uint8 [N, H, W, C]``."""
        self._parts += [_measured(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]

    def warnings(self, ids: Sequence[str]) -> tuple[ImageWarning, ...]:
        """Judge all images added, named in their order."""
        if not self._parts:
            return ()
        deviation, dark, cells, colours = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        black = dark >= _MOST
        constant = (deviation < _CONSTANT) & ~black
        inverted = np.zeros(len(black), bool)
        good = np.flatnonzero(~black & ~constant)
        if len(good) >= _FEWEST:
            inverted[good] = _inverted_pattern(cells[good]) | _inverted_colour(colours[good])
        found = (
            (black, "nearly black"),
            (constant, "nearly constant"),
            (inverted, "inverted (light and dark swapped) against the rest"),
        )
        return tuple(_warning(rows, what, ids) for rows, what in found if rows.any())


def check_images(images: NDArray[np.uint8], ids: Sequence[str]) -> tuple[ImageWarning, ...]:
    """Find images that look wrongly read.

    - nearly black: 99 % of the pixels lie below 32 of 255;
    - nearly constant: a standard deviation below 1 grey level;
    - inverted: the image's brightness over 16 x 16 cells correlates below -0.3 with the first principal component of
      the set's, in a set whose median correlation is above 0.5 (chest X-rays, fundus photographs); or its mean colour
      points the other way, in a set of one colour (stained tissue). Textures without colour are not judged.

    Args:
        images: ``uint8 [N, H, W, C]``, C 1 or 3; may be memory-mapped.
        ids: What each is called.

    Returns:
        At most one warning for each fault, empty where nothing is wrong.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 1), dtype=np.uint8)
        >>> images[1] = 7
        >>> [str(warning) for warning in check_images(images, ["a.png", "b.png", "c.png"])]
        ['1 of 3 images are nearly black: b.png']
    """
    checks = ImageChecks()
    checks.add(images)
    return checks.warnings(ids)


def reduced(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels of each image that ``check_images`` looks at: of these it finds the same.

    Args:
        images: ``uint8 [N, H, W, C]``.

    Returns:
        ``uint8 [N, h, w, C]``, every n-th row and column, so that about 32 a side are left.
    """
    down, across = (max(1, round(side / _GRID)) for side in images.shape[1:3])
    return images[:, ::down, ::across]


def _measured(images: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
    """Deviation, share of dark pixels, brightness by cell and mean colour of some images."""
    channels = np.moveaxis(reduced(images), 3, 0).astype(np.float32, order="C")
    grey = channels.sum(0) / len(channels)
    flat = grey.reshape(len(grey), -1)
    cells = (_averages(grey.shape[1]) @ grey @ _averages(grey.shape[2]).T).reshape(len(grey), -1)
    means = flat.mean(1, keepdims=True)
    centred = flat - means
    deviation = np.sqrt(np.einsum("ij,ij->i", centred, centred) / flat.shape[1])
    colours = channels.reshape(len(channels), len(grey), -1).mean(2).T
    dark = np.count_nonzero(flat < _BLACK, axis=1) / np.float32(flat.shape[1])
    return deviation, dark, cells - cells.mean(1, keepdims=True), colours - means


def _averages(side: int) -> NDArray[np.float32]:
    """``float32 [16, side]``, the matrix that averages pixels to cells."""
    matrix = np.zeros((_CELLS, side), np.float32)
    for cell in range(_CELLS):
        first, last = cell * side // _CELLS, (cell + 1) * side // _CELLS
        matrix[cell, first : max(last, first + 1)] = 1
    return matrix / matrix.sum(1, keepdims=True)


def _inverted_pattern(cells: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Images whose light and dark places are swapped against the pattern that the set has in common."""
    unit = cells / np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)
    last = unit.shape[1] - 1
    along = unit @ eigh(unit.T @ unit, subset_by_index=(last, last))[1][:, 0]
    along *= 1 if np.median(along) >= 0 else -1
    return (along < _OPPOSITE) & (np.median(np.abs(along)) > _ALIKE)


def _inverted_colour(colours: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Images of the complementary colour, where the set has one colour."""
    common = np.median(colours, axis=0)
    sizes, size = np.linalg.norm(colours, axis=1), float(np.linalg.norm(common))
    along = colours @ common / np.maximum(sizes * size, 1e-6)
    return (along < -_ALIKE) & (sizes > _COLOURED) & (size > _COLOURED) & (np.median(along) > _ALIKE)


def _warning(rows: NDArray[np.bool_], what: str, ids: Sequence[str]) -> ImageWarning:
    names = tuple(str(ids[row]) for row in np.flatnonzero(rows).tolist())
    return ImageWarning(what, names, len(rows))
