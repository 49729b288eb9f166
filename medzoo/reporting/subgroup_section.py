"""The part of a report about subgroups and sites, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medzoo.metrics.sites import SiteProbe, SiteValidation
from medzoo.metrics.subgroups import Subgroups
from medzoo.reporting.html import WORDS, embedded
from medzoo.reporting.plots import save_figure
from medzoo.reporting.subgroup_plot import draw_subgroups
from medzoo.reporting.templates import render

PICTURE = "subgroups.png"


def subgroup_section(
    subgroups: Subgroups | None,
    folder: Path,
    *,
    sites: SiteValidation | None = None,
    probes: Sequence[tuple[str, SiteProbe]] = (),
    heading: str = "Subgroups and sites",
) -> str:
    """Render what was found by subgroup and site, to stand among the parts of a report.

    Args:
        subgroups: The subgroups; ``None`` for none.
        folder: The forest plot is also written here, as ``subgroups.png``.
        sites: What leaving one site out gave.
        probes: Site probes, each with what it is of: "before fine-tuning".
        heading: The heading, of the second level.

    Returns:
        HTML; empty where there is nothing to say.
    """
    if subgroups is None and sites is None and not probes:
        return ""
    picture = ""
    if subgroups is not None and any(one.metrics for column in subgroups.columns for one in column.subgroups):
        label = WORDS[subgroups.primary][0]
        picture = embedded(save_figure(draw_subgroups(subgroups, label), folder / PICTURE).read_bytes())
    return render(
        "subgroups.html",
        heading=heading,
        subgroups=subgroups,
        sites=sites,
        probes=probes,
        picture=picture,
        words={name: label for name, (label, _, _) in WORDS.items()},
    )
