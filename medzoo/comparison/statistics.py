"""Means, intervals and tests over folds and seeds that share their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medzoo.metrics.estimates import Estimate


@dataclass(frozen=True)
class PairedTest:
    """The paired test of pretrained weights against the baseline.

    Attributes:
        difference: Mean difference over paired runs, with its 95 % interval.
        p: Two-sided p-value of "no difference"; ``None`` where it is undefined.
        adjusted: The p-value corrected for the number of comparisons.
        runs: Pairs of runs.
    """

    difference: Estimate
    p: float | None
    runs: int
    adjusted: float | None = None


def corrected_mean(values: Sequence[float] | NDArray[Any], ratio: float) -> tuple[Estimate, float | None]:
    """Return the mean over runs on overlapping images, its 95 % interval, and a test of "the mean is 0".

    Runs of a repeated cross-validation share most of their training images, so that their spread understates the
    uncertainty; the variance of the mean is taken as ``(1/n + ratio)`` times their variance instead of ``1/n`` times.

    Args:
        values: n numbers, one a run; NaN where undefined.
        ratio: Held-out images over training images of a run.

    Returns:
        The mean with its interval, and the p-value; both ends and p are ``None`` for fewer than two runs.

    Example:
        >>> estimate, p = corrected_mean([0.1, 0.2, 0.3, 0.2], ratio=0.25)
        >>> str(estimate), round(p, 3)
        ('0.200 (0.016 to 0.384)', 0.041)

    Source:
        Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003; for repeated
        cross-validation Bouckaert and Frank, PAKDD 2004.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return Estimate(None, None, None, "undefined in every run"), None
    mean = float(known.mean())
    why = f"undefined in {len(values) - len(known)} of {len(values)} runs" if len(known) < len(values) else ""
    if len(known) < 2:
        return Estimate(mean, None, None, why or "one run gives no interval"), None
    error = float(np.sqrt((1 / len(known) + ratio) * known.var(ddof=1)))
    reach = float(stats.t.ppf(0.975, len(known) - 1)) * error
    if error == 0:  # all runs alike
        return Estimate(mean, mean, mean, why), 1.0 if mean == 0 else 0.0
    p = float(2 * stats.t.sf(abs(mean) / error, len(known) - 1))
    return Estimate(mean, mean - reach, mean + reach, why), p


def corrected(tests: Sequence[PairedTest | None]) -> list[PairedTest | None]:
    """Return tests with their p-values adjusted for all of them (Holm)."""
    adjusted = holm([test.p if test else None for test in tests])
    return [test and replace(test, adjusted=p) for test, p in zip(tests, adjusted, strict=True)]


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for multiple comparisons: the chance of any false alarm among them stays at 5 %.

    Args:
        p: p-values; ``None`` where there is none, which counts as no comparison.

    Returns:
        Adjusted p-values, in the same order.

    Example:
        >>> holm([0.01, 0.04, None, 0.03])
        [0.03, 0.06, None, 0.06]

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979.
    """
    order = sorted((value, place) for place, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    highest = 0.0
    for rank, (value, place) in enumerate(order):
        highest = max(highest, min(1.0, value * (len(order) - rank)))
        adjusted[place] = highest
    return adjusted
