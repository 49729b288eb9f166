"""Pictures of a training run, drawn without a display and without touching the user's matplotlib settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medzoo.files import replacing_file


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG; an old file stays until the new one is whole."""
    with replacing_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path


def draw_curves(axes: Any, series: Mapping[str, Sequence[float | None]], ylabel: str) -> None:
    """Draw one line per name over epochs 1, 2, …; undefined values leave a gap."""
    for name, values in series.items():
        line = [np.nan if value is None else value for value in values]
        axes.plot(range(1, len(line) + 1), line, marker="o", markersize=3, linewidth=1.5, label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    if len(series) > 1:
        axes.legend(fontsize=8)


def draw_confusion(axes: Any, confusion: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Draw a confusion matrix: counts as numbers, shares of the true class as shades."""
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(confusion.shape):
        shade = "white" if share[row, column] > 0.6 else "black"
        axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=shade, fontsize=8)
    names = [name if len(name) <= 18 else name[:17] + "…" for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def training_figure(history: Sequence[Mapping[str, Any]], metric: str, metrics: Any, title: str) -> Figure:
    """Loss, validation metric and (where classes exclude one another) the confusion matrix, side by side."""
    panels = 2 if metrics.confusion is None else 3
    figure = Figure(figsize=(4.6 * panels, 4.2), layout="constrained")
    axes = figure.subplots(1, panels)
    figure.suptitle(title)
    draw_curves(axes[0], {"loss": [record["loss"] for record in history]}, "training loss")
    draw_curves(axes[1], {metric: [record["valid"][metric] for record in history]}, f"validation {metric}")
    if metrics.confusion is not None:
        draw_confusion(axes[2], metrics.confusion, metrics.classes)
    return figure
