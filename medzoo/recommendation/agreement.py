"""Agreement of a ranking without fine-tuning with fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import weightedtau


def agreement(scores: Sequence[float | None], outcomes: Sequence[float | None]) -> float | None:
    """Compute weighted Kendall tau between transferability scores and the metric after fine-tuning.

    Higher is better in both. 1 means the same order, -1 the opposite one, and about 0 no relation. Pairs
    near the top count most (rank r, from 0, weighs 1 / (r + 1) in either list, and the two are averaged), for a ranking
    is asked which weights are best, not which are worst. Ties count half, as in Kendall's tau-b.

    Args:
        scores: A score for each weight; ``None`` or NaN where it has none.
        outcomes: The metric after fine-tuning for each weight, in the same order.

    Returns:
        A number from -1 to 1, over the weights that have both; ``None`` where fewer than two have, or all are tied in
        one of the two.

    Raises:
        ValueError: Not as many scores as outcomes.

    Example:
        >>> agreement([0.1, 0.5, 0.9], [80.0, 85.0, 91.0])
        1.0
        >>> agreement([0.1, None], [80.0, 85.0]) is None
        True

    Source:
        Vigna, A weighted correlation index for rankings with ties, WWW 2015.
    """
    if len(scores) != len(outcomes):
        raise ValueError(f"{len(scores)} scores for {len(outcomes)} outcomes; give one of each for every weight")
    pairs = np.array([scores, outcomes], dtype=np.float64)  # None becomes NaN
    pairs = pairs[:, np.isfinite(pairs).all(0)]
    if pairs.shape[1] < 2 or (np.ptp(pairs, axis=1) == 0).any():
        return None
    return float(weightedtau(pairs[0], pairs[1]).statistic)
