"""``audit``: which images and patients of a data set were part of pretraining."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.image_hashes import decode_and_hash, hash_images
from medzoo.contamination.patient_ids import named_patients
from medzoo.contamination.result import Audit, audit_records
from medzoo.contamination.seen_images import SEEN, Seen, read_seen
from medzoo.contamination.seen_list import SEEN_LIST, audit_by_list, read_seen_list
from medzoo.core.errors import DataError
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.geometry import Geometry
from medzoo.data.opening import open_images
from medzoo.data.overview import name_unreadable
from medzoo.data.read_options import ReadOptions
from medzoo.zoo.resolve import resolve


def audit(
    data: Any,
    weight: str | Path,
    *,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    zoo: str | Path | None = None,
) -> Audit:
    """Find the images of a data set that were seen in pretraining, and those of seen patients.

    A copy is found at another size, in another encoding and with other brightness or contrast; not when it is flipped,
    rotated, cropped or equalised (measured in ``medzoo.contamination.perceptual_hash.image_hash``). "Seen" means
    trained on: images that were held out for validation do not count.

    Args:
        data: A folder (every image below it; no labels are needed), or anything else that ``finetune`` takes.
        weight: Name of pretrained weights, or the folder of a bundle.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.
        skip_unreadable: As in ``finetune``.
        zoo: As in ``medzoo.create_model``.

    Returns:
        One row for each image; print it, or see ``.table()``, ``.seen`` and ``.to_dict()``.

    Raises:
        ZooError: The weights cannot be found, or do not list the images of their pretraining.
        DataError: There is no image, or one cannot be read.

    Example:
        >>> found = audit("my_images/", "densenet121_cxr_in")  # doctest: +SKIP
        >>> found.counts["near copy"], found.table()  # doctest: +SKIP
    """
    reading = ReadOptions(page, max_pixels, skip_unreadable)
    folder = resolve(weight, zoo, whole=True).folder
    if not (folder / SEEN).is_file() and (folder / SEEN_LIST).is_file():
        images = open_images(data, reading)
        listed = read_seen_list(folder / SEEN_LIST)
        return audit_by_list(images.ids, named_patients(images.name, images.patients), listed)
    seen = seen_by(weight, zoo)  # first: without it, nothing needs to be decoded
    return audit_images(open_images(data, reading), seen)


def seen_by(weight: str | Path, zoo: str | Path | None = None) -> Seen:
    """Read the images that pretrained weights have seen.

    Args:
        weight: Name of pretrained weights, or the folder of a bundle.
        zoo: As in ``medzoo.create_model``.

    Raises:
        ZooError: The weights cannot be found, or do not list them.
    """
    return read_seen(resolve(weight, zoo, whole=True).folder / SEEN)


def audit_images(data: ImageDataset[Images], seen: Seen) -> Audit:
    """Audit a data set against the seen images of one pretraining or, joined, of several.

    Args:
        data: The data set; its labels are not used.
        seen: The seen images.
    """
    images, hashes = hash_images(data)
    name_unreadable(images)
    return _audit(images, hashes, seen)


def leave_out(data: ImageDataset[Images], geometry: Geometry, seen: Seen) -> tuple[Examples, Audit]:
    """Decode a data set without the seen images and the images of seen patients.

    Args:
        data: The data set.
        geometry: The size at which it is decoded.
        seen: The seen images, joined where several weights are compared.

    Returns:
        The remaining images, decoded, and the audit.

    Raises:
        DataError: Nothing is left, or an image cannot be read.
    """
    examples, hashes = decode_and_hash(data, geometry)
    found = _audit(examples, hashes, seen)
    if found.seen.all():
        raise DataError(f"all {len(found):,} images, or their patients, were seen in pretraining; nothing is left")
    return examples.take(~found.seen) if found.seen.any() else examples, found


def _audit(data: ImageDataset[Images], hashes: NDArray[np.uint8], seen: Seen) -> Audit:
    return replace(audit_records(hashes, named_patients(data.name, data.patients), seen), names=data.ids)
