"""``audit``: which images, and which patients, of a data set a weight was pretrained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.image_hashes import frames_of
from medzoo.contamination.result import Audit, audit_records
from medzoo.contamination.seen_images import SEEN, Seen, read_seen
from medzoo.core.errors import DataError
from medzoo.data.dataset import Examples, records_of
from medzoo.data.lazy_records import Labelled, Picked
from medzoo.data.records import Records
from medzoo.zoo.resolve import resolve


def audit(data: Any, weight: str | Path, *, zoo: str | Path | None = None) -> Audit:
    """Find the images of a data set that a weight has seen in pretraining, and those of patients it has seen.

    A copy is found at another size, in another encoding and with other brightness or contrast; not when it is flipped,
    turned, cropped or equalised (``medzoo.contamination.perceptual_hash.image_hash`` says what was measured). "Seen"
    means trained on: images that were held out to validate the weight changed nothing in it and do not count.

    Args:
        data: A folder (every image below it; no labels are needed), or anything else that ``finetune`` takes.
        weight: A weight's name, or the folder of a bundle.
        zoo: As in ``medzoo.create_model``.

    Returns:
        What was found, one row for each image; print it, or see ``.table()``, ``.seen`` and ``.to_dict()``.

    Raises:
        ZooError: The weight cannot be found, or does not tell what it has seen.
        DataError: There is no image, or one cannot be read.

    Example:
        >>> found = audit("my_images/", "densenet121_cxr_in")  # doctest: +SKIP
        >>> found.counts["near copy"], found.table()  # doctest: +SKIP
    """
    seen = seen_by(weight, zoo)  # first: without it, nothing needs to be decoded
    return audit_frames(data, seen)


def seen_by(weight: str | Path, zoo: str | Path | None = None) -> Seen:
    """What a weight has seen.

    Args:
        weight: A weight's name, or the folder of a bundle.
        zoo: As in ``medzoo.create_model``.

    Raises:
        ZooError: The weight cannot be found, or does not tell.
    """
    return read_seen(resolve(weight, zoo, whole=True).folder / SEEN)


def audit_frames(data: Any, seen: Seen) -> Audit:
    """``audit`` against what is known already to have been seen, by one weight or, joined, by several.

    Args:
        data: As in ``audit``.
        seen: What was seen.
    """
    frames = frames_of(data)
    return replace(audit_records(frames.hashes, frames.patients, seen), names=frames.names)


def leave_out(data: Any, seen: Seen) -> tuple[Any, Audit]:
    """A data set without the images that were seen, and without the patients.

    Args:
        data: Anything that ``medzoo.data.dataset.load_examples`` takes.
        seen: What was seen, by one weight or, joined, by all that are to be compared.

    Returns:
        What is left, in a form that ``load_examples`` takes, and what was found.

    Raises:
        DataError: Nothing is left, or an image cannot be read.
    """
    data = records_of(data)
    found = audit_frames(data, seen)
    if found.seen.all():
        raise DataError(f"all {len(found):,} images, or their patients, were seen in pretraining; nothing is left")
    rows = np.flatnonzero(~found.seen)
    if isinstance(data, (Records, Examples, Labelled)):
        return data.take(rows), found
    if isinstance(data, tuple):
        return tuple([values[i] for i in rows.tolist()] for values in data), found
    return _Kept(data, rows), found


class _Kept(Picked):
    """Some items of a torch ``Dataset``, with the names of its classes."""

    def __init__(self, data: Any, rows: NDArray[np.int64]) -> None:
        super().__init__(data, rows)
        self.classes = getattr(data, "classes", None)
