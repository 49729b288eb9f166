"""The same fine-tuned models on other patients: paired bootstrap of a difference, averaged over repeated splits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medzoo.comparison.design import LEVEL, POWER
from medzoo.metrics.bootstrap import difference, resamples
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.outcomes import make_outcomes
from medzoo.metrics.scores import Floats, overall
from medzoo.metrics.weighted import Weighted

RESAMPLES = 1000


@dataclass(frozen=True)
class PatientTest:
    """The difference of two sets of fine-tuned models on the patients that they were not trained on.

    Each image is predicted once a seed, by the model of the fold that held it out; the metric is of all held-out images
    of a seed together, averaged over seeds. Patients are resampled, models are not trained again.

    Attributes:
        difference: Weights minus baseline, with its 95 % interval by patient.
        p: Two-sided bootstrap p-value of "no difference"; ``None`` where there is no interval.
        not_better: Share of resamples in which the difference is 0 or less; ``None`` where there is no interval.
        error: Standard error of the difference; ``None`` where there is no interval.
        images: Held-out images.
        seeds: Repeated splits that the metric is averaged over.
    """

    difference: Estimate
    p: float | None
    not_better: float | None
    error: float | None
    images: int
    seeds: int

    def images_needed(self, to_tell: float) -> int | None:
        """Return how many held-out images of such patients would tell a difference with 80 % power.

        Args:
            to_tell: The difference.

        Returns:
            Their number, in two digits; ``None`` where the standard error is not known.

        Example:
            >>> PatientTest(Estimate(0.01, -0.03, 0.05), 0.6, 0.3, error=0.02, images=400, seeds=3).images_needed(0.03)
            1400
        """
        if not self.error:
            return None
        needed = (
            self.images * (self.error * float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER)) / to_tell) ** 2
        )
        digits = max(0, math.floor(math.log10(needed)) - 1) if needed >= 1 else 0
        return max(1, round(needed / 10**digits) * 10**digits)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Metrics, averaged over repeats, of the images as they are and of resamples of patients.

    Attributes:
        values: Metric name to value; NaN where undefined.
        draws: Metric name to ``[B]`` values on resamples.
        units: How many patients (or images) were resampled.
        images: Images with a label.
        repeats: Repeats that were averaged over.
    """

    values: Mapping[str, float]
    draws: Mapping[str, Floats]
    units: int
    images: int
    repeats: int


def draw(
    targets: NDArray[np.float32],
    repeats: Sequence[tuple[NDArray[np.int64], Floats]],
    task: str,
    classes: Sequence[str],
    *,
    groups: NDArray[np.str_] | None,
    positive: str = "",
) -> Drawn | None:
    """Measure repeated predictions under resamples of patients; equal images give equal resamples.

    Args:
        targets: ``[N, C]`` labels.
        repeats: For each repeat the rows that were predicted, and their ``[n, C]`` probabilities.
        task: The task.
        classes: The C class names.
        groups: N patients; ``None``: images are resampled.
        positive: The positive class of a ``binary`` task.

    Returns:
        The metrics; ``None`` where no predicted image has a label.
    """
    known: NDArray[np.bool_] = np.asarray((~np.isnan(targets)).any(axis=1))
    kept = [(rows[known[rows]], found[known[rows]]) for rows, found in repeats]
    kept = [(rows, found) for rows, found in kept if len(rows)]
    if not kept:
        return None
    union = np.unique(np.concatenate([rows for rows, _ in kept]))
    names, member = np.unique(union if groups is None else groups[union], return_inverse=True)
    measured = []
    for rows, found in kept:
        outcomes = make_outcomes(targets[rows], found, task, classes, positive=positive or None)
        weighted = Weighted(outcomes)
        measured.append((weighted, weighted.once(), np.searchsorted(union, rows), outcomes.positive_column))
    points = [overall(once, task, once, column) for _, once, _, column in measured]
    blocks = []
    for weights in resamples(member.astype(np.int64), len(names), RESAMPLES, seed=0):
        parts = [overall(of(weights[:, at]), task, once, column) for of, once, at, column in measured]
        blocks.append({name: np.mean([part[name] for part in parts], axis=0) for name in points[0]})
    return Drawn(
        {name: float(np.mean([point[name] for point in points])) for name in points[0]},
        {name: np.concatenate([block[name] for block in blocks]) for name in points[0]},
        len(names),
        len(union),
        len(kept),
    )


def compare_drawn(mine: Drawn, base: Drawn, metric: str) -> PatientTest:
    """Compare two sets of models on the same resamples.

    Args:
        mine: Of the weights.
        base: Of the baseline, on the same images.
        metric: The metric.
    """
    found = difference(
        metric, (mine.values[metric], base.values[metric]), (mine.draws[metric], base.draws[metric]), mine.units
    )
    if found.estimate.low is None:
        return PatientTest(found.estimate, None, None, None, mine.images, mine.repeats)
    drawn = mine.draws[metric] - base.draws[metric]
    drawn = drawn[np.isfinite(drawn)]
    share = (int((drawn <= 0).sum()) + 1) / (len(drawn) + 1)
    return PatientTest(found.estimate, found.p, share, float(drawn.std(ddof=1)), mine.images, mine.repeats)
