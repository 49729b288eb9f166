"""Means, intervals and tests over folds and seeds that share their images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medzoo.comparison.design import TOO_FEW, detectable, enough, reach
from medzoo.metrics.estimates import Estimate


@dataclass(frozen=True)
class PairedTest:
    """The paired test of pretrained weights against the baseline.

    Attributes:
        difference: Mean difference over paired runs, with its 95 % interval.
        p: Two-sided p-value of "no difference"; ``None`` where it is undefined.
        runs: Pairs of runs.
        adjusted: The p-value corrected for the number of comparisons.
        not_better: Probability that the true difference is 0 or less; ``None`` where there is no interval.
        spread: Standard deviation of the paired differences.
        ratio: Held-out images over training images of a run.
        limit: The largest difference that the metric allows; ``None``: any.
        detectable: The smallest true difference that this design detects with 80 % power; ``None`` where there is no
            interval, or the metric allows no such difference.
    """

    difference: Estimate
    p: float | None
    runs: int
    adjusted: float | None = None
    not_better: float | None = None
    spread: float | None = None
    ratio: float = 0.0
    limit: float | None = None
    detectable: float | None = None


def corrected_mean(values: Sequence[float] | NDArray[Any], ratio: float) -> tuple[Estimate, float | None]:
    """Return the mean over runs on overlapping images, its 95 % interval, and a test of "the mean is 0".

    Runs of a repeated cross-validation share most of their training images, so that their spread understates the
    uncertainty; the variance of the mean is taken as ``(1/n + ratio)`` times their variance instead of ``1/n`` times.

    Args:
        values: n numbers, one a run; NaN where undefined.
        ratio: Held-out images over training images of a run.

    Returns:
        The mean with its interval, and the p-value; both ends and p are ``None`` for too few runs
        (``medzoo.comparison.design.enough``).

    Example:
        >>> estimate, p = corrected_mean([0.1, 0.2, 0.3, 0.2, 0.2], ratio=0.25)
        >>> str(estimate), round(p, 3)
        ('0.200 (0.068 to 0.332)', 0.014)
        >>> corrected_mean([0.1, 0.2, 0.3], ratio=0.5)[0].why
        'too few runs for an interval'

    Source:
        Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003; for repeated
        cross-validation Bouckaert and Frank, PAKDD 2004.
    """
    test = paired_test(values, ratio)
    return test.difference, test.p


def paired_test(differences: Sequence[float] | NDArray[Any], ratio: float, limit: float | None = None) -> PairedTest:
    """Test paired differences of runs on overlapping images.

    Args:
        differences: n numbers, one a pair of runs; NaN where undefined.
        ratio: As in ``corrected_mean``.
        limit: The largest difference that the metric allows (default any): no interval goes further, and one that holds
            0 and would go further is none.

    Returns:
        The test of these runs; what depends on other comparisons is added by ``corrected``.

    Example:
        >>> test = paired_test([0.01, 0.03, 0.02, 0.03, 0.02], ratio=0.25, limit=1.0)
        >>> str(test.difference), round(test.not_better, 3)
        ('0.022 (0.006 to 0.038)', 0.009)

    Source:
        As ``corrected_mean``; ``not_better`` is the posterior of Corani and Benavoli, "A Bayesian approach for
        comparing cross-validated algorithms on multiple data sets", Machine Learning 100, 2015, whose prior knows
        nothing, and whose Student distribution is that of the test.
    """
    known = np.asarray(differences, dtype=np.float64)
    known = known[np.isfinite(known)]
    n, missing = len(known), len(differences) - len(known)
    if not n:
        return PairedTest(Estimate(None, None, None, "undefined in every run"), None, 0)
    mean = float(known.mean())
    why = f"undefined in {missing} of {len(differences)} runs" if missing else ""
    none = PairedTest(Estimate(mean, None, None, "; ".join(filter(None, (why, TOO_FEW)))), None, n)
    if not enough(n, ratio):
        return none
    spread = float(known.std(ddof=1))
    if spread < 1e-12:  # all runs alike
        return PairedTest(Estimate(mean, mean, mean, why), 0.0 if mean else 1.0, n, not_better=float(mean <= 0))
    error = float(np.sqrt(1 / n + ratio)) * spread
    low, high = (mean + sign * reach(n, ratio) * spread for sign in (-1, 1))
    most = math.inf if limit is None else limit
    if low <= 0 <= high and (low < -most or high > most):
        return none
    return PairedTest(
        Estimate(mean, max(low, -most), min(high, most), why),
        float(2 * stats.t.sf(abs(mean) / error, n - 1)),
        n,
        not_better=float(stats.t.cdf(-mean / error, n - 1)),
        spread=spread,
        ratio=ratio,
        limit=limit,
    )


def split_ratio(records: Sequence[Mapping[str, Any]]) -> float:
    """Return held-out over other images of a split, in the mean over finished runs.

    Runs on a share of the training images count as runs on all: the correlation of runs is that of their split, which
    smaller training sets, overlapping less, do not raise.

    Example:
        >>> split_ratio([{"rows": range(20), "train_images": 8, "fraction": 0.1}])
        0.25
    """
    return float(np.mean([len(r["rows"]) * r["fraction"] / r["train_images"] for r in records]))


def corrected(tests: Sequence[PairedTest | None]) -> list[PairedTest | None]:
    """Return tests with their p-values adjusted for all of them (Holm), and what each could have detected then."""
    adjusted = holm([test.p if test else None for test in tests])
    count = sum(p is not None for p in adjusted)
    return [
        test and replace(test, adjusted=p, detectable=_detectable(test, count))
        for test, p in zip(tests, adjusted, strict=True)
    ]


def _detectable(test: PairedTest, comparisons: int) -> float | None:
    """Return the smallest difference that a test detects with 80 % power."""
    if test.spread is None:
        return None
    found = test.spread * detectable(test.runs, round(test.ratio, 3), comparisons)
    return found if test.limit is None or found <= test.limit else None


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
