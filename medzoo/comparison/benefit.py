"""What pretrained weights gain over the baseline with few and with many training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medzoo.comparison.comparison import Comparison
from medzoo.comparison.curves import Point, gain
from medzoo.comparison.runs import DONE
from medzoo.comparison.statistics import PairedTest, corrected, paired_test, split_ratio
from medzoo.metrics.scores import metric_range


@dataclass(frozen=True)
class Benefit:
    """What one set of weights gains over the baseline, by the number of training images.

    Attributes:
        arm: The weights' name.
        points: The paired difference to the baseline with each share of the training images, the smallest first.
        trend: The difference with the smallest share minus that with the largest, paired by fold and seed: above 0
            where fewer images gain more.
    """

    arm: str
    points: Sequence[Point]
    trend: PairedTest


def benefits(comparison: Comparison, metric: str | None = None, strategy: str | None = None) -> list[Benefit]:
    """Return what each set of weights gains over the baseline, with few and with many training images.

    Args:
        comparison: The runs, with several fractions.
        metric: Default the task's primary one.
        strategy: Default the first there is.

    Returns:
        One entry for each but the baseline; p-values of the trend are corrected (Holm) for their number. Empty for a
        single fraction.
    """
    metric = metric or comparison.primary
    if len(comparison.fractions) < 2 or comparison.baseline not in comparison.arms:
        return []
    images = {arm: [point.images for point in points] for arm, points in gain(comparison, metric, strategy).items()}
    found = []
    for arm in comparison.arms:
        if arm == comparison.baseline or not images[arm]:
            continue
        tests = [
            row.test
            for fraction in reversed(comparison.fractions)
            for row in comparison.table(metric, strategy, fraction)
            if row.arm == arm and row.test is not None and row.runs
        ]
        points = [Point(count, test.difference) for count, test in zip(images[arm], tests, strict=True)]
        found.append(Benefit(arm, points, _trend(comparison, arm, metric, strategy)))
    trends = corrected([one.trend for one in found])
    return [replace(one, trend=trend) for one, trend in zip(found, trends, strict=True) if trend is not None]


def _trend(comparison: Comparison, arm: str, metric: str, strategy: str | None) -> PairedTest:
    """Test the difference of differences between the smallest and the largest share."""
    most, least = comparison.fractions[0], comparison.fractions[-1]
    runs = {
        (name, share): {
            (r["repeat"], r["fold"]): r for r in comparison.runs(name, strategy, share) if r["status"] == DONE
        }
        for name in (arm, comparison.baseline)
        for share in (least, most)
    }
    keys = sorted(set.intersection(*(set(of) for of in runs.values())))
    values = {which: np.array([comparison.value(of[key], metric) for key in keys]) for which, of in runs.items()}
    few, many = (values[arm, share] - values[comparison.baseline, share] for share in (least, most))
    low, high = metric_range(metric)
    ratio = split_ratio([runs[arm, most][key] for key in keys]) if keys else 0.0
    return paired_test(few - many, ratio, limit=2 * (high - low))
