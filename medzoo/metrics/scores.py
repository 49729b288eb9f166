"""The metrics of each task, and those over all classes from those of each class; NaN stands for undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medzoo.core.registry import Registry

Floats = NDArray[np.float64]

_ONE_VS_REST = ("auroc", "average_precision", "f1", "sensitivity", "specificity", "brier", "ece")
# Metrics of a binary task that change with the positive class.
DIRECTED = ("average_precision", "f1", "sensitivity", "specificity")
KAPPAS = {"kappa": None, "kappa_linear": "linear", "kappa_quadratic": "quadratic"}
_RECALL = {"balanced_accuracy": "sensitivity"}
_AREAS = {name: name for name in ("auroc", "average_precision", "f1")}


def metric_title(name: str, positive: str, label: str = "") -> str:
    """Name a metric over all classes, with the positive class of a binary task where it depends on that.

    Example:
        >>> metric_title("sensitivity", "COVID"), metric_title("auroc", "COVID", "AUROC")
        ('sensitivity for COVID', 'AUROC')
    """
    return f"{label or name} for {positive}" if positive and name in DIRECTED else label or name


def metric_range(name: str) -> tuple[float, float]:
    """Return the lowest and the highest value that a metric can have.

    Example:
        >>> metric_range("kappa_quadratic"), metric_range("auroc")
        ((-1.0, 1.0), (0.0, 1.0))
    """
    return -1.0 if "kappa" in name else 0.0, 2.0 if name == "brier" else 1.0


@dataclass(frozen=True)
class TaskMetrics:
    """The metrics of one task.

    Attributes:
        name: The task.
        primary: The metric that choices (best epoch, best weight) go by.
        reason: Why that one.
        overall: Metrics over all classes; those in neither ``means`` nor ``whole`` are those of the
            positive class.
        means: Which of them are means over the classes, and of what.
        whole: Which of them are not made of per-class ones.
        per_class: Metrics of each class against the rest.
    """

    name: str
    primary: str
    reason: str
    overall: tuple[str, ...]
    means: Mapping[str, str]
    whole: tuple[str, ...]
    per_class: tuple[str, ...] = _ONE_VS_REST


TASK_METRICS: Registry[TaskMetrics] = Registry(
    "task",
    [
        TaskMetrics(
            "binary",
            "auroc",
            "the usual measure of a diagnostic test: depends neither on a threshold nor on the prevalence",
            ("accuracy", "balanced_accuracy", "kappa", *_ONE_VS_REST),
            means=_RECALL,
            whole=("accuracy", "kappa"),
        ),
        TaskMetrics(
            "multiclass",
            "balanced_accuracy",
            "every class counts the same, so that a common one cannot hide a rare one that is never found",
            ("accuracy", "balanced_accuracy", "kappa", *_AREAS, "brier", "ece"),
            means=_RECALL | _AREAS,
            whole=("accuracy", "kappa", "brier", "ece"),
        ),
        TaskMetrics(
            "ordinal",
            "kappa_quadratic",
            "the custom for grades: a miss by two grades weighs four times one by one, chance agreement is taken off",
            ("accuracy", "balanced_accuracy", *KAPPAS, *_AREAS, "brier", "ece"),
            means=_RECALL | _AREAS,
            whole=("accuracy", *KAPPAS, "brier", "ece"),
        ),
        TaskMetrics(
            "multilabel",
            "auroc",
            "the custom for chest X-ray labels: comparable over labels of very different prevalence",
            ("accuracy", "balanced_accuracy", *_ONE_VS_REST),
            means={name: name for name in ("accuracy", "balanced_accuracy", *_ONE_VS_REST)},
            whole=(),
            per_class=("accuracy", "balanced_accuracy", *_ONE_VS_REST),
        ),
    ],
)


@dataclass(frozen=True)
class Scores:
    """Values of metrics, for one weighting of the images or (leading axis) for many.

    Attributes:
        per_class: Metric name to ``[..., C]``, each class against the rest.
        whole: Metric name to ``[...]``, for metrics that are not made of per-class ones.
    """

    per_class: Mapping[str, Floats]
    whole: Mapping[str, Floats]

    def defined(self, name: str) -> NDArray[np.bool_]:
        """Return ``bool [..., C]``: the classes for which a per-class metric is defined."""
        return np.isfinite(self.per_class[name])


def ratio(part: Floats, of: Floats) -> Floats:
    """Return ``part / of``, NaN where ``of`` is 0.

    Example:
        >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
        [0.5, nan]
    """
    return np.divide(part, of, out=np.full(np.shape(of), np.nan), where=np.asarray(of) != 0)


def rates(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    """Return the metrics of a 2 x 2 table; those of a class without images are undefined, F1 too.

    Args:
        tp: ``[...]`` (weights of) true positives.
        fp: ``[...]`` false positives.
        fn: ``[...]`` false negatives.
        tn: ``[...]`` true negatives.

    Returns:
        Metric name to ``[...]``.
    """
    sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        "accuracy": ratio(tp + tn, tp + fp + fn + tn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "f1": np.where(tp + fn > 0, ratio(2 * tp, 2 * tp + fp + fn), np.nan),
        "sensitivity": sensitivity,
        "specificity": specificity,
    }


def overall(scores: Scores, task: str, base: Scores, positive: int = -1) -> dict[str, Floats]:
    """Return the task's metrics over all classes.

    Args:
        scores: Values of one weighting or of many.
        task: The task.
        base: Values on the images as they are. Means are taken over the classes defined there, also
            for a resample, so that all estimate the same quantity; a resample without one is NaN.
        positive: The column of a ``binary`` task's positive class.

    Returns:
        Metric name to ``[...]``, in the task's order.
    """
    spec = TASK_METRICS[task]
    values: dict[str, Floats] = {}
    for name in spec.overall:
        if name in spec.whole:
            values[name] = scores.whole[name]
        elif name in spec.means:
            columns = scores.per_class[spec.means[name]][..., base.defined(name)]
            values[name] = columns.mean(axis=-1) if columns.shape[-1] else np.full(columns.shape[:-1], np.nan)
        else:
            values[name] = scores.per_class[name][..., positive]
    return values
