"""Training curves: loss and validation metric over epochs."""

from __future__ import annotations

from typing import Any

from medzoo.reporting.findings import Findings
from medzoo.reporting.plots import draw_curves


def has_epochs(found: Findings) -> bool:
    """Return whether anything was trained in epochs."""
    return any("loss" in record for record in found.history)


def draw_loss(axes: Any, found: Findings) -> None:
    """Draw the training loss."""
    draw_curves(axes, {"loss": [record.get("loss") for record in found.history]}, "training loss")
    axes.set_title("Training loss")


def draw_metric(axes: Any, found: Findings) -> None:
    """Draw the main metric after each epoch, and the epoch that was kept where one was chosen."""
    series = {"held out": [record.get("valid", {}).get(found.primary) for record in found.history]}
    if any("selection" in record for record in found.history):
        series["chose the epoch"] = [record.get("selection", {}).get(found.primary) for record in found.history]
    draw_curves(axes, series, found.primary.replace("_", " "))
    axes.lines[0].set_color("tab:green")
    for record in found.history:
        if record.get("kept"):
            axes.axvline(record["epoch"], color="0.5", linestyle=":", linewidth=1.2, label=f"kept: {record['epoch']}")
    if len(axes.lines) > 1:
        axes.legend(fontsize=8)
    axes.set_title("Held-out images, by epoch")
