"""Figures of a comparison: differences, means and learning curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from medzoo.comparison.comparison import Row
from medzoo.comparison.curves import Band, Point
from medzoo.comparison.styles import Style, Styles
from medzoo.comparison.verdict import verdict
from medzoo.metrics.estimates import Estimate
from medzoo.reporting.plots import drawn_text, tidy

# Narrow enough to be read on a phone, where a figure is as wide as the screen.
WIDE, HIGH = 6.0, 3.9
ROW = 0.27  # inches for each line of a forest
# Of a group of lines: over the grid and its intervals, from the left edge on.
HEADING: dict[str, Any] = {
    "fontsize": 8.5,
    "fontweight": "bold",
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1},
}
Groups = Mapping[str, Sequence[Row]]


def forest(groups: Groups, styles: Styles, xlabel: str) -> Figure:
    """Draw differences to the baseline with 95 % intervals, a line each; filled markers are decided.

    Args:
        groups: Rows under a heading each, such as a target's; one group needs no heading. Rows without a test are
            not drawn.
        styles: Colour and marker of each name.
        xlabel: What the difference is.
    """
    tested = {title: [row for row in rows if row.test is not None] for title, rows in groups.items()}

    def difference(row: Row) -> tuple[Estimate, bool]:
        assert row.test is not None
        return row.test.difference, verdict(row.test).decided

    figure, axes = _lines(tested, styles, difference)
    axes.axvline(0, color="0.45", linewidth=1, zorder=1)
    axes.set_xlabel(xlabel)
    left, right = axes.get_xlim()
    reach = max(abs(left), abs(right))
    axes.set_xlim(-reach, reach)
    return figure


def means(groups: Groups, styles: Styles, xlabel: str) -> Figure:
    """Draw means with 95 % intervals, a line each, under a heading for each group.

    Args:
        groups: Rows under a heading each, such as a strategy's.
        styles: Colour and marker of each name.
        xlabel: What the mean is of.
    """
    figure, axes = _lines(groups, styles, lambda row: (row.estimate, True))
    axes.set_xlabel(xlabel)
    return figure


def _lines(groups: Groups, styles: Styles, of: Callable[[Row], tuple[Estimate, bool]]) -> tuple[Figure, Any]:
    heads = len(groups) > 1
    count = sum(len(rows) + heads for rows in groups.values())
    figure = Figure(figsize=(WIDE, 0.9 + ROW * max(count, 2)), layout="constrained")
    axes = figure.subplots()
    names: dict[int, str] = {}
    place = 0
    for title, rows in groups.items():
        if heads:
            axes.text(0, place, drawn_text(title), transform=axes.get_yaxis_transform(), va="center", **HEADING)
            place += 1
        for row in rows:
            names[place] = drawn_text(row.arm)
            estimate, filled = of(row)
            _interval(axes, place, estimate, styles[row.arm], filled)
            place += 1
    axes.set_yticks(list(names), list(names.values()), fontsize=9)
    axes.set_ylim(max(place, 1) - 0.4, -0.6)
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _interval(axes: Any, place: int, estimate: Estimate, style: Style, filled: bool) -> None:
    colour = style.colour
    if estimate.value is None:
        axes.text(0.5, place, "undefined", transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize=8)
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=1.8, solid_capstyle="round")
    face = colour if filled else "white"
    axes.plot(
        *(estimate.value, place),
        style.marker,
        markersize=6.5,
        markerfacecolor=face,
        markeredgecolor=colour,
        markeredgewidth=1.5,
    )


def curves(bands: Mapping[str, Band], styles: Styles, ylabel: str) -> Figure:
    """Draw a curve over epochs for each set of weights; the band is one standard deviation of the runs.

    Args:
        bands: The curves, by name.
        styles: Colour and marker of each name.
        ylabel: What the lines are of.
    """
    figure, axes = _plot(ylabel, "epoch")
    for arm, band in bands.items():
        style, epochs = styles[arm], range(1, len(band.middle) + 1)
        if band.runs > 1:
            axes.fill_between(
                epochs,
                band.middle - band.spread,
                band.middle + band.spread,
                color=style.colour,
                alpha=0.13,
                linewidth=0,
            )
        axes.plot(
            *(epochs, band.middle),
            color=style.colour,
            marker=style.marker,
            markersize=4,
            markevery=max(1, len(band.middle) // 10),
            linewidth=1.7,
            label=drawn_text(arm),
        )
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(figure)
    return figure


def gains(points: Mapping[str, Sequence[Point]], styles: Styles, ylabel: str, *, zero: bool = False) -> Figure:
    """Draw a score over the number of training images, with 95 % intervals.

    Args:
        points: The curves, by name.
        styles: Colour and marker of each name.
        ylabel: What the score is.
        zero: Draw a line at 0.
    """
    figure, axes = _plot(ylabel, "training images")
    axes.set_xscale("log")
    if zero:
        axes.axhline(0, color="0.45", linewidth=1, zorder=1)
    for place, (arm, line) in enumerate(points.items()):
        known = [(point.images, point.estimate) for point in line if point.estimate.value is not None]
        style = styles[arm]
        # Side by side, or the intervals would hide one another.
        x = [images * 1.025 ** (place - (len(points) - 1) / 2) for images, _ in known]
        axes.plot(
            *(x, [e.value for _, e in known]), color=style.colour, marker=style.marker, markersize=5.5, linewidth=1.4
        )
        axes.lines[-1].set_label(drawn_text(arm))
        for at, (_, e) in zip(x, known, strict=True):
            if e.low is not None:
                axes.plot([at, at], [e.low, e.high], color=style.colour, linewidth=1.2, alpha=0.6)
    ticks = sorted({round(point.images) for line in points.values() for point in line})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    _legend(figure)
    return figure


def _plot(ylabel: str, xlabel: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDE, HIGH), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    tidy(axes)
    return figure, axes


def _legend(figure: Figure) -> None:
    """Add the legend below the axes, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 3 if max(map(len, labels), default=0) < 18 else 2
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)
