"""The kinds of labels a data set may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TASKS = ("binary", "multiclass", "ordinal", "multilabel")


def one_hot(labels: Sequence[int] | NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Return class indices as ``float32 [N, classes]``.

    Example:
        >>> one_hot([1, 0], 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    return np.eye(classes, dtype=np.float32)[np.asarray(labels, dtype=np.int64)]
