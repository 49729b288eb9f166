"""LEEP: how well a weight's own outputs predict the target's classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def leep(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Compute the mean log-likelihood of the classes under ``p(y | x) = sum over z of p(y | z) p(z | x)``.

    z are the source's classes; ``p(y | z)`` is counted on the same images, so that a head of more classes fits
    more: compare weights whose heads are alike.

    Args:
        probabilities: ``[N, Z]``, the weight's own head on the images; rows sum to 1.
        labels: ``int [N]`` class numbers of the target.

    Returns:
        The score, at most 0; higher is better.

    Example:
        >>> leep(np.array([[1, 0], [1, 0], [0, 1]]), np.array([0, 0, 1]))
        0.0

    Source:
        Nguyen et al., LEEP: A new measure to evaluate transferability of learned representations, ICML 2020.
    """
    source = np.asarray(probabilities, np.float64)
    classes, member = np.unique(labels, return_inverse=True)
    joint = np.zeros((len(classes), source.shape[1]))
    np.add.at(joint, member, source)
    marginal = joint.sum(0)
    given = np.divide(joint, marginal, out=np.zeros_like(joint), where=marginal > 0)
    return float(np.log((source * given[member]).sum(1)).mean())
