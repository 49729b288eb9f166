"""The figures of a fine-tuning report, as one table: what each shows, and when it is not available."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from medzoo.core.errors import MedzooError
from medzoo.core.registry import Registry
from medzoo.reporting.calibration_plot import draw_calibration
from medzoo.reporting.confusion_plot import draw_classes, draw_confusion
from medzoo.reporting.curve_plots import INSIDE, draw_precision_recall, draw_roc
from medzoo.reporting.findings import Findings
from medzoo.reporting.mistakes import contact_sheet, mistakes
from medzoo.reporting.plots import drawn_text
from medzoo.reporting.training_plots import draw_loss, draw_metric, has_epochs

Panel = Callable[[Any, Findings], None]
OVERVIEW = "overview"


@dataclass(frozen=True)
class ReportFigure:
    """One figure of the report.

    Attributes:
        name: Its name; its file is ``<name>.png``.
        caption: What it shows and how to read it.
        panels: Functions that draw its panels, side by side; none for the contact sheet, which shows images.
        available: Return whether there is anything to draw.
        reason: Why there may be nothing.
    """

    name: str
    caption: str
    panels: tuple[Panel, ...]
    available: Callable[[Findings], bool]
    reason: str


FIGURES: Registry[ReportFigure] = Registry(
    "figure",
    [
        ReportFigure(
            "training",
            "Training loss, and the main metric after each epoch.",
            (draw_loss, draw_metric),
            has_epochs,
            "nothing was trained in epochs",
        ),
        ReportFigure(
            "confusion",
            "Held-out images by true and predicted class; the shade is the share of the true class.",
            (draw_confusion,),
            lambda found: found.metrics.confusion is not None and found.metrics.n > 0,
            "an image of this task may have several classes",
        ),
        ReportFigure(
            "classes",
            "AUROC of each class against the rest. A wide interval means few images.",
            (draw_classes,),
            lambda found: found.metrics.task != "binary" and found.metrics.n > 0,
            "a binary task has one curve, which the figure 'roc' shows",
        ),
        ReportFigure(
            "roc",
            "Sensitivity against false alarms at every threshold, with AUROC.",
            (draw_roc,),
            lambda found: bool(found.shown),
            "the held-out images are all of one class",
        ),
        ReportFigure(
            "precision_recall",
            "Precision against recall at every threshold, with average precision. It depends on how common a class is.",
            (draw_precision_recall,),
            lambda found: bool(found.shown),
            "the held-out images are all of one class",
        ),
        ReportFigure(
            "calibration",
            "How often events of a given probability came true; on the dashed line, probabilities are calibrated. "
            "Thin lines are 95 % intervals of each bin, grey bars its images.",
            (draw_calibration,),
            lambda found: found.metrics.n > 0,
            "no held-out image has a label",
        ),
        ReportFigure(
            "mistakes",
            "The wrong predictions of the highest confidence, as the network gets the images.",
            (),
            lambda found: bool(mistakes(found.outcomes)),
            "no held-out image was predicted wrongly",
        ),
    ],
)


def available(found: Findings) -> list[ReportFigure]:
    """Return the figures that there is something to draw for."""
    return [figure for figure in FIGURES.values() if figure.available(found)]


def draw(found: Findings, what: str = OVERVIEW) -> Figure:
    """Draw one figure, or all panels but the contact sheet in one.

    Args:
        found: The outcome of the fine-tuning.
        what: A name in ``FIGURES``, or ``"overview"``.

    Returns:
        The figure.

    Raises:
        UnknownNameError: There is no such figure.
        MedzooError: There is nothing to draw: the message says why.
    """
    if what == OVERVIEW:
        return _overview(found)
    figure = FIGURES[what]
    if not figure.available(found):
        names = ", ".join([OVERVIEW, *(other.name for other in available(found))])
        raise MedzooError(f"figure {what!r} is not available: {figure.reason}; available: {names}")
    return _side_by_side(found, figure.panels) if figure.panels else contact_sheet(found)


def _overview(found: Findings) -> Figure:
    shown = [figure for figure in available(found) if figure.panels]
    if not shown:
        raise MedzooError("there is nothing to draw: no held-out image has a label")
    # The matrix says more than a line for each class, and there is room for one of the two.
    redundant = "classes" if "confusion" in {figure.name for figure in shown} else ""
    panels = tuple(panel for figure in shown if figure.name != redundant for panel in figure.panels)
    overview = _side_by_side(found, panels)
    overview.suptitle(drawn_text(found.title), fontsize=12)
    return overview


def _side_by_side(found: Findings, panels: tuple[Panel, ...]) -> Figure:
    columns = min(len(panels), 3 if len(panels) != 4 else 2)
    rows = math.ceil(len(panels) / columns)
    wide = 5.2 if len(found.shown) > INSIDE else 4.4  # names of many classes stand beside the curves
    figure = Figure(figsize=(wide * columns + 0.6 * (columns == 1), 4.2 * rows + 0.3))
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, panels, strict=False):
        panel(axes, found)
    return figure
