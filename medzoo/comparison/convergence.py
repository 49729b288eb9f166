"""Convergence: epochs and images until the baseline's final score is reached, the paper's second claim."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medzoo.comparison.comparison import Comparison
from medzoo.comparison.runs import DONE
from medzoo.comparison.statistics import PairedTest, corrected, paired_test, split_ratio
from medzoo.metrics.scores import metric_range


@dataclass(frozen=True)
class Convergence:
    """The convergence of one set of pretrained weights.

    Attributes:
        arm: The weights' name.
        score: The score to reach.
        reached: Runs that reach it in any epoch.
        runs: All runs.
        epochs: Median over the runs of the first epoch that reaches it; ``None`` where half of them or more do not.
        images: The same in images seen in training.
        area: Mean of the metric over the epochs: higher means faster convergence.
        test: The area against the baseline's, paired; ``None`` for the baseline.
    """

    arm: str
    score: float
    reached: int
    runs: int
    epochs: float | None
    images: float | None
    area: float | None
    test: PairedTest | None


def convergence(
    comparison: Comparison, metric: str | None = None, score: float | None = None, strategy: str | None = None
) -> list[Convergence]:
    """Compute how many epochs and images each set of pretrained weights needs.

    Args:
        comparison: The runs.
        metric: Default the task's primary one; measured after every epoch on the held-out images.
        score: What to reach; default what the baseline has after its last epoch, in the mean.
        strategy: Default the first there is that has epochs; one that has none gives an empty list.

    Returns:
        One entry for each, on all training images.

    Example:
        >>> from medzoo import compare  # doctest: +SKIP
        >>> convergence(compare("my_images/"))[0].epochs  # doctest: +SKIP
    """
    metric = metric or comparison.primary
    strategy = strategy or next(
        (record["strategy"] for record in comparison.records if record.get("history")), comparison.strategies[0]
    )
    curves = {arm: _curves(comparison, arm, metric, strategy) for arm in comparison.arms}
    curves = {arm: found for arm, found in curves.items() if found}
    if not curves:
        return []
    if score is None:
        ends = [line[-1] for line in (curves.get(comparison.baseline) or next(iter(curves.values()))).values()]
        score = float(np.nanmean(ends)) if np.isfinite(ends).any() else float("nan")
    # The runs behind the curves alone: others may have trained on a share of the images.
    runs = {arm: [r for r in comparison.runs(arm, strategy) if r["status"] == DONE] for arm in curves}
    images = {arm: float(np.mean([r["train_images"] for r in mine])) for arm, mine in runs.items()}
    ratio = split_ratio([r for mine in runs.values() for r in mine])
    base = curves.get(comparison.baseline, {})
    low, high = metric_range(metric)
    found = []
    for arm, lines in curves.items():
        first = [next((epoch for epoch, v in enumerate(line, 1) if v >= score), np.inf) for line in lines.values()]
        middle = float(np.median(first))
        epochs = middle if np.isfinite(middle) else None
        areas = {key: float(np.nanmean(line)) for key, line in lines.items() if np.isfinite(line).any()}
        pairs = [
            areas[key] - float(np.nanmean(base[key])) for key in areas if key in base and np.isfinite(base[key]).any()
        ]
        test = None
        if arm != comparison.baseline and pairs:
            test = paired_test(pairs, ratio, limit=high - low)
        found.append(
            Convergence(
                arm,
                score,
                int(np.isfinite(first).sum()),
                len(lines),
                epochs,
                None if epochs is None else epochs * images[arm],
                float(np.mean(list(areas.values()))) if areas else None,
                test,
            )
        )
    tests = corrected([entry.test for entry in found])
    return [replace(entry, test=test) for entry, test in zip(found, tests, strict=True)]


def _curves(comparison: Comparison, arm: str, metric: str, strategy: str | None) -> dict[tuple[int, int], Any]:
    """Return the metric after each epoch, of every run that has epochs."""
    return {
        (record["repeat"], record["fold"]): np.array(
            [np.nan if epoch["valid"].get(metric) is None else epoch["valid"][metric] for epoch in record["history"]]
        )
        for record in comparison.runs(arm, strategy)
        if record["status"] == DONE and record["history"]
    }
