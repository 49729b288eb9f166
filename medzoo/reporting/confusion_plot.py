"""The confusion matrix, and the AUROC of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.reporting.findings import Findings
from medzoo.reporting.plots import drawn_names, tidy


def draw_confusion(axes: Any, found: Findings) -> None:
    """Draw the confusion matrix: counts as numbers, shares of the true class as shades."""
    confusion: NDArray[np.int64] = np.asarray(found.metrics.confusion)
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    count = len(confusion)
    size = 10 if count <= 6 else 8 if count <= 12 else 5
    for row, column in np.ndindex(confusion.shape):
        number = confusion[row, column]
        text = f"{number}\n{share[row, column]:.0%}" if count <= 4 else str(number)
        shade = "white" if share[row, column] > 0.6 else "black" if number else "0.75"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=size)
    names = drawn_names(found.metrics.classes)
    wide = count > 3 and max(map(len, names)) > 3  # grades such as 0 to 4 have room beside one another
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if wide else {}
    axes.set_xticks(range(count), names, fontsize=8, **slanted)
    axes.set_yticks(range(count), names, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Confusion matrix")


def draw_classes(axes: Any, found: Findings) -> None:
    """Draw the AUROC of each class against the rest with its 95 % interval; undefined ones stay empty."""
    metrics = found.metrics
    names = drawn_names(metrics.classes)
    for place, label in enumerate(metrics.classes):
        estimate = metrics.per_class[label]["auroc"]
        if estimate.value is None:
            axes.text(0.5, place, estimate.why, ha="center", va="center", fontsize=8, color="0.5")
            continue
        if estimate.low is not None:
            axes.plot([estimate.low, estimate.high], [place, place], color="tab:blue", linewidth=2, alpha=0.5)
        axes.plot(estimate.value, place, "o", color="tab:blue", markersize=5)
    axes.axvline(0.5, color="0.6", linestyle="--", linewidth=1)
    axes.set_yticks(
        range(len(names)),
        [f"{name} ({metrics.positives[label]})" for name, label in zip(names, metrics.classes, strict=True)],
        fontsize=8,
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("AUROC, one against the rest (images of the class)")
    tidy(axes)
    axes.set_title("By class, 95 % intervals")
