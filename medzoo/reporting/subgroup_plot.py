"""The main metric of each subgroup with its interval, as a forest plot."""

from __future__ import annotations

from matplotlib.figure import Figure

from medzoo.metrics.subgroups import Subgroups
from medzoo.reporting.plots import drawn_text, tidy

_ROW = 0.3  # inches


def draw_subgroups(found: Subgroups, label: str) -> Figure:
    """Draw one row a measured subgroup, columns below one another; a filled point has a part in a gap beyond chance.

    Args:
        found: The subgroups.
        label: The metric's name.
    """
    rows = [(column, one) for column in found.columns for one in column.subgroups if one.metrics is not None]
    marked = {(gap.column, name) for gap in found.decided for name in (gap.higher, gap.lower)}
    figure = Figure(figsize=(7.0, 0.9 + _ROW * (len(rows) + 0.5 * len(found.columns))))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    places, names, place, before = [], [], 0.0, ""
    for column, one in rows:
        place -= 1.0 if column.name == before or not before else 1.6  # a gap between columns
        before = column.name
        assert one.metrics is not None
        estimate = one.metrics[found.primary]
        if estimate.value is not None:
            filled = (column.name, one.name) in marked
            axes.plot([estimate.value], [place], "o", color="tab:blue", markerfacecolor=None if filled else "white")
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [place, place], color="tab:blue", linewidth=1.5, zorder=0)
        else:
            axes.annotate("undefined", (0.5, place), xycoords=("axes fraction", "data"), fontsize=8, va="center")
        places.append(place)
        names.append(drawn_text(f"{column.name}: {one.name} ({one.images:,})"))
    axes.set_yticks(places, names, fontsize=9)
    axes.set_ylim(place - 0.7, 0.0)
    axes.set_xlabel(f"{label}, 95 % interval")
    tidy(axes)
    return figure
