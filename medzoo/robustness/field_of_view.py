"""The field of view of an eye: the lit disc that a fundus camera leaves in a dark frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_DARK = 20  # grey levels: below it nothing was lit
_LEAST, _MOST = 0.35, 0.995  # share of an image that a field of view takes


def fields_of_view(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find the lit part of each image: its largest bright piece, without holes.

    Args:
        images: ``uint8 [N, H, W, C]``.

    Returns:
        ``bool [N, H, W]``.
    """
    return np.stack([_field_of_view(image) for image in images])


def _field_of_view(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    lit = ndimage.median_filter(image.max(2), size=3) >= _DARK
    pieces, count = ndimage.label(lit)
    if count > 1:
        sizes = np.bincount(pieces.ravel())[1:]
        lit = pieces == sizes.argmax() + 1
    return np.asarray(ndimage.binary_fill_holes(lit), bool)


def shows_eyes(images: NDArray[np.uint8]) -> bool:
    """Return whether images look like fundus photographs: a red disc in a dark frame.

    Args:
        images: ``uint8 [N, H, W, C]``, some of the data set.

    Returns:
        True where most images have dark corners and are more red than green and more green than blue.

    Example:
        >>> y, x = np.mgrid[-1:1:32j, -1:1:32j]
        >>> disc = ((x**2 + y**2 < 1)[..., None] * np.array([180, 90, 40])).astype(np.uint8)
        >>> shows_eyes(disc[None]), shows_eyes(disc[None, :, :, ::-1])
        (True, False)
    """
    if images.shape[3] != 3:
        return False
    fields = fields_of_view(images)
    return bool(np.mean([_is_eye(image, field) for image, field in zip(images, fields, strict=True)]) > 0.5)


def _is_eye(image: NDArray[np.uint8], field: NDArray[np.bool_]) -> bool:
    corners = field[[0, 0, -1, -1], [0, -1, 0, -1]]
    if corners.any() or not _LEAST <= field.mean() <= _MOST:
        return False
    red, green, blue = image[field].mean(0)
    return bool(red > 1.1 * green and green > blue)
