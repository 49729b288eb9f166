"""Class weights for unbalanced data sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import MedzooError
from medzoo.engine.losses import balanced_weights

# From this ratio of the commonest to the rarest class on, "auto" weighs the classes (the study does so
# for its eye targets, whose ratios are 3.6 and 7.8, and not for COVID-19 Radiography's classes).
UNBALANCED = 3.0


def class_weights(choice: str, targets: NDArray[np.float32], task: str) -> NDArray[np.float32] | None:
    """Return weights inversely proportional to class frequencies, where the choice asks for them.

    Args:
        choice: ``"auto"``, ``"balanced"`` or ``"none"``, as in ``medzoo.finetune``.
        targets: ``float32 [N, C]``, the training images' labels.
        task: The task; ``multilabel`` has no class weights.

    Returns:
        ``float32 [C]``, or ``None`` for none.

    Raises:
        MedzooError: ``"balanced"`` is asked for and the labels do not exclude one another.

    Example:
        >>> class_weights("auto", np.eye(2, dtype=np.float32)[[0, 0, 0, 1]], "binary").tolist()
        [0.6666666865348816, 2.0]
    """
    if choice == "balanced" and task == "multilabel":
        raise MedzooError("class weights are for classes that exclude one another; leave class_weights out")
    if choice == "none" or task == "multilabel":
        return None
    counts = targets.sum(0)
    present = counts[counts > 0]
    if choice == "auto" and present.max() / present.min() < UNBALANCED:
        return None
    return balanced_weights(targets)
