"""Metrics of probabilities against labels, with their intervals; thresholds chosen on validation images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from medzoo.core.errors import DataError
from medzoo.metrics.bootstrap import estimate, members, replicates
from medzoo.metrics.estimates import Estimate, Metrics
from medzoo.metrics.outcomes import Outcomes, make_outcomes
from medzoo.metrics.scores import TASK_METRICS, Floats, Scores, overall
from medzoo.metrics.weighted import Weighted


def primary(task: str) -> str:
    """Return the metric that a task's choices go by; ``medzoo.metrics.scores.TASK_METRICS`` says why.

    Args:
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.

    Returns:
        The metric's name; higher is better.

    Raises:
        UnknownNameError: No such task.

    Example:
        >>> primary("ordinal")
        'kappa_quadratic'
    """
    return TASK_METRICS[task].primary


def evaluate(
    targets: NDArray[Any],
    probabilities: NDArray[Any],
    task: str,
    classes: Sequence[str],
    *,
    groups: Sequence[str] | NDArray[Any] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    threshold: float | Sequence[float] | None = None,
    positive: str | None = None,
) -> Metrics:
    """Compare probabilities with labels.

    Over all classes, one-against-rest metrics (AUROC, average precision, F1, sensitivity, specificity)
    are those of the positive class for ``binary``, and the mean over the classes that have
    images otherwise. The Brier score is the mean squared error of the probability, summed over the
    classes (0 to 2) for ``multiclass`` and ``ordinal``. ECE has 15 bins of equal width, over the
    probability of the predicted class for ``multiclass`` and ``ordinal``, of the positive one otherwise.
    A metric that needs images with and without a class is undefined where one kind is missing.

    Args:
        targets: ``[N, C]``, one-hot or (``multilabel``) multi-hot; NaN means "not labelled".
        probabilities: ``[N, C]`` in [0, 1]; rows sum to 1 unless ``multilabel``.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.
        classes: The C class names.
        groups: N group ids (patients) to resample, as :func:`medzoo.data.splits.groups_of` gives;
            ``None``: images are resampled, which is right only where no two show one patient.
        bootstrap: Resamples for the 95 % intervals; 0 for none, as after each epoch of training.
        seed: Which resamples.
        threshold: Probability from which the positive class (``binary``) or each class (``multilabel``:
            one number, or one for each class) is predicted; 0.5 by default. Choose another one on
            other images than these: :func:`choose_operating_point`.
        positive: The positive class of a ``binary`` task; by default the last.

    Returns:
        The task's metrics, each with its interval or the reason why it has none.

    Raises:
        DataError: Labels, probabilities, groups or threshold cannot be used; the message says why.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> grade = np.arange(300) % 3
        >>> chances = 0.4 * np.eye(3)[grade] + 0.6 * rng.dirichlet(np.ones(3), size=300)
        >>> metrics = evaluate(np.eye(3)[grade], chances, "ordinal", ["none", "mild", "severe"])
        >>> print(metrics["kappa_quadratic"])
        0.905 (0.851 to 0.946)
        >>> evaluate(np.eye(2)[[0, 0]], np.eye(2)[[0, 1]], "binary", ["no", "yes"], bootstrap=0)["auroc"].why
        'only one class present: no'
    """
    if bootstrap < 0:
        raise DataError(f"bootstrap={bootstrap}; give a number of resamples, or 0 for no intervals")
    outcomes = make_outcomes(targets, probabilities, task, classes, threshold, positive)
    member, count = members(groups, outcomes)
    weighted = Weighted(outcomes)
    scores = weighted.once()
    points = overall(scores, task, scores, outcomes.positive_column)
    drawn: Mapping[str, Floats] = {}
    drawn_per_class: Mapping[str, Floats] = {}
    if bootstrap and len(member):
        drawn, drawn_per_class = replicates(weighted, scores, member, count, bootstrap, seed)
    positives = outcomes.positive.sum(axis=0)
    negatives = outcomes.labelled.sum(axis=0) - positives
    per_class = {
        label: {
            name: estimate(
                float(scores.per_class[name][c]),
                drawn_per_class[name][:, c] if drawn_per_class else None,
                count,
                _undefined_class(positives[c], negatives[c]),
                upward=name == "ece",
            )
            for name in TASK_METRICS[task].per_class
        }
        for c, label in enumerate(outcomes.classes)
    }
    reason = _undefined(outcomes)
    values = {
        name: estimate(float(point), drawn.get(name), count, reason, upward=name == "ece")
        for name, point in points.items()
    }
    return Metrics(
        task=task,
        classes=outcomes.classes,
        n=len(member),
        groups=None if groups is None else count,
        bootstrap=bootstrap,
        threshold=outcomes.threshold,
        values={name: _partial(name, found, outcomes, scores) for name, found in values.items()},
        per_class=per_class,
        positives=dict(zip(outcomes.classes, positives.tolist(), strict=True)),
        confusion=outcomes.confusion,
        positive=outcomes.classes[outcomes.positive_column] if task == "binary" else "",
    )


def choose_operating_point(
    targets: NDArray[Any],
    probabilities: NDArray[Any],
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
) -> float:
    """Choose the probability from which a class is predicted, on validation images.

    By default the point with the largest sum of sensitivity and specificity (Youden's); otherwise the
    one that reaches a given sensitivity (or specificity) and is best in the other.

    Args:
        targets: ``[N]`` of 0 and 1 for one class; NaN means "not labelled".
        probabilities: ``[N]`` of this class.
        sensitivity: At least this, in (0, 1].
        specificity: At least this, in (0, 1].

    Returns:
        The threshold to give to :func:`evaluate`: a class is predicted from it upwards.

    Raises:
        DataError: Labelled images of both kinds are missing, or both aims were given.

    Example:
        >>> label, chance = np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.7, 0.8])
        >>> choose_operating_point(label, chance), choose_operating_point(label, chance, sensitivity=0.9)
        (0.7, 0.3)

    Source:
        Youden, Index for rating diagnostic tests, Cancer 1950.
    """
    truth = np.asarray(targets, dtype=np.float64)
    scores = np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise DataError(f"targets {truth.shape} and probabilities {scores.shape} must both be [N]: one class at a time")
    truth, scores = truth[~np.isnan(truth)], scores[~np.isnan(truth)]
    if set(truth.tolist()) != {0.0, 1.0}:
        raise DataError("an operating point needs labelled images with (1) and without (0) the class; keep 0.5")
    if sensitivity is not None and specificity is not None:
        raise DataError("give a sensitivity or a specificity to reach, not both")
    aim = sensitivity if sensitivity is not None else specificity
    if aim is not None and not 0 < aim <= 1:
        raise DataError(f"a sensitivity or specificity of {aim} is not in (0, 1]")
    false_alarms, found, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    # The first threshold, "predict none", is infinite; the next number above 1 says the same in JSON.
    thresholds = np.minimum(thresholds, np.nextafter(1.0, 2.0))
    if sensitivity is not None:
        gain = np.where(found >= sensitivity, -false_alarms, -np.inf)
    elif specificity is not None:
        gain = np.where(1 - false_alarms >= specificity, found, -np.inf)
    else:
        gain = found - false_alarms
    # Rounded, so that equal sums are equal; the first is the highest threshold.
    return float(thresholds[np.round(gain, 12).argmax()])


def _undefined_class(positives: int, negatives: int) -> str:
    if not positives + negatives:
        return "no labelled image"
    return "only images of this class" if positives else "no image of this class"


def _undefined(outcomes: Outcomes) -> str:
    if not len(outcomes.targets):
        return "no labelled image"
    if outcomes.exclusive:
        return f"only one class present: {outcomes.classes[int(outcomes.positive.any(axis=0).argmax())]}"
    return "no class has images both with and without it"


def _partial(name: str, estimate: Estimate, outcomes: Outcomes, scores: Scores) -> Estimate:
    """Note which classes a mean leaves out."""
    if estimate.value is None or name not in TASK_METRICS[outcomes.task].means or scores.defined(name).all():
        return estimate
    absent = [label for label, there in zip(outcomes.classes, scores.defined(name), strict=True) if not there]
    note = (
        f"mean of {len(outcomes.classes) - len(absent)} of {len(outcomes.classes)} classes, without {', '.join(absent)}"
    )
    return replace(estimate, why=f"{note}; {estimate.why}" if estimate.why else note)
