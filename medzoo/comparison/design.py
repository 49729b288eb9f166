"""What a design of so many folds and seeds can tell: whether it gives an interval, and which difference it detects."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import stats

LEVEL, POWER = 0.05, 0.8
TOO_FEW = "too few runs for an interval"
# Folds and seeds that ``advice`` looks through, and the design that it names where none of these is enough.
MOST_FOLDS, MOST_SEEDS, GOOD = 10, 10, (5, 3)
_STUDIES = 20_000  # simulated: the standard error of a power of 80 % is 0.3 %


def reach(runs: int, ratio: float) -> float:
    """Return half the width of the 95 % interval of a mean over runs, in standard deviations of the runs.

    Args:
        runs: Folds times seeds.
        ratio: Held-out images over training images of a run.

    Example:
        >>> [round(reach(runs, ratio), 2) for runs, ratio in ((3, 1 / 2), (5, 1 / 4), (15, 1 / 4))]
        [3.93, 1.86, 1.21]

    Source:
        Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    return float(stats.t.ppf(1 - LEVEL / 2, runs - 1) * np.sqrt(1 / runs + ratio))


def enough(runs: int, ratio: float) -> bool:
    """Return whether runs are enough for an interval of their mean.

    They are where that is no wider than the interval that holds 95 % of single runs (1.96 standard deviations to
    either side): a wider one says less of the mean than any single run does. It depends on the design alone.

    Example:
        >>> enough(3, 1 / 2), enough(5, 1 / 4)
        (False, True)
    """
    return runs > 1 and bool(reach(runs, ratio) <= stats.norm.ppf(1 - LEVEL / 2))


def advice(folds: int, seeds: int, share: float) -> str:
    """Return a warning for a design whose runs are too few for an interval, with designs that have one; else "".

    Args:
        folds: Folds of a split; 1 for one held-out share.
        seeds: Repeated splits.
        share: Share held out where ``folds`` is 1.

    Example:
        >>> print(advice(folds=3, seeds=1, share=0.2))
        3 folds x 1 seed: too few runs for an interval (wider than the spread of single runs). Enough: 5 folds x 1 seed, or 3 folds x 3 seeds; better: 5 folds x 3 seeds.
        >>> advice(folds=5, seeds=3, share=0.2)
        ''
    """  # noqa: E501
    if _enough(folds, seeds, share):
        return ""
    more_folds = next((n for n in range(max(2, folds), MOST_FOLDS + 1) if _enough(n, seeds, share)), None)
    more_seeds = next((n for n in range(seeds, MOST_SEEDS + 1) if _enough(folds, n, share)), None)
    designs = [(more_folds, seeds), (folds, more_seeds)]
    named = [_design(a, b) for a, b in designs if a is not None and b is not None]
    return (
        f"{_design(folds, seeds)}: {TOO_FEW} (wider than the spread of single runs). "
        f"Enough: {', or '.join(named)}; better: {_design(*GOOD)}."
    )


def _enough(folds: int, seeds: int, share: float) -> bool:
    return enough(folds * seeds, 1 / (folds - 1) if folds > 1 else share / (1 - share))


def _design(folds: int, seeds: int) -> str:
    """Write a design.

    Example:
        >>> _design(1, 5), _design(5, 3)
        ('1 split x 5 seeds', '5 folds x 3 seeds')
    """
    parts = f"{folds} folds" if folds > 1 else "1 split"
    return f"{parts} x {seeds} seed{'s' if seeds > 1 else ''}"


@cache
def detectable(runs: int, ratio: float, comparisons: int = 1) -> float:
    """Return the smallest true difference that a design detects with 80 % power, in standard deviations of the runs.

    By simulation: paired differences of runs that share images (correlated as the test takes them to be) are drawn,
    and the corrected test is made on each simulated study.

    Args:
        runs: Folds times seeds.
        ratio: Held-out images over training images of a run.
        comparisons: Comparisons that p-values are corrected for: detected is what Holm's first, strictest step finds.

    Returns:
        To be multiplied with the observed standard deviation of the paired differences.

    Example:
        >>> round(detectable(15, 0.25), 1), round(detectable(15, 0.25, comparisons=4), 1)
        (1.7, 2.1)

    Source:
        The test: Nadeau and Bengio, 2003. Their correlation of two runs is ``ratio / (1 + ratio)``, so that the
        observed variance is that around a difference which all runs of a study share.
    """
    rng = np.random.default_rng(0)
    shared = np.sqrt(ratio) * rng.standard_normal(_STUDIES)
    own = rng.standard_normal((_STUDIES, runs))
    error = np.sqrt(1 / runs + ratio) * own.std(axis=1, ddof=1)
    critical = stats.t.ppf(1 - LEVEL / comparisons / 2, runs - 1)
    # A study detects every true difference above this one of its own.
    return float(np.quantile(critical * error - shared - own.mean(axis=1), POWER))
