"""A data set, and its validation set, without what a weight has seen in pretraining."""

from __future__ import annotations

from collections import Counter
from numbers import Real
from typing import Any

import numpy as np

from medzoo.contamination.audit import leave_out
from medzoo.contamination.seen_images import Seen
from medzoo.data.dataset import records_of


def without_seen(data: Any, validation: Any, task: str | None, seen: Seen) -> tuple[Any, Any, dict[str, int]]:
    """Leave out, of both sides, the images that a weight has seen and those of patients it has seen.

    Args:
        data: A data set, as in ``medzoo.finetune``.
        validation: As in ``medzoo.finetune``.
        task: As in ``medzoo.finetune``.
        seen: What the weight has seen.

    Returns:
        Both sides without those, and how many images of each kind they were.
    """
    data, found = leave_out(data, seen)
    left_out = Counter(found.left_out)
    if isinstance(validation, np.ndarray) and len(validation) == len(found):
        validation = validation[~found.seen]
    elif validation is not None and not isinstance(validation, (Real, np.ndarray)):
        validation, other = leave_out(records_of(validation, task), seen)
        left_out.update(other.left_out)
    return data, validation, dict(left_out)


def exclusion_notes(left_out: dict[str, int] | None) -> tuple[str, ...]:
    """What was left out, in words; nothing where nobody asked.

    Example:
        >>> exclusion_notes({"exact": 2, "patient": 0})
        ('Left out, as seen in pretraining: 2 exact.',)
    """
    if left_out is None:
        return ()
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in left_out.items() if count)
    return (f"Left out, as seen in pretraining: {kinds}.",) if kinds else ("No image was seen in pretraining.",)
