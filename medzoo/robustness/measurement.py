"""The numbers of a stress test: curves and areas of damage, and what is still known without the organ.

All forms of the images are measured on the same resamples of patients, so that differences and areas have intervals of
their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medzoo.metrics import primary
from medzoo.metrics.bootstrap import estimate, interval, members, replicates
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.outcomes import Outcomes, make_outcomes
from medzoo.metrics.scores import Floats, overall, ratio
from medzoo.metrics.weighted import Weighted

# Of all tests together, where nothing is to be found: below the 5 % promised, as the permutation test is approximate
# where the images of a patient have several labels.
FALSE_ALARMS = 0.04
CHANCE = 0.5  # of AUROC
_BLOCK = 2**20  # labels dealt at a time
_UNDEFINED = "no class has images both with and without it"


@dataclass(frozen=True, eq=False)
class Labels:
    """What the images show, and who they show.

    Attributes:
        targets: ``float32 [N, C]``.
        task: The task.
        classes: The C class names.
        groups: ``str [N]`` patients; ``None`` where none is known.
        positive: The positive class of a ``binary`` task.
    """

    targets: NDArray[np.float32]
    task: str
    classes: tuple[str, ...]
    groups: NDArray[np.str_] | None
    positive: str | None

    def outcomes(self, probabilities: NDArray[np.float32]) -> Outcomes:
        """Return labels and probabilities, checked."""
        return make_outcomes(self.targets, probabilities, self.task, self.classes, None, self.positive)


@dataclass(frozen=True, eq=False)
class Measured:
    """The metrics of one form of the images.

    Attributes:
        values: Metric to its value; NaN where undefined.
        drawn: Metric to ``[B]`` its values on the resamples; empty without resamples.
        groups: How many patients (or images) were resampled.
    """

    values: Mapping[str, float]
    drawn: Mapping[str, Floats]
    groups: int

    def estimate(self, name: str) -> Estimate:
        """Return a metric with its interval."""
        return estimate(self.values[name], self.drawn.get(name), self.groups, _UNDEFINED, upward=name == "ece")


def measure(labels: Labels, probabilities: NDArray[np.float32], bootstrap: int, seed: int) -> Measured:
    """Measure one form of the images.

    Args:
        labels: The labels.
        probabilities: ``float32 [N, C]``.
        bootstrap: Resamples; 0 for none.
        seed: Which; the same for all forms.
    """
    outcomes = labels.outcomes(probabilities)
    member, groups = members(labels.groups, outcomes)
    weighted = Weighted(outcomes)
    scores = weighted.once()
    points = overall(scores, labels.task, scores, outcomes.positive_column)
    names = {primary(labels.task), "auroc", "ece"}
    drawn: Mapping[str, Floats] = {}
    if bootstrap and len(member):
        drawn = replicates(weighted, scores, member, groups, bootstrap, seed)[0]
    return Measured(
        {name: float(points[name]) for name in names},
        {name: values for name, values in drawn.items() if name in names},
        groups,
    )


@dataclass(frozen=True)
class DamageCurve:
    """A metric over the strengths of one kind of damage.

    Attributes:
        name: The kind.
        strengths: The strengths.
        metric: The task's main metric at each.
        ece: The calibration error at each.
        area: Mean of the metric over the strengths, as a share of that of clean images; 1 where nothing is lost.
    """

    name: str
    strengths: tuple[float, ...]
    metric: tuple[Estimate, ...]
    ece: tuple[Estimate, ...]
    area: Estimate


def damage_curve(
    name: str, strengths: Sequence[float], clean: Measured, damaged: Sequence[Measured], metric: str
) -> DamageCurve:
    """Return the curve of one kind of damage, and its area."""
    return DamageCurve(
        name,
        tuple(strengths),
        tuple(one.estimate(metric) for one in damaged),
        tuple(one.estimate("ece") for one in damaged),
        damage_area(clean, damaged, metric),
    )


def damage_area(clean: Measured, damaged: Sequence[Measured], metric: str) -> Estimate:
    """Return the mean of a metric over damaged images, as a share of that of clean ones, with its interval.

    Example:
        >>> one, half = (Measured({"auroc": value}, {}, 20) for value in (0.8, 0.6))
        >>> print(damage_area(one, [one, half], "auroc"))
        0.875
    """
    base = clean.values[metric]
    if not base > 0:
        return Estimate(None, None, None, f"{metric} of the clean images is {base:.3f}, of which there is no share")
    value = float(np.mean([one.values[metric] for one in damaged])) / base
    if not np.isfinite(value) or not clean.drawn:
        return estimate(value, None, clean.groups, _UNDEFINED)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.mean([one.drawn[metric] for one in damaged], 0) / clean.drawn[metric]
    return interval(value, drawn, clean.groups)


@dataclass(frozen=True)
class ShortcutResult:
    """What a model knows of images of which a part is taken away.

    Attributes:
        name: What is taken away, as in ``medzoo.robustness.shortcuts.SHORTCUTS``.
        title: What is left.
        organ: Whether the organ was taken away: then AUROC should be that of chance, 0.5.
        auroc: AUROC on what is left.
        difference: AUROC on whole images minus this, paired.
        p: Probability of such an AUROC, or a larger one, by chance; ``None`` where it was not tested.
        found: Whether the model still knows the answer without the organ.
    """

    name: str
    title: str
    organ: bool
    auroc: Estimate
    difference: Estimate
    p: float | None
    found: bool


def judge(auroc: Estimate, p: float | None, tests: int) -> bool:
    """Return whether a model still knows the answer: a permutation test says so, and the interval does not object.

    Both, since intervals of few patients are too narrow. Where every resample gives the same value (each image is
    known) there is no interval, and the test decides.

    Args:
        auroc: What was measured without the organ.
        p: Of the permutation test.
        tests: How many such tests are made on the same images.
    """
    return p is not None and p <= FALSE_ALARMS / tests and (auroc.low is None or auroc.low > CHANCE)


def shortcut_result(
    name: str, title: str, organ: bool, clean: Measured, left: Measured, p: float | None, tests: int
) -> ShortcutResult:
    """Return what a model knows of images of which a part is taken away.

    Args:
        name: As in ``ShortcutResult``.
        title: As there.
        organ: As there.
        clean: The whole images.
        left: What is left.
        p: As in ``ShortcutResult``.
        tests: As in ``judge``.
    """
    auroc, lost = left.estimate("auroc"), clean.values["auroc"] - left.values["auroc"]
    drawn = clean.drawn["auroc"] - left.drawn["auroc"] if left.drawn else None
    difference = estimate(lost, drawn, clean.groups, _UNDEFINED)
    return ShortcutResult(name, title, organ, auroc, difference, p, judge(auroc, p, tests))


def permutation_p(labels: Labels, probabilities: NDArray[np.float32], count: int, seed: int) -> float | None:
    """Return how often AUROC is as large where labels are dealt to the patients anew.

    A patient gets all labels of another one, repeated where there are fewer: images of one patient stay together, so
    that the test is exact where a patient's images have one label.

    Args:
        labels: The labels.
        probabilities: ``float32 [N, C]``.
        count: How often they are dealt.
        seed: Which deals.

    Returns:
        (1 + hits) / (1 + count); ``None`` where AUROC is undefined or ``count`` is 0.

    Source:
        Phipson & Smyth, Permutation p-values should never be zero, 2010.
    """
    outcomes = labels.outcomes(probabilities)
    member, groups = members(labels.groups, outcomes)
    n = len(member)
    value = _auroc(outcomes, np.arange(n)[None])[0] if n else np.nan
    if not count or not np.isfinite(value):
        return None
    order, sizes = np.argsort(member, kind="stable"), np.bincount(member, minlength=groups)
    first = np.cumsum(sizes) - sizes
    place = np.empty(n, np.int64)  # of an image among its patient's
    place[order] = np.arange(n) - first[member[order]]
    rng, hits, block = np.random.default_rng(seed), 0, max(1, _BLOCK // n)
    for start in range(0, count, block):
        giver = rng.permuted(np.tile(np.arange(groups), (min(block, count - start), 1)), axis=1)[:, member]
        hits += int((_auroc(outcomes, order[first[giver] + place % sizes[giver]]) >= value - 1e-9).sum())
    return (1 + hits) / (1 + count)


def _auroc(outcomes: Outcomes, source: NDArray[np.int64]) -> Floats:
    """Return ``[b]``: mean AUROC of the classes where image i has the label of image ``source[b, i]``."""
    found = []
    columns = [outcomes.positive_column] if outcomes.task == "binary" else range(len(outcomes.classes))
    for column in columns:
        scores = outcomes.probabilities[:, column]
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        labels = outcomes.targets[:, column][source[:, order]]
        negative = np.cumsum(labels == 0, 1)
        negative = np.concatenate([np.zeros((len(source), 1), np.int64), negative], 1)
        # Negative images below, and half of those with the same probability: Hanley & McNeil 1982.
        below = (
            negative[:, np.searchsorted(ranked, ranked, "left")] + negative[:, np.searchsorted(ranked, ranked, "right")]
        )
        positive = labels == 1
        pairs = positive.sum(1) * negative[:, -1]
        found.append(ratio((positive * below).sum(1) / 2, pairs.astype(np.float64)))
    classes = np.array(found)
    return ratio(np.nansum(classes, 0), np.isfinite(classes).sum(0).astype(np.float64))
