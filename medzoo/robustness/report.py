"""``report.html`` of a stress test, and the same as a part of another page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medzoo._version import __version__
from medzoo.reporting.html import embedded
from medzoo.reporting.subgroup_section import subgroup_section
from medzoo.reporting.templates import render
from medzoo.robustness.damage import DAMAGES
from medzoo.robustness.measurement import FALSE_ALARMS
from medzoo.robustness.outcome import StressOutcome
from medzoo.robustness.wording import findings

CAPTIONS = {
    "curves": "The main metric and the calibration error over the strengths, with 95 % intervals.",
    "damage": "One image at every strength, as the network gets it.",
    "shortcuts": "What is left where a part of the image is taken away, as the network gets it. Look "
    "whether the organ reaches into it.",
}


def stress_body(stress: StressOutcome, figures: Mapping[str, Path]) -> str:
    """Write the findings, tables and figures.

    Args:
        stress: What was measured.
        figures: The PNG file of each figure.

    Returns:
        HTML without a head, for a page with the style of ``finetuned.css``.
    """
    return render(
        "stress_body.html",
        stress=stress,
        findings=findings(stress),
        units={name: damage.unit for name, damage in DAMAGES.items()},
        tests=sum(one.organ for one in stress.shortcuts),
        alarms=FALSE_ALARMS,
        figures={name: (CAPTIONS[name], embedded(path.read_bytes())) for name, path in figures.items()},
    )


def stress_page(stress: StressOutcome, figures: Mapping[str, Path], folder: Path) -> str:
    """Write ``report.html``.

    Args:
        stress: What was measured.
        figures: The PNG file of each figure.
        folder: Gets the forest plot of subgroups, where there are any.

    Returns:
        HTML that needs no other file.
    """
    probes = [] if stress.site is None else [("of this model", stress.site)]
    body = stress_body(stress, figures) + subgroup_section(stress.subgroups, folder, probes=probes)
    return render("stress.html", stress=stress, body=body, version=__version__)
