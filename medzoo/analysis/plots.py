"""The figure of an analysis: a panel for each part that applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from medzoo.metrics import Estimate
from medzoo.reporting.plots import drawn_text, tidy

_PANEL = (4.4, 3.8)  # inches
_LOSS = "tab:red"


def analysis_figure(found: Any) -> Figure:
    """Draw an ``Analysis`` of at least one part."""
    parts = [
        (found.similarity, _draw_similarity),
        (found.distance, _draw_distance),
        (found.line, _draw_line),
        (found.shuffled, _draw_shuffled),
        (found.truncation, _draw_truncation),
    ]
    there = [(part, draw) for part, draw in parts if part]
    columns = 2 if len(there) == 4 else min(3, len(there))
    rows = -(-len(there) // columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows + 0.4), layout="constrained")
    counts = f"{found.images:,} images" + (f", scores on {found.measured:,}" if found.measured < found.images else "")
    figure.suptitle(drawn_text(f"From {found.before} to {found.after} on {found.data} ({counts})"))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (part, draw) in zip(panels, there, strict=False):
        draw(axes, part)
        tidy(axes)
    for axes in panels[len(there) :]:
        axes.set_axis_off()
    return figure


def _draw_similarity(axes: Any, layers: Sequence[Any]) -> None:
    values = [np.nan if layer.cka is None else layer.cka for layer in layers]
    axes.plot(values, marker="o", color="tab:blue")
    _stages(axes, [layer.stage for layer in layers])
    axes.set_ylim(min(0.0, *(v - 0.05 for v in values if v == v), 0.0), 1.05)
    axes.set_ylabel("linear CKA, before and after")
    axes.set_title("Similarity of features")


def _draw_distance(axes: Any, blocks: Sequence[Any]) -> None:
    places = np.arange(len(blocks))
    for shift, name, colour, label in (
        (-0.2, "relative", "tab:blue", "trained values"),
        (0.2, "statistics_relative", "tab:orange", "batch-norm statistics"),
    ):
        values = [getattr(block, name) or 0.0 for block in blocks]
        axes.bar(places + shift, values, 0.38, color=colour, label=label)
    _stages(axes, [block.block for block in blocks])
    axes.set_ylabel("L2 distance / norm before")
    axes.set_title("Distance of values")
    axes.legend(fontsize=8)


def _draw_line(axes: Any, line: Any) -> None:
    scores = [np.nan if score is None else score for score in line.scores]
    axes.plot(line.shares, scores, marker="o", color="tab:blue")
    axes.set_xlabel("a in (1 - a) before + a after")
    axes.set_ylabel(line.metric.replace("_", " "), color="tab:blue")
    losses = axes.twinx()
    losses.plot(line.shares, line.losses, marker="s", markersize=4, linestyle="--", color=_LOSS)
    losses.set_ylabel("loss", color=_LOSS)
    losses.spines["top"].set_visible(False)
    what = "batch norm recalibrated" if line.recalibrated else "batch norm interpolated"
    heads = "" if line.both_heads else ", after's head throughout"
    axes.set_title(f"Straight line\n({what}{heads})", fontsize=10)


def _draw_shuffled(axes: Any, curves: Sequence[Any]) -> None:
    for number, curve in enumerate(curves):
        shift = 0.06 * (number - (len(curves) - 1) / 2)
        _with_intervals(axes, np.arange(len(curve.tiles)) + shift, curve.scores, f"C{number}", curve.network)
    axes.set_xticks(range(len(curves[0].tiles)), [f"{k} x {k}" for k in curves[0].tiles])
    axes.set_xlabel("tiles that changed places")
    axes.set_ylabel(curves[0].metric.replace("_", " "))
    axes.set_title("Shuffled images")
    axes.legend(fontsize=8)


def _draw_truncation(axes: Any, cuts: Sequence[Any]) -> None:
    _with_intervals(axes, np.arange(len(cuts)), [cut.score for cut in cuts], "tab:green", None)
    _stages(axes, [cut.kept for cut in cuts])
    axes.set_xlabel("kept up to")
    axes.set_ylabel(f"{cuts[0].metric.replace('_', ' ')} of a linear probe")
    axes.set_title("Linear probe on the first blocks of before", fontsize=10)


def _with_intervals(axes: Any, places: Any, scores: Sequence[Estimate], colour: str, label: str | None) -> None:
    """Draw a line through the defined values, with their 95 % intervals."""
    values = [np.nan if score.value is None else score.value for score in scores]
    axes.plot(places, values, marker="o", color=colour, label=label)
    for place, score in zip(places, scores, strict=True):
        if score.low is not None:
            axes.vlines(place, score.low, score.high, color=colour, alpha=0.5)


def _stages(axes: Any, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), [drawn_text(name) for name in names], rotation=30, ha="right", fontsize=8)
