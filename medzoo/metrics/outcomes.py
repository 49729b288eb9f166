"""Labels, probabilities and predictions of an evaluation, checked once for every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.data.tasks import TASKS


@dataclass(frozen=True)
class Outcomes:
    """The labelled images of an evaluation.

    Attributes:
        task: One of ``medzoo.data.tasks.TASKS``.
        classes: The C class names.
        kept: ``bool [N]``, which of the images that came have a label; the n kept ones are below.
        targets: ``float64 [n, C]`` of 0 and 1; NaN (``multilabel`` only) means "not labelled".
        probabilities: ``float64 [n, C]`` in [0, 1].
        predicted: ``bool [n, C]``; exactly one per image unless ``multilabel``.
        threshold: Probability from which a class is predicted, per class; ``None`` where the most
            probable class is.
        positive_column: The column of a ``binary`` task's positive class; -1 for other tasks.
    """

    task: str
    classes: tuple[str, ...]
    kept: NDArray[np.bool_]
    targets: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    predicted: NDArray[np.bool_]
    threshold: tuple[float, ...] | None
    positive_column: int

    @property
    def exclusive(self) -> bool:
        """Return whether an image has exactly one class."""
        return self.task != "multilabel"

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Return ``bool [n, C]``: where a label is known."""
        return ~np.isnan(self.targets)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Return ``bool [n, C]``: where the class is known to be present."""
        return self.targets == 1

    @property
    def true_class(self) -> NDArray[np.int64]:
        """Return ``int64 [n]``: the column of the true class, where classes exclude one another."""
        return self.positive.argmax(axis=1)

    @property
    def predicted_class(self) -> NDArray[np.int64]:
        """Return ``int64 [n]``: the column of the predicted class, where classes exclude one another."""
        return self.predicted.argmax(axis=1)

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Return ``int64 [C, C]`` images by true (row) and predicted (column) class; ``None`` for ``multilabel``."""
        if not self.exclusive:
            return None
        matrix = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        np.add.at(matrix, (self.true_class, self.predicted_class), 1)
        return matrix


def make_outcomes(
    targets: NDArray[Any],
    probabilities: NDArray[Any],
    task: str,
    classes: Sequence[str],
    threshold: float | Sequence[float] | None = None,
    positive: str | None = None,
) -> Outcomes:
    """Check labels and probabilities, drop images without a label, and predict.

    Args:
        targets: ``[N, C]``, one-hot or (``multilabel``) multi-hot; NaN means "not labelled".
        probabilities: ``[N, C]`` in [0, 1]; rows sum to 1 unless ``multilabel``.
        task: One of ``medzoo.data.tasks.TASKS``.
        classes: The C class names.
        threshold: Probability from which the positive class (``binary``) or each class
            (``multilabel``: one number, or one for each class) is predicted; by default 0.5.
        positive: The positive class of a ``binary`` task; by default the last.

    Returns:
        The labelled images.

    Raises:
        DataError: Shapes, labels, probabilities or thresholds are not as described.

    Example:
        >>> make_outcomes(np.eye(2), np.array([[0.9, 0.1], [0.6, 0.4]]), "binary", ["no", "yes"]).predicted[:, 1]
        array([False, False])
    """
    if task not in TASKS:
        raise DataError(unknown("task", task, TASKS))
    names = tuple(map(str, classes))
    labels = np.asarray(targets, dtype=np.float64)
    scores = np.asarray(probabilities, dtype=np.float64)
    _check_shapes(labels, scores, task, names)
    kept = ~np.all(np.isnan(labels), axis=1)
    labels, scores = labels[kept], scores[kept]
    _check_labels(labels, task)
    _check_probabilities(scores, task)
    cut = _thresholds(threshold, task, names)
    column = _positive_column(positive, task, names)
    if cut is None:
        predicted = scores.argmax(axis=1)[:, None] == np.arange(len(names))
    elif task == "binary":
        predicted = (scores[:, column] >= cut[column])[:, None] == (np.arange(2) == column)
    else:
        predicted = scores >= np.array(cut)
    return Outcomes(task, names, kept, labels, scores, predicted, cut, column)


