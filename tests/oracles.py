"""Metrics by scikit-learn, one call a class: what the package's vectorised ones are compared with."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, cohen_kappa_score, multilabel_confusion_matrix, roc_auc_score

from medzoo.metrics.calibration import reliability
from medzoo.metrics.outcomes import Outcomes
from medzoo.metrics.scores import KAPPAS, TASK_METRICS, Floats, Scores, rates, ratio


def score(outcomes: Outcomes) -> Scores:
    """Return the values of every metric.

    Args:
        outcomes: The labelled images.

    Returns:
        Per-class values ``[C]`` and whole ones ``[]``; NaN where undefined.
    """
    classes = len(outcomes.classes)
    labelled, positive = outcomes.labelled, outcomes.positive
    table = np.zeros((classes, 2, 2))
    areas = {name: np.full(classes, np.nan) for name in ("auroc", "average_precision")}
    # One call for all classes that are labelled on the same images: usually a single one.
    masks, member = np.unique(labelled, axis=1, return_inverse=True)
    for index, rows in enumerate(masks.T):
        columns = np.flatnonzero(member.ravel() == index)
        if not rows.any():
            continue
        truth = positive[np.ix_(rows, columns)]
        # scikit-learn takes a single column for a vector of classes: a constant column keeps it a matrix.
        pad = np.zeros((len(truth), 1), dtype=bool)
        table[columns] = multilabel_confusion_matrix(
            np.hstack([truth, pad]), np.hstack([outcomes.predicted[np.ix_(rows, columns)], pad])
        )[:-1]
        both = truth.any(axis=0) & ~truth.all(axis=0)
        if both.any():
            ranked = outcomes.probabilities[np.ix_(rows, columns[both])]
            hot = truth[:, both].squeeze()
            areas["auroc"][columns[both]] = roc_auc_score(hot, ranked.squeeze(), average=None)
            areas["average_precision"][columns[both]] = average_precision_score(hot, ranked.squeeze(), average=None)
    (tn, fp), (fn, tp) = table.transpose(1, 2, 0)
    squared = np.where(labelled, (outcomes.probabilities - positive) ** 2, 0)
    calibration = [
        reliability(positive[rows, c], outcomes.probabilities[rows, c]).ece for c, rows in enumerate(labelled.T)
    ]
    per_class = {
        **areas,
        **rates(tp, fp, fn, tn),
        "brier": ratio(squared.sum(axis=0), labelled.sum(axis=0)),
        "ece": np.array(calibration),
    }
    return Scores(per_class, _whole(outcomes, squared))


def _whole(outcomes: Outcomes, squared: Floats) -> dict[str, Floats]:
    """Metrics that are not made of per-class ones."""
    wanted = TASK_METRICS[outcomes.task].whole
    if not len(outcomes.targets):
        return {name: np.array(np.nan) for name in wanted}
    true, predicted = outcomes.true_class, outcomes.predicted_class
    confidence = np.where(outcomes.predicted, outcomes.probabilities, 0).sum(axis=1)
    values = {
        "accuracy": (true == predicted).mean(),
        "brier": squared.sum(axis=1).mean(),
        "ece": reliability(true == predicted, confidence).ece,
    }
    labels = range(len(outcomes.classes))
    for name in KAPPAS.keys() & set(wanted):
        # With one true class kappa is 0 or 0 / 0 whatever is predicted: it says nothing.
        several = np.ptp(true) > 0
        values[name] = cohen_kappa_score(true, predicted, labels=labels, weights=KAPPAS[name]) if several else np.nan
    return {name: np.asarray(values[name], dtype=np.float64) for name in wanted}
