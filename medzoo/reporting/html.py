"""``report.html``: the whole outcome of a fine-tuning in one HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from medzoo.data.overview import Overview
from medzoo.metrics.estimates import Estimate
from medzoo.models.info import ModelInfo
from medzoo.reporting.figures import FIGURES
from medzoo.reporting.findings import Findings
from medzoo.reporting.mistakes import MOST, describe, mistakes
from medzoo.reporting.templates import render

LARGEST = 320  # pixels of an image in the report
# Name, definition, and whether higher is better.
WORDS: Mapping[str, tuple[str, str, bool]] = {
    "accuracy": ("Accuracy", "share of images predicted correctly", True),
    "balanced_accuracy": ("Balanced accuracy", "mean of the sensitivities of the classes", True),
    "kappa": ("Cohen's kappa", "agreement beyond chance; 0 is chance", True),
    "kappa_linear": ("Kappa, linear weights", "a miss by two grades weighs twice one by one", True),
    "kappa_quadratic": ("Kappa, quadratic weights", "a miss by two grades weighs four times one by one", True),
    "auroc": ("AUROC", "chance that a positive image is ranked above a negative one; 0.5 is chance", True),
    "average_precision": ("Average precision", "area under precision and recall; the prevalence is chance", True),
    "f1": ("F1", "harmonic mean of precision and sensitivity", True),
    "sensitivity": ("Sensitivity", "share of positive images that are found", True),
    "specificity": ("Specificity", "share of negative images that are predicted negative", True),
    "brier": ("Brier score", "mean squared error of the probabilities", False),
    "ece": ("ECE", "expected calibration error: mean gap between probability and share", False),
}


@dataclass(frozen=True)
class MetricRow:
    """One row of the table of metrics.

    Attributes:
        label: The metric's name.
        meaning: Its definition.
        rising: Whether higher is better.
        estimate: Its value and interval.
        main: Whether it is the task's primary metric.
    """

    label: str
    meaning: str
    rising: bool
    estimate: Estimate
    main: bool


def html_report(
    found: Findings,
    record: Mapping[str, Any],
    info: ModelInfo,
    patients: tuple[int, int] | None,
    figures: Mapping[str, Path],
    data: tuple[Overview | None, Path],
    sections: str = "",
) -> str:
    """Write the report.

    Args:
        found: The outcome of the fine-tuning.
        record: The run record.
        info: What the model is.
        patients: How many patients the images that are not held out and those that are show; ``None`` where unknown.
        figures: The PNG file of each available figure, by its name in ``medzoo.reporting.figures``.
        data: What was found in the data, where it is known, and the PNG file that shows some of its images.
        sections: Further parts, as HTML: by subgroup and site, under stress.

    Returns:
        HTML that needs no other file.
    """
    metrics = found.metrics
    wrong = mistakes(found.outcomes)
    return render(
        "finetuned.html",
        title=found.title,
        info=info,
        record=record,
        metrics=metrics,
        patients=patients,
        rows=[
            MetricRow(metrics.title(name, WORDS[name][0]), *WORDS[name][1:], one, name == found.primary)
            for name, one in metrics.values.items()
        ],
        columns=[(name, WORDS[name][0]) for name in next(iter(metrics.per_class.values()))],
        overview=data[0],
        sections=sections,
        sheet=embedded(data[1].read_bytes()),
        figures=[
            (FIGURES[name], embedded(path.read_bytes())) for name, path in figures.items() if FIGURES[name].panels
        ],
        mistakes=[
            (
                *describe(one, metrics.classes, metrics.task),
                found.ids[found.rows[one.image]],
                thumbnail(found.images[found.rows[one.image]]),
            )
            for one in wrong[:MOST]
        ],
        wrong=len(wrong),
        words={name: label for name, (label, _, _) in WORDS.items()},
    )


def thumbnail(image: NDArray[Any]) -> str:
    """Return an image of the data set as a PNG of at most 320 pixels a side, for an ``img``.

    Args:
        image: ``uint8 [H, W, C]``, C 1 or 3.
    """
    thumb = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    thumb.thumbnail((LARGEST, LARGEST))
    written = io.BytesIO()
    thumb.save(written, "PNG", optimize=True)
    return embedded(written.getvalue())


def embedded(png: bytes) -> str:
    """Return a PNG file as the address of an ``img``."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