def _positive_column(positive: str | None, task: str, classes: tuple[str, ...]) -> int:
    """Return the column of the positive class: the one place where the last is it by default."""
    if task != "binary":
        return -1
    if positive and positive not in classes:
        raise DataError(unknown("class", positive, classes))
    return classes.index(positive) if positive else 1


def _check_shapes(
    targets: NDArray[np.float64], scores: NDArray[np.float64], task: str, classes: tuple[str, ...]
) -> None:
    if targets.ndim != 2 or targets.shape != scores.shape or targets.shape[1] != len(classes):
        raise DataError(
            f"targets {targets.shape} and probabilities {scores.shape} must both be [N, {len(classes)}], "
            f"one column for each of the {len(classes)} classes"
        )
    if len(set(classes)) != len(classes):
        raise DataError(f"a class is named twice in {', '.join(classes)}; give every column its own name")
    if task == "binary" and len(classes) != 2:
        raise DataError(f"a binary task has 2 classes (negative, positive), not {len(classes)}; use another task")
    if task in ("multiclass", "ordinal") and len(classes) < 2:
        raise DataError(f"a {task} task has at least 2 classes, not {len(classes)}")


def _check_labels(targets: NDArray[np.float64], task: str) -> None:
    if not (np.isnan(targets) | (targets == 0) | (targets == 1)).all():
        raise DataError("targets hold values other than 0, 1 and NaN (not labelled); give one-hot or multi-hot labels")
    # A comparison with NaN is false, so that a half-labelled row is caught here as well.
    if task != "multilabel" and not (targets.sum(axis=1) == 1).all():
        row = int((targets.sum(axis=1) != 1).argmax())
        raise DataError(
            f"labelled image {row} has the labels {targets[row].tolist()}; a {task} image has exactly one class "
            "(all NaN: not labelled). Where several may hold, the task is 'multilabel'"
        )


def _check_probabilities(scores: NDArray[np.float64], task: str) -> None:
    if np.isnan(scores).any():
        raise DataError(
            f"{int(np.isnan(scores).any(axis=1).sum())} images have NaN as a probability: training diverged?"
        )
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise DataError(
            f"probabilities reach from {scores.min():.3g} to {scores.max():.3g}, outside [0, 1]; "
            "apply softmax or sigmoid to the network's outputs first"
        )
    # Half-precision softmax is off by about 1e-3; sigmoids given in place of a softmax by far more.
    if task != "multilabel" and not np.allclose(scores.sum(axis=1), 1, atol=0.01):
        worst = scores.sum(axis=1)[np.abs(scores.sum(axis=1) - 1).argmax()]
        raise DataError(f"the probabilities of an image sum to {worst:.3g}, not 1; apply softmax, or use 'multilabel'")


def _thresholds(
    threshold: float | Sequence[float] | None, task: str, classes: tuple[str, ...]
) -> tuple[float, ...] | None:
    if task in ("multiclass", "ordinal"):
        if threshold is not None:
            raise DataError(f"a {task} task takes no threshold: the most probable class is predicted")
        return None
    cut = np.asarray(0.5 if threshold is None else threshold, dtype=np.float64)
    if cut.ndim and (task == "binary" or cut.shape != (len(classes),)):
        raise DataError(f"{cut.size} thresholds for a {task} task; give one number, or for 'multilabel' one a class")
    # Just above 1 is meant: "predict none", as choose_operating_point may have to say.
    if not ((cut >= 0) & (cut <= np.nextafter(1.0, 2.0))).all():
        raise DataError(f"threshold {threshold} is outside [0, 1]: it is a probability")
    return tuple(map(float, np.broadcast_to(cut, len(classes))))
