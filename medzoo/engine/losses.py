"""From logits to a loss and to probabilities, by task."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

# Logits [B, C], targets [B, C] and image weights [B] -> a scalar.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def balanced_weights(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return class weights inversely proportional to how often a class occurs.

    Source: scikit-learn's ``class_weight="balanced"`` (King and Zeng, 2001): n / (C * n_c).

    Args:
        targets: ``[N, C]`` one-hot labels.

    Returns:
        ``float32 [C]``; a class without images gets 0.

    Example:
        >>> balanced_weights(np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32)).tolist()
        [0.6666666865348816, 2.0]
    """
    counts = targets.sum(0)
    present = counts > 0
    weights = np.zeros_like(counts)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def make_loss(task: str) -> Loss:
    """Return the loss function of a task.

    Args:
        task: ``multilabel`` (binary cross-entropy over the labelled entries, NaN left out) or
            ``binary``, ``multiclass``, ``ordinal`` (cross-entropy over one-hot targets).

    Returns:
        A function of logits ``[B, C]``, targets ``[B, C]`` and image weights ``[B]`` that gives the
        weighted mean, a scalar.
    """
    return _multilabel if task == "multilabel" else _exclusive


def _exclusive(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    each = F.cross_entropy(logits, targets.argmax(1), reduction="none")
    return (each * weights).sum() / weights.sum()


def _multilabel(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    known = ~targets.isnan()
    each = F.binary_cross_entropy_with_logits(logits, targets.nan_to_num(0.0), reduction="none")
    # An image's own mean first: one of 15 labels counts as much as one of 2.
    image = (each * known).sum(1) / known.sum(1).clamp_min(1)
    counts = weights * known.any(1)
    return (image * counts).sum() / counts.sum().clamp_min(torch.finfo(torch.float32).tiny)


def image_weights(targets: NDArray[np.float32], class_weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each image's weight: that of its class.

    Args:
        targets: ``[N, C]`` one-hot labels.
        class_weights: ``float32 [C]``.

    Returns:
        ``float32 [N]``.
    """
    return class_weights[targets.argmax(1)]


def probabilities(logits: Tensor, task: str) -> NDArray[np.float32]:
    """Convert logits to probabilities: sigmoid for ``multilabel``, softmax for the others.

    Example:
        >>> probabilities(torch.zeros(1, 2), "binary").tolist()
        [[0.5, 0.5]]
    """
    result = logits.float().sigmoid() if task == "multilabel" else logits.float().softmax(1)
    return result.cpu().numpy()
