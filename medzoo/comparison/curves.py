"""Learning curves of a comparison: over epochs, and over the number of training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medzoo.comparison.comparison import Comparison, Record
from medzoo.comparison.runs import DONE
from medzoo.metrics.estimates import Estimate


@dataclass(frozen=True, eq=False)
class Band:
    """The mean of a curve over runs, and their spread.

    Attributes:
        middle: ``float64 [E]`` mean over the runs after each epoch; NaN where undefined.
        spread: ``float64 [E]`` standard deviation over the runs; NaN for fewer than two.
        runs: How many runs.
    """

    middle: NDArray[np.float64]
    spread: NDArray[np.float64]
    runs: int


@dataclass(frozen=True)
class Point:
    """A score with some of the training images.

    Attributes:
        images: Training images of a run, in the mean.
        estimate: The metric, with its 95 % interval.
    """

    images: float
    estimate: Estimate


def epochs(comparison: Comparison, arm: str, metric: str | None, strategy: str | None = None) -> Band | None:
    """Return the learning curve over epochs, on all training images.

    Args:
        comparison: The runs.
        arm: The weights' name.
        metric: Measured on the held-out images after each epoch; ``None`` for the training loss.
        strategy: Default the first there is.

    Returns:
        Mean and spread over folds and seeds; ``None`` where nothing was trained in epochs.
    """
    histories = [r["history"] for r in comparison.runs(arm, strategy) if r["status"] == DONE and r["history"]]
    lines = [[_at(epoch, metric) for epoch in history] for history in histories]
    if not any(np.isfinite(line).any() for line in lines):
        return None
    return _band(lines)


def _at(epoch: Record, metric: str | None) -> float:
    value = epoch.get("loss") if metric is None else epoch.get("valid", {}).get(metric)
    return float("nan") if value is None else float(value)


def _band(lines: Sequence[Sequence[float]]) -> Band:
    """Average runs; those that stopped early count as long as they ran."""
    values = np.full((len(lines), max(map(len, lines))), np.nan)
    for row, line in zip(values, lines, strict=True):
        row[: len(line)] = line
    known = np.isfinite(values)
    count = known.sum(0).astype(np.float64)
    middle = np.divide(np.where(known, values, 0).sum(0), count, out=np.full(len(count), np.nan), where=count > 0)
    squares = np.where(known, values - middle, 0) ** 2
    variance = np.divide(squares.sum(0), count - 1, out=np.full(len(count), np.nan), where=count > 1)
    return Band(middle, np.sqrt(variance), len(lines))


def gain(comparison: Comparison, metric: str | None = None, strategy: str | None = None) -> dict[str, list[Point]]:
    """Return the learning curve over the number of training images, for each of the weights.

    Args:
        comparison: The runs, with several fractions.
        metric: Default the task's primary one.
        strategy: Default the first there is.

    Returns:
        By name, a point for each share of the training images, the smallest first.
    """
    found: dict[str, list[Point]] = {arm: [] for arm in comparison.arms}
    for fraction in reversed(comparison.fractions):
        for row in comparison.table(metric, strategy, fraction):
            done = [r for r in comparison.runs(row.arm, strategy, fraction) if r["status"] == DONE]
            if done:
                images = float(np.mean([record["train_images"] for record in done]))
                found[row.arm].append(Point(images, row.estimate))
    return found
