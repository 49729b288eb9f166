"""H-score: how much of the features' variance lies between the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.covariance import ledoit_wolf


def h_score(features: NDArray[Any], labels: NDArray[Any], *, shrink: bool = True) -> float:
    """Compute ``trace(cov(f)^-1 cov(E[f | y]))``.

    As proposed, the score needs many more images than features: with fewer, the inverse does not exist, and
    with its pseudo-inverse every weight gets the same score. By default the covariance is therefore shrunk towards a
    multiple of the identity by the share ``a`` that Ledoit and Wolf's estimator chooses, and the covariance of the
    class means by ``1 - a``.

    Args:
        features: ``[N, F]``, finite.
        labels: ``int [N]`` class numbers.
        shrink: ``False`` for the score as it was proposed, with the pseudo-inverse.

    Returns:
        The score, from 0 to the number of classes less 1; higher is better.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(100) % 2
        >>> noise = rng.normal(size=(100, 4))
        >>> h_score(noise + labels[:, None], labels) > h_score(noise, labels)
        True

    Source:
        Bao et al., An information-theoretic approach to transferability in task transfer learning, ICIP 2019;
        shrunk: Ibrahim et al., Newer is not always better: rethinking transferability metrics, ECML PKDD 2022.
    """
    rows = np.asarray(features, np.float64)
    rows = rows - rows.mean(0)
    if not rows.any():
        return 0.0  # constant features carry no information
    classes, member, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(classes), rows.shape[1]))
    np.add.at(means, member, rows)
    means /= counts[:, None]
    if shrink:
        covariance, share = ledoit_wolf(rows, assume_centered=True)
        if share == 1.0:
            return 0.0  # of the covariance nothing is left, and (1 - share) of the class means
        solved = cho_solve(cho_factor(covariance, lower=True), means.T)
    else:
        share = 0.0
        solved = np.linalg.pinv(rows.T @ rows / len(rows), hermitian=True) @ means.T
    between = counts / len(rows) * (means * solved.T).sum(1)
    return float((1 - share) * between.sum())
