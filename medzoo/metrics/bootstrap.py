"""Bootstrap by patient: intervals of metrics, and of the difference between two sets of probabilities.

Images of one patient resemble each other, so that whole patients are drawn with replacement, never single images.
Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16; Field & Welsh, Bootstrapping
clustered data, JRSS B 2007.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.outcomes import Outcomes, make_outcomes
from medzoo.metrics.scores import TASK_METRICS, Floats, Scores, overall
from medzoo.metrics.weighted import Weighted, Weights

LEVEL = 0.95
# With fewer, the resamples are too alike: intervals are far too narrow.
MIN_GROUPS = 10
# A class that rests on one patient is missing from 37 % of resamples, on two from 14 %, on three from 5 %.
MAX_DROPPED = 0.20
SAY_DROPPED = 0.01
# Weights of one block of resamples: 2 MB as float64, so that it stays in the processor's cache.
_BLOCK = 2**18


@dataclass(frozen=True)
class Difference:
    """The difference of one metric between two sets of probabilities on the same images.

    Attributes:
        metric: The metric.
        estimate: First minus second, with its 95 % interval.
        p: Two-sided bootstrap p-value of "no difference"; ``None`` where there is no interval.
    """

    metric: str
    estimate: Estimate
    p: float | None


def members(groups: Sequence[str] | NDArray[Any] | None, outcomes: Outcomes) -> tuple[NDArray[np.int64], int]:
    """Number the groups of the labelled images.

    Args:
        groups: One group id (patient) for each image that came, labelled or not; ``None``: every
            image is its own.
        outcomes: The labelled images.

    Returns:
        ``int64 [n]`` group numbers from 0, and how many groups there are.

    Raises:
        DataError: Not one id for each image, or an empty id.
    """
    n = len(outcomes.targets)
    if groups is None:
        return np.arange(n), n
    ids = np.asarray(groups).astype(str)
    if ids.shape != outcomes.kept.shape:
        raise DataError(f"{ids.shape} groups for {len(outcomes.kept)} images; give one patient id for each image")
    if (ids == "").any():
        raise DataError("a group id is empty; medzoo.data.splits.groups_of(paths, patients) gives every image one")
    names, member = np.unique(ids[outcomes.kept], return_inverse=True)
    return member.astype(np.int64), len(names)


def resamples(member: NDArray[np.int64], groups: int, count: int, seed: int) -> Iterator[Weights]:
    """Draw groups with replacement, as many as there are.

    Args:
        member: ``int64 [n]``, each image's group, from 0; at least one image.
        groups: How many groups there are.
        count: How many resamples.
        seed: The same seed and groups give the same resamples.

    Yields:
        ``int32 [b, n]``: how often each image was drawn, for the next b resamples.

    Example:
        >>> block = next(resamples(np.array([0, 0, 1]), groups=2, count=1, seed=0))
        >>> block.shape, bool(block[0, 0] == block[0, 1])
        ((1, 3), True)
    """
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // len(member))
    for start in range(0, count, block):
        size = min(block, count - start)
        drawn = rng.integers(groups, size=(size, groups)) + groups * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * groups).reshape(size, groups)
        yield times.astype(np.int32)[:, member]


def replicates(
    weighted: Weighted, values: Scores, member: NDArray[np.int64], groups: int, count: int, seed: int
) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
    """Compute every metric of every resample.

    Args:
        weighted: The labelled images, at least one.
        values: Their scores: what is undefined there is left out of means here too.
        member: ``int64 [n]`` group numbers.
        groups: How many groups there are.
        count: How many resamples.
        seed: Which ones.

    Returns:
        Metric name to ``[count]`` over all classes, and to ``[count, C]`` per class.
    """
    parts = [weighted(weights) for weights in resamples(member, groups, count, seed)]
    joined = Scores(
        {name: np.concatenate([part.per_class[name] for part in parts]) for name in parts[0].per_class},
        {name: np.concatenate([part.whole[name] for part in parts]) for name in parts[0].whole},
    )
    return overall(joined, weighted.outcomes.task, values, weighted.outcomes.positive_column), joined.per_class


def estimate(value: float, drawn: Floats | None, groups: int, undefined: str, *, upward: bool = False) -> Estimate:
    """Return a value with its interval, or the reason why there is none.

    Args:
        value: The value on the images as they are; NaN where undefined.
        drawn: ``[B]`` its values on resamples; ``None`` for no interval.
        groups: How many groups were resampled.
        undefined: Why the value may be undefined.
        upward: As in :func:`interval`.
    """
    if not np.isfinite(value):
        return Estimate(None, None, None, undefined)
    return Estimate(value, None, None) if drawn is None else interval(value, drawn, groups, upward=upward)


def interval(value: float, drawn: Floats, groups: int, *, upward: bool = False) -> Estimate:
    """Return a defined value with its 95 % interval: percentiles of its resamples.

    Noise makes some metrics larger (ECE is a sum of absolute gaps), and resamples, with twice the
    variance, larger still: their percentiles may all lie above the truth. For those, the upper end is the
    mirror image of the lower percentile about the value ("basic" bootstrap), and the lower end takes off
    the bias that the value would have if it were noise alone: resamples of pure noise lie sqrt(2) times as
    high. In simulations of 100 to 2000 images it then held the truth in 85 to 98 of 100 cases, the plain
    percentiles in 0 to 93.

    Args:
        value: The value on the images as they are.
        drawn: ``[B]`` its values on resamples, NaN where undefined; those are left out.
        groups: How many groups were resampled.
        upward: The metric is such a one.

    Returns:
        The value with its interval, or with the reason why there is none.

    Example:
        >>> print(interval(0.5, np.linspace(0, 1, 41), groups=50))
        0.500 (0.025 to 0.975)
        >>> interval(0.5, np.linspace(0, 1, 41), groups=5).why
        'no interval: 5 groups are too few to resample (at least 10)'
    """
    if groups < MIN_GROUPS:
        return Estimate(
            value, None, None, f"no interval: {groups} groups are too few to resample (at least {MIN_GROUPS})"
        )
    kept = drawn[np.isfinite(drawn)]
    dropped = 1 - len(kept) / len(drawn)
    if dropped > MAX_DROPPED:
        return Estimate(value, None, None, f"no interval: undefined in {dropped:.0%} of resamples, a class is too rare")
    if np.ptp(kept) < 1e-12:
        return Estimate(
            value, None, None, "no interval: every resample gives the same value, too few or too easy images"
        )
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if upward:
        mean = kept.mean()
        bias = (mean - value) / (2**0.5 - 1)
        low, high = np.clip(value - bias - (high - mean), 0, value), max(value, 2 * value - low)
    why = f"undefined in {dropped:.0%} of resamples, which are left out" if dropped > SAY_DROPPED else ""
    return Estimate(value, float(low), float(high), why)


def paired_difference(
    targets: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    task: str,
    classes: Sequence[str],
    *,
    metric: str | None = None,
    groups: Sequence[str] | NDArray[Any] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    thresholds: tuple[float | Sequence[float] | None, float | Sequence[float] | None] = (None, None),
    positive: str | None = None,
) -> Difference:
    """Compare two sets of probabilities on the same images, with the same resamples for both.

    Args:
        targets: ``[N, C]`` labels, as for :func:`medzoo.metrics.evaluate`.
        first: ``[N, C]`` probabilities.
        second: ``[N, C]`` probabilities to compare with.
        task: The task.
        classes: The C class names.
        metric: One of the task's metrics over all classes; the task's primary one by default.
        groups: N group ids (patients); ``None``: images are resampled.
        bootstrap: Number of resamples, at least 1.
        seed: Which resamples.
        thresholds: Operating points of the first and the second.
        positive: The positive class of a ``binary`` task; by default the last.

    Returns:
        First minus second, its interval and p-value.

    Raises:
        DataError: The input cannot be used, or the task has no such metric.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> label = rng.integers(2, size=200)
        >>> good, poor = (1 / (1 + np.exp(-(label - 0.5) * s - rng.normal(size=200))) for s in (3, 1))
        >>> two = lambda p: np.stack([1 - p, p], axis=1)
        >>> result = paired_difference(np.eye(2)[label], two(good), two(poor), "binary", ["no", "yes"])
        >>> result.metric, result.estimate.low > 0, result.p < 0.05
        ('auroc', True, True)

    Source:
        Efron & Tibshirani 1993, chapter 15.4 (p-value from the interval that just reaches 0).
    """
    spec = TASK_METRICS[task]
    name = metric or spec.primary
    if name not in spec.overall:
        raise DataError(unknown(f"{task} metric", name, spec.overall))
    if bootstrap < 1:
        raise DataError(f"{bootstrap} resamples cannot compare anything; use 1000")
    values, draws = [], []
    for probabilities, threshold in zip((first, second), thresholds, strict=True):
        outcomes = make_outcomes(targets, probabilities, task, classes, threshold, positive)
        member, count = members(groups, outcomes)
        weighted = Weighted(outcomes)
        scores = weighted.once()
        values.append(float(overall(scores, task, scores, outcomes.positive_column)[name]))
        if np.isfinite(values[-1]):
            draws.append(replicates(weighted, scores, member, count, bootstrap, seed)[0][name])
    if len(draws) < 2:
        return Difference(name, Estimate(None, None, None, f"{name} is undefined on these images"), None)
    return difference(name, (values[0], values[1]), (draws[0], draws[1]), count)


def difference(metric: str, values: tuple[float, float], draws: tuple[Floats, Floats], groups: int) -> Difference:
    """Return the first minus the second of two values of a metric, from the same resamples of both.

    Args:
        metric: The metric.
        values: On the images as they are; NaN where undefined.
        draws: ``[B]`` each, on resamples; NaN where undefined.
        groups: How many groups were resampled.

    Returns:
        The difference with its interval and p-value, or the reason why there is none.
    """
    if not np.isfinite(values).all():
        return Difference(metric, Estimate(None, None, None, f"{metric} is undefined on these images"), None)
    drawn = draws[0] - draws[1]
    found = interval(values[0] - values[1], drawn, groups)
    if found.low is None:
        return Difference(metric, found, None)
    kept = drawn[np.isfinite(drawn)]
    tail = min((kept <= 0).sum(), (kept >= 0).sum()) + 1
    return Difference(metric, found, min(1.0, 2 * float(tail) / (len(kept) + 1)))
