"""NCE: the negative conditional entropy of the target's classes given a weight's own predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def nce(predicted: NDArray[Any], labels: NDArray[Any]) -> float:
    """Compute ``-H(Y | Z)``, Z being the source's class that the weight's own head finds most probable.

    The entropy is counted on the same images, so that a head of more classes looks better: compare weights whose
    heads are alike.

    Args:
        predicted: ``int [N]`` class numbers of the source.
        labels: ``int [N]`` class numbers of the target.

    Returns:
        The score in nats, at most 0; higher is better.

    Example:
        >>> nce(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
        0.0
        >>> round(nce(np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])), 4)
        -0.6931

    Source:
        Tran et al., Transferability and hardness of supervised classification tasks, ICCV 2019.
    """
    sources, z = np.unique(predicted, return_inverse=True)
    classes, y = np.unique(labels, return_inverse=True)
    joint = np.zeros((len(sources), len(classes)))
    np.add.at(joint, (z, y), 1 / len(y))
    given = joint / joint.sum(1, keepdims=True)
    present = joint > 0
    return float((joint[present] * np.log(given[present])).sum()) + 0.0  # not -0.0
