"""``report.html``: everything a fine-tuning found on one page that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from medzoo.metrics.estimates import Estimate
from medzoo.models.info import ModelInfo
from medzoo.reporting.figures import PICTURES
from medzoo.reporting.findings import Findings
from medzoo.reporting.mistakes import MOST, described, mistakes
from medzoo.reporting.templates import render

LARGEST = 320  # pixels of an image on the page
# What each number is, and whether more of it is better.
WORDS: Mapping[str, tuple[str, str, bool]] = {
    "accuracy": ("Accuracy", "share of images predicted rightly", True),
    "balanced_accuracy": ("Balanced accuracy", "mean of the sensitivities of the classes", True),
    "kappa": ("Cohen's kappa", "agreement beyond chance; 0 is chance", True),
    "kappa_linear": ("Kappa, linear weights", "a miss by two grades weighs twice one by one", True),
    "kappa_quadratic": ("Kappa, quadratic weights", "a miss by two grades weighs four times one by one", True),
    "auroc": ("AUROC", "chance that a positive image is ranked above a negative one; 0.5 is chance", True),
    "average_precision": ("Average precision", "area under precision and recall; the prevalence is chance", True),
    "f1": ("F1", "harmonic mean of precision and sensitivity", True),
    "sensitivity": ("Sensitivity", "share of positive images that are found", True),
    "specificity": ("Specificity", "share of negative images that are left alone", True),
    "brier": ("Brier score", "mean squared error of the probabilities", False),
    "ece": ("ECE", "expected calibration error: mean gap between probability and share", False),
}


@dataclass(frozen=True)
class Line:
    """One metric of the page's table.

    Attributes:
        label: What it is called.
        meaning: What it says.
        rising: Whether more of it is better.
        estimate: The number.
        main: Whether it is the one that matters most.
    """

    label: str
    meaning: str
    rising: bool
    estimate: Estimate
    main: bool


def page(
    found: Findings,
    record: Mapping[str, Any],
    info: ModelInfo,
    patients: tuple[int, int] | None,
    pictures: Mapping[str, Path],
) -> str:
    """Write the page.

    Args:
        found: What was found.
        record: The run record.
        info: What the model is.
        patients: How many patients the images that are not held out and those that are show; ``None`` where unknown.
        pictures: The PNG file of each picture that could be drawn, by its name in ``medzoo.reporting.figures``.

    Returns:
        HTML with everything inside.
    """
    metrics = found.metrics
    wrong = mistakes(found.seen)
    return render(
        "finetuned.html",
        title=found.title,
        info=info,
        record=record,
        metrics=metrics,
        patients=patients,
        lines=[Line(*WORDS[name], one, name == found.primary) for name, one in metrics.values.items()],
        columns=[(name, WORDS[name][0]) for name in next(iter(metrics.per_class.values()))],
        pictures=[
            (PICTURES[name], base64.b64encode(path.read_bytes()).decode())
            for name, path in pictures.items()
            if PICTURES[name].panels
        ],
        mistakes=[
            (
                *described(one, metrics.classes, metrics.task),
                found.ids[found.rows[one.image]],
                thumbnail(found.images[found.rows[one.image]]),
            )
            for one in wrong[:MOST]
        ],
        wrong=len(wrong),
        words={name: label for name, (label, _, _) in WORDS.items()},
    )


def thumbnail(image: NDArray[Any]) -> str:
    """An image of the data set as base64 of a PNG, at most 320 pixels a side.

    Args:
        image: ``uint8 [H, W, C]``, C 1 or 3.
    """
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((LARGEST, LARGEST))
    written = io.BytesIO()
    picture.save(written, "PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode()
