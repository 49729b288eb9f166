"""The pictures of a fine-tuning, as one table: what each shows, and when there is nothing to show."""

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
class Picture:
    """One picture.

    Attributes:
        name: What it is called; its file is ``<name>.png``.
        caption: What it shows and how to read it.
        panels: What draws its parts, side by side; none for the contact sheet, which shows images.
        there: Whether there is anything to draw.
        missing: Why there may be nothing.
    """

    name: str
    caption: str
    panels: tuple[Panel, ...]
    there: Callable[[Findings], bool]
    missing: str


PICTURES: Registry[Picture] = Registry(
    "picture",
    [
        Picture(
            "training",
            "Training loss, and the main metric after each epoch.",
            (draw_loss, draw_metric),
            has_epochs,
            "nothing was trained in epochs",
        ),
        Picture(
            "confusion",
            "Held-out images by true and predicted class; the shade is the share of the true class.",
            (draw_confusion,),
            lambda found: found.metrics.confusion is not None and found.metrics.n > 0,
            "an image of this task may have several classes",
        ),
        Picture(
            "classes",
            "How well each class is told from the rest. A long line means few images.",
            (draw_classes,),
            lambda found: found.metrics.task != "binary" and found.metrics.n > 0,
            "a binary task has one curve, which the picture 'roc' shows",
        ),
        Picture(
            "roc",
            "Sensitivity against false alarms at every threshold, with AUROC.",
            (draw_roc,),
            lambda found: bool(found.shown),
            "the held-out images are all of one class",
        ),
        Picture(
            "precision_recall",
            "Precision against recall at every threshold, with average precision. It depends on how common a class is.",
            (draw_precision_recall,),
            lambda found: bool(found.shown),
            "the held-out images are all of one class",
        ),
        Picture(
            "calibration",
            "How often events of a given probability came true; on the dashed line, probabilities mean what they say. "
            "Thin lines are 95 % intervals of each bin, grey bars its images.",
            (draw_calibration,),
            lambda found: found.metrics.n > 0,
            "no held-out image has a label",
        ),
        Picture(
            "mistakes",
            "The wrong predictions that the network was surest of, as it saw the images.",
            (),
            lambda found: bool(mistakes(found.seen)),
            "no held-out image was predicted wrongly",
        ),
    ],
)


def available(found: Findings) -> list[Picture]:
    """The pictures that there is something to draw for."""
    return [picture for picture in PICTURES.values() if picture.there(found)]


def draw(found: Findings, what: str = OVERVIEW) -> Figure:
    """Draw one picture, or all but the contact sheet on one page.

    Args:
        found: What was found.
        what: A name in ``PICTURES``, or ``"overview"``.

    Returns:
        The figure.

    Raises:
        UnknownNameError: There is no such picture.
        MedzooError: There is nothing to draw: the message says why.
    """
    if what == OVERVIEW:
        return _overview(found)
    picture = PICTURES[what]
    if not picture.there(found):
        raise MedzooError(f"there is no picture {what!r}: {picture.missing}; drawable: {_names(found)}")
    return _side_by_side(found, picture.panels) if picture.panels else contact_sheet(found)


def _names(found: Findings) -> str:
    return ", ".join([OVERVIEW, *(picture.name for picture in available(found))])


def _overview(found: Findings) -> Figure:
    shown = [picture for picture in available(found) if picture.panels]
    if not shown:
        raise MedzooError("there is nothing to draw: no held-out image has a label")
    # The matrix says more than a line for each class, and there is room for one of the two.
    redundant = "classes" if "confusion" in {picture.name for picture in shown} else ""
    panels = tuple(panel for picture in shown if picture.name != redundant for panel in picture.panels)
    figure = _side_by_side(found, panels)
    figure.suptitle(drawn_text(found.title), fontsize=12)
    return figure


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
