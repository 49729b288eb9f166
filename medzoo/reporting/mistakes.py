"""The worst mistakes: wrong predictions of the highest confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from medzoo.metrics.outcomes import Outcomes
from medzoo.reporting.findings import Findings
from medzoo.reporting.plots import draw_image, drawn_names, drawn_text

MOST = 24
_COLUMNS = 6


@dataclass(frozen=True)
class Mistake:
    """One wrong prediction.

    Attributes:
        image: The image's row among the labelled held-out ones.
        true: The column of its true class; for ``multilabel``, of the class that was predicted wrongly.
        predicted: The column of the predicted class; for ``multilabel`` the same as ``true``.
        confidence: Probability given to what is wrong, in [0, 1].
        missed: For ``multilabel``: the class is there and was not predicted.
    """

    image: int
    true: int
    predicted: int
    confidence: float
    missed: bool = False


def mistakes(outcomes: Outcomes) -> list[Mistake]:
    """Return all wrong predictions, the most confident first.

    Args:
        outcomes: The labelled held-out images.

    Returns:
        Where classes exclude one another, one for each image whose predicted class is not its own; for
        ``multilabel``, one for each label that was missed or falsely predicted.
    """
    if outcomes.exclusive:
        true, predicted = outcomes.true_class, outcomes.predicted_class
        found = [
            Mistake(int(i), int(true[i]), int(predicted[i]), float(outcomes.probabilities[i, predicted[i]]))
            for i in np.flatnonzero(true != predicted)
        ]
    else:
        chance = np.where(outcomes.positive, 1 - outcomes.probabilities, outcomes.probabilities)
        found = [
            Mistake(int(i), int(c), int(c), float(chance[i, c]), bool(outcomes.positive[i, c]))
            for i, c in np.argwhere(outcomes.labelled & (outcomes.positive != outcomes.predicted))
        ]
    return sorted(found, key=lambda one: (-one.confidence, one.image))


def describe(found: Mistake, classes: tuple[str, ...] | list[str], task: str) -> tuple[str, str]:
    """Return the true and the predicted class in words.

    Example:
        >>> describe(Mistake(0, 0, 1, 0.973), ["normal", "tuberculosis"], "binary")
        ('true: normal', 'predicted: tuberculosis 0.97')
        >>> describe(Mistake(0, 1, 1, 0.9, missed=True), ["Mass", "Edema"], "multilabel")
        ('true: with Edema', 'predicted: without, 0.90')
    """
    if task == "multilabel":
        kinds = ("with", "without") if found.missed else ("without", "with")
        return f"true: {kinds[0]} {classes[found.true]}", f"predicted: {kinds[1]}, {found.confidence:.2f}"
    return f"true: {classes[found.true]}", f"predicted: {classes[found.predicted]} {found.confidence:.2f}"


def contact_sheet(found: Findings) -> Figure:
    """Draw up to 24 of the worst mistakes, as the network gets them, with labels and probabilities.

    Args:
        found: The outcome of the fine-tuning; with at least one mistake.
    """
    every = mistakes(found.outcomes)
    shown = every[:MOST]
    columns = min(_COLUMNS, max(len(shown), 3))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(2.05 * columns, 2.6 * rows + 0.7), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    unit = "images" if found.outcomes.exclusive else "labels"
    of = int(found.outcomes.labelled.sum()) if not found.outcomes.exclusive else len(found.outcomes.targets)
    figure.suptitle(
        f"{drawn_text(found.title)}\n{len(every)} of {of} held-out {unit} are wrong"
        + (f"; the {len(shown)} most confident" if len(shown) < len(every) else "; the most confident first"),
        fontsize=11,
    )
    names = drawn_names(found.metrics.classes)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    for axes, one in zip(grid, shown, strict=False):
        row = int(found.rows[one.image])
        draw_image(axes, found.images[row])
        axes.set_title("\n".join(describe(one, names, found.metrics.task)), fontsize=8, loc="left")
        name = found.ids[row]
        axes.set_xlabel(drawn_text(name if len(name) <= 30 else "…" + name[-29:]), fontsize=6, color="0.45", loc="left")
    return figure
