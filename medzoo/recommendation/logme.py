"""LogME: how probable the labels are under a Bayesian linear model of the features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Floats = NDArray[np.float64]

# Below this share of the largest, an eigenvalue is rounding.
_RANK = 1e-12
# Ratios of the prior's to the noise's precision that are tried, as shares of the largest eigenvalue: e to these.
_RATIOS = np.linspace(-23.0, 23.0, 93)


def log_me(features: NDArray[Any], labels: NDArray[Any]) -> float:
    """Compute the logarithm of the maximum evidence, per image, of linear models that give each class's 0 and 1.

    The model is ``y = f w + noise`` with ``w ~ N(0, 1/alpha)`` and ``noise ~ N(0, 1/beta)``; the evidence
    ``p(y | F, alpha, beta)`` is maximised over both precisions. The paper does this by a fixed-point iteration; here,
    beta has a closed form given ``alpha / beta``, so that one number is left to search, which finds the same maximum
    and cannot fail to converge.

    Args:
        features: ``[N, F]``, finite.
        labels: ``int [N]`` class numbers.

    Returns:
        The mean over the classes that occur; higher is better. Comparable between weights on the same images only.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(100) % 2
        >>> noise = rng.normal(size=(100, 4))
        >>> log_me(noise + labels[:, None], labels) > log_me(noise, labels)
        True

    Source:
        You et al., LogME: Practical assessment of pre-trained models for transfer learning, ICML 2021.
    """
    rows = np.asarray(features, np.float64)
    wanted = (np.asarray(labels)[:, None] == np.unique(labels)).astype(np.float64)
    squares, parts = _spectrum(rows, wanted)
    rest = np.maximum((wanted**2).sum(0) - (parts**2).sum(0), 0.0)
    return float(
        np.mean([_evidence(squares, part**2, left, len(rows)) for part, left in zip(parts.T, rest, strict=True)])
    )


def _spectrum(rows: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Return eigenvalues ``[r]`` of ``rows rows'`` and coordinates ``[r, K]`` of each target on their eigenvectors."""
    wide = rows.shape[1] >= len(rows)
    squares, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = squares > _RANK * max(squares[-1], 0.0)
    squares, vectors = squares[kept], vectors[:, kept]
    return squares, vectors.T @ wanted if wide else vectors.T @ (rows.T @ wanted) / np.sqrt(squares)[:, None]


def _evidence(squares: Floats, energy: Floats, rest: float, count: int) -> float:
    """Return the largest log evidence per image of one target.

    With ``r = alpha / beta`` the targets are ``N(0, (1 + F F' / r) / beta)``, so that ``beta = N / q(r)`` is best,
    where ``q(r) = y' (1 + F F' / r)^-1 y``.

    Args:
        squares: Eigenvalues of ``F F'``.
        energy: Squared coordinates of the target on their eigenvectors.
        rest: Squared length of what lies outside their span.
        count: N.
    """
    top = np.log(squares[-1]) if len(squares) else 0.0
    floor = (energy.sum() + rest) * _RANK

    def value(log_ratio: float) -> float:
        ratio = np.exp(log_ratio)
        quadratic = max((energy * ratio / (ratio + squares)).sum() + rest, floor)
        return float(-0.5 * (np.log(2 * np.pi * quadratic / count) + 1 + np.log1p(squares / ratio).sum() / count))

    tried = top + _RATIOS
    best = int(np.argmax([value(x) for x in tried]))
    around = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
    return -float(minimize_scalar(lambda x: -value(x), bounds=around, method="bounded", options={"xatol": 1e-6}).fun)
