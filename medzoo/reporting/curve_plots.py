"""ROC and precision-recall curves, one a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.lines import Line2D
from sklearn.metrics import precision_recall_curve, roc_curve

from medzoo.reporting.findings import Findings
from medzoo.reporting.plots import colours, drawn_names, tidy

INSIDE = 4  # more names would cover the curves


def draw_roc(axes: Any, found: Findings) -> None:
    """Draw ROC curves with their AUROC, and for ``binary`` the point of the threshold in use.

    Source: Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 2006.
    """
    for colour, positive, probabilities in _curves(found):
        false_alarms, hits, _ = roc_curve(positive, probabilities)
        axes.plot(false_alarms, hits, color=colour, linewidth=1.8)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    point = _operating_point(found)
    if point is not None:
        sensitivity, specificity, _ = point
        axes.plot(1 - specificity, sensitivity, "o", color="black", markersize=6, zorder=3)
    axes.set_xlabel(f"1 - {_axis(found, 'specificity')}")
    axes.set_ylabel(_axis(found, "sensitivity"))
    axes.set_title("ROC")
    _finish(axes, found, "auroc", "lower right")


def draw_precision_recall(axes: Any, found: Findings) -> None:
    """Draw precision-recall curves with their average precision; for ``binary``, prevalence as a dashed line.

    Source: Saito & Rehmsmeier, PLoS ONE 2015.
    """
    for colour, positive, probabilities in _curves(found):
        precision, recall, _ = precision_recall_curve(positive, probabilities)
        # Steps, as average precision adds them up: a straight line between two points would promise too much.
        axes.plot(recall, precision, color=colour, linewidth=1.8, drawstyle="steps-post")
        if found.metrics.task == "binary":
            axes.axhline(positive.mean(), color="0.6", linestyle="--", linewidth=1)
    point = _operating_point(found)
    if point is not None and point[2] is not None:
        axes.plot(point[0], point[2], "o", color="black", markersize=6, zorder=3)
    axes.set_xlabel(_axis(found, "recall (sensitivity)"))
    axes.set_ylabel(_axis(found, "precision"))
    axes.set_title("Precision and recall")
    _finish(axes, found, "average_precision", "lower left")


def _curves(found: Findings) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the colour, labels ``bool [n]`` and probabilities ``[n]`` of each class that has a curve."""
    palette = colours(len(found.metrics.classes))
    for column in found.shown:
        known = found.outcomes.labelled[:, column]
        yield palette[column], found.outcomes.positive[known, column], found.outcomes.probabilities[known, column]


def _operating_point(found: Findings) -> tuple[float, float, float | None] | None:
    """Return sensitivity, specificity and precision of a binary task's predictions; ``None`` elsewhere."""
    if found.metrics.task != "binary" or found.metrics.confusion is None or not found.shown:
        return None
    column = found.outcomes.positive_column
    tn, tp = (int(found.metrics.confusion[c, c]) for c in (1 - column, column))
    fp, fn = (int(found.metrics.confusion[1 - c, c]) for c in (column, 1 - column))
    return tp / (tp + fn), tn / (tn + fp), tp / (tp + fp) if tp + fp else None


def _axis(found: Findings, label: str) -> str:
    """Name the positive class of a binary task behind a metric."""
    if found.metrics.task != "binary":
        return label
    return f"{label} for {drawn_names(found.metrics.classes)[found.outcomes.positive_column]}"


def _finish(axes: Any, found: Findings, metric: str, place: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    tidy(axes)
    metrics, names = found.metrics, drawn_names(found.metrics.classes)
    handles = [Line2D([], [], color=colour, linewidth=1.8) for colour, _, _ in _curves(found)]
    few = len(handles) <= INSIDE
    texts = []
    for column in found.shown:
        estimate = metrics.per_class[metrics.classes[column]][metric]
        texts.append(f"{names[column]}\n{estimate:.2f}" if few else f"{names[column]} {estimate.value:.2f}")
    if _operating_point(found) is not None and metrics.threshold is not None:
        handles.append(Line2D([], [], color="black", marker="o", linestyle="", markersize=5))
        texts.append(f"threshold {metrics.threshold[found.outcomes.positive_column]:.2g}")
    if few:
        axes.legend(handles, texts, fontsize=8, loc=place, framealpha=0.9)
    else:
        axes.legend(handles, texts, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False)
