"""Removing, from a data set and its validation set, the images seen in pretraining."""

from __future__ import annotations

from collections import Counter

import numpy as np

from medzoo.contamination.audit import leave_out
from medzoo.contamination.seen_images import Seen
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.geometry import Geometry
from medzoo.data.holdout import Validation


def remove_seen(
    data: ImageDataset[Images], validation: Validation, geometry: Geometry, seen: Seen
) -> tuple[Examples, Validation, dict[str, int]]:
    """Decode a data set and leave out, of both sides, the images a weight has seen and those of patients it has seen.

    Args:
        data: The data set.
        validation: What is held out of it, from ``medzoo.data.holdout.open_validation``.
        geometry: The size at which images are decoded.
        seen: What the weight has seen.

    Returns:
        Both sides without those, and how many images of each kind they were.
    """
    examples, found = leave_out(data, geometry, seen)
    left_out = Counter(found.left_out)
    if isinstance(validation, np.ndarray):
        validation = validation[np.isin(data.ids, found.names)][~found.seen]
    elif isinstance(validation, ImageDataset):
        validation, other = leave_out(validation, geometry, seen)
        left_out.update(other.left_out)
    return examples, validation, dict(left_out)


def exclusion_notes(left_out: dict[str, int] | None) -> tuple[str, ...]:
    """Describe what was left out; empty where nobody asked.

    Example:
        >>> exclusion_notes({"exact": 2, "patient": 0})
        ('Left out, as seen in pretraining: 2 exact.',)
    """
    if left_out is None:
        return ()
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in left_out.items() if count)
    return (f"Left out, as seen in pretraining: {kinds}.",) if kinds else ("No image was seen in pretraining.",)
