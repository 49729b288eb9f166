"""The content hashes of a data set, each of a whole image at one size."""

from __future__ import annotations

from collections.abc import Sequence

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


def hashes_of(data: ImageDataset[Images]) -> NDArray[np.uint8]:
    """Hash the images of a data set, decoded on all cores.

    Images are hashed as a torch ``Dataset`` returns them: one that crops or rotates them hides copies, as does a data
    set that was decoded with a centre crop.

    Args:
        data: N images; their labels are not used.

    Returns:
        ``uint8 [N, 48]``, see ``medzoo.contamination.perceptual_hash.image_hash``.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
    """
    hashes = np.empty((len(data), LENGTH), np.uint8)
    for row, (frame,) in data.decode_each(FRAME):
        hashes[row] = image_hash(frame)
    return hashes


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


def named_patients(dataset: str, patients: Sequence[str] | NDArray[np.str_] | None) -> list[str] | None:
    """Prefix patient ids with the name of the data set that gave them; an id that has a prefix already keeps it.

    So a table can say that an image shows patient 5288 of another data set: ``chestxray14:5288``.

    Example:
        >>> named_patients("mine", ["7", "", "chestxray14:5288"])
        ['mine:7', '', 'chestxray14:5288']
    """
    if patients is None:
        return None
    return [patient if ":" in patient or not patient else f"{dataset}:{patient}" for patient in map(str, patients)]
