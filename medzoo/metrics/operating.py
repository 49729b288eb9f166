"""Operating points: a binary test at a chosen threshold, measured without optimism."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.splits import fold_of, groups_of
from medzoo.metrics.bootstrap import estimate, members, replicates
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.evaluation import choose_operating_point
from medzoo.metrics.outcomes import Outcomes, make_outcomes
from medzoo.metrics.scores import overall
from medzoo.metrics.weighted import Weighted

AT_A_POINT = ("sensitivity", "specificity", "accuracy", "balanced_accuracy", "kappa", "f1")
FOLDS = 5


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """The metrics of a binary test at one threshold.

    Attributes:
        positive: The class that is predicted from the threshold on.
        threshold: The probability to use on new images.
        aim: What it was chosen for, in words.
        values: Metric name to estimate, of the metrics that depend on a threshold.
        confusion: ``int64 [2, 2]`` images by true (row) and predicted (column) class.
        folds: The threshold of each fold where it was chosen by cross-fitting; empty where it was given.
    """

    positive: str
    threshold: float
    aim: str
    values: Mapping[str, Estimate]
    confusion: NDArray[np.int64]
    folds: tuple[float, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        return self.values[name]

    def __str__(self) -> str:
        lines = [f"{self.positive} from {self.threshold:.3g} on ({self.aim})"]
        if self.folds:
            lines.append(
                f"measured by cross-fitting over {len(self.folds)} folds, "
                f"thresholds {min(self.folds):.3g} to {max(self.folds):.3g}"
            )
        wide = max(map(len, self.values))
        return "\n".join([*lines, *(f"{name:<{wide}}  {estimate}" for name, estimate in self.values.items())])


def operating_point(
    targets: NDArray[Any],
    probabilities: NDArray[Any],
    classes: Sequence[str],
    *,
    threshold: float | None = None,
    sensitivity: float | None = None,
    specificity: float | None = None,
    groups: Sequence[str] | NDArray[Any] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    positive: str | None = None,
) -> OperatingPoint:
    """Measure a binary test at a threshold that is given, or that reaches a sensitivity or specificity.

    A threshold chosen on the images it is then measured on looks better than it is. So it is chosen by cross-fitting:
    the images are divided into five folds by patient, and those of each fold are judged by the threshold chosen on the
    other four. The threshold that is returned, for use on new images, is chosen on all of them. Intervals resample
    patients with the thresholds as they are, and leave out how much another sample would have moved those.

    Args:
        targets: ``[N, 2]`` one-hot.
        probabilities: ``[N, 2]`` in [0, 1]; rows sum to 1.
        classes: The two class names.
        threshold: In [0, 1]; for one that was chosen on other images than these.
        sensitivity: Reach at least this, in (0, 1], with the best specificity.
        specificity: Reach at least this, in (0, 1], with the best sensitivity. Without any of the three, the sum of
            both is made largest (Youden's index).
        groups: N group ids (patients); ``None``: every image is its own.
        bootstrap: Number of resamples.
        seed: Which resamples and folds.
        positive: The positive class; by default the last.

    Returns:
        The metrics at that point.

    Raises:
        DataError: More than one aim is given, or there are too few images of either class to choose on.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> label = np.arange(200) % 2
        >>> chance = 1 / (1 + np.exp(-3 * (label - 0.5) - rng.normal(size=200)))
        >>> two = np.stack([1 - chance, chance], axis=1)
        >>> point = operating_point(np.eye(2)[label], two, ["no", "yes"], sensitivity=0.9)
        >>> print(point["sensitivity"], "|", point["specificity"])
        0.890 (0.824 to 0.946) | 0.960 (0.921 to 0.990)

    Source:
        Youden, Cancer 1950; Leeflang et al., Bias in sensitivity and specificity caused by data-driven selection of
        optimal cutoff values, Clinical Chemistry 2008.
    """
    if sum(aim is not None for aim in (threshold, sensitivity, specificity)) > 1:
        raise DataError("give a threshold, or a sensitivity or a specificity to reach: one of the three")
    outcomes = make_outcomes(targets, probabilities, "binary", classes, threshold, positive)
    member, count = members(groups, outcomes)
    if threshold is not None:
        return _measured(outcomes, member, count, bootstrap, seed, threshold, "as given", ())
    column = outcomes.positive_column
    hot, scores = outcomes.targets[:, column], outcomes.probabilities[:, column]
    aims = {"sensitivity": sensitivity, "specificity": specificity}
    chosen = choose_operating_point(hot, scores, **aims)
    names = groups_of([str(one) for one in member], None)
    fold = fold_of(outcomes.targets, names, FOLDS, seed)
    cuts = [choose_operating_point(hot[fold != k], scores[fold != k], **aims) for k in range(FOLDS)]
    found = scores >= np.array(cuts)[fold]
    fitted = replace(outcomes, predicted=found[:, None] == (np.arange(2) == column))
    reached = [f"{name} of at least {value:g}" for name, value in aims.items() if value is not None]
    aim = f"chosen for {reached[0] if reached else 'the largest sum of sensitivity and specificity'}"
    return _measured(fitted, member, count, bootstrap, seed, chosen, aim, tuple(cuts))


def _measured(
    outcomes: Outcomes,
    member: NDArray[np.int64],
    count: int,
    bootstrap: int,
    seed: int,
    threshold: float,
    aim: str,
    folds: tuple[float, ...],
) -> OperatingPoint:
    weighted = Weighted(outcomes)
    scores = weighted.once()
    points = overall(scores, "binary", scores, outcomes.positive_column)
    drawn = replicates(weighted, scores, member, count, bootstrap, seed)[0]
    values = {name: estimate(float(points[name]), drawn[name], count, "only one class present") for name in AT_A_POINT}
    assert outcomes.confusion is not None
    return OperatingPoint(
        outcomes.classes[outcomes.positive_column], float(threshold), aim, values, outcomes.confusion, folds
    )
