"""The content hashes of a data set, each of a whole image at one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.perceptual_hash import LENGTH, image_hash
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.geometry import Geometry
from medzoo.data.image_buffer import room_for

# All hashes are computed at this size and of the whole image, whatever size and crop a network takes: the same file
# then gives the same pixels here and in pretraining.
FRAME = Geometry(224, 224, "squash", 3)


def hash_images(data: ImageDataset[Images]) -> tuple[ImageDataset[Images], NDArray[np.uint8]]:
    """Hash the images of a data set, decoded on all cores.

    Images are hashed as a torch ``Dataset`` returns them: one that crops or rotates them hides copies, as does a data
    set that was decoded with a centre crop.

    Args:
        data: The images; their labels are not used.

    Returns:
        The N images that were hashed (without those that cannot be read, where ``data.reading`` says so), and
        ``uint8 [N, 48]``, see ``medzoo.contamination.perceptual_hash.image_hash``.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
    """
    hashes = np.empty((len(data), LENGTH), np.uint8)
    rejected: list[tuple[int, str]] = []
    for row, (frame,) in data.decode_each(FRAME, rejected=rejected):
        hashes[row] = image_hash(frame)
    return data.without(rejected), np.delete(hashes, [row for row, _ in rejected], axis=0)


def hashes_of(data: ImageDataset[Images]) -> NDArray[np.uint8]:
    """Return the hashes alone of ``hash_images``."""
    return hash_images(data)[1]


def decode_and_hash(data: ImageDataset[Images], geometry: Geometry) -> tuple[Examples, NDArray[np.uint8]]:
    """Decode and hash the images of a data set, each from one read.

    Args:
        data: N images.
        geometry: The size at which they are decoded; images that are decoded already are taken as they are.

    Returns:
        What ``data.decode(geometry)`` returns, and what ``hashes_of`` returns of its images.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
    """
    if isinstance(data.images, np.ndarray):
        return data.decode(geometry), hashes_of(data)
    hashes = np.empty((len(data), LENGTH), np.uint8)
    images = room_for((len(data), geometry.height, geometry.width, geometry.channels))
    rejected: list[tuple[int, str]] = []
    for row, (images[row], frame) in data.decode_each(geometry, FRAME, rejected=rejected):
        hashes[row] = image_hash(frame)
    return data.with_images(images).without(rejected), np.delete(hashes, [row for row, _ in rejected], axis=0)
