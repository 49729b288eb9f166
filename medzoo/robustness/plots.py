"""The figures of a stress test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from medzoo.metrics.estimates import Estimate
from medzoo.reporting.plots import draw_image, tidy
from medzoo.robustness.outcome import StressOutcome
from medzoo.robustness.shortcuts import SHORTCUTS


def draw_curves(stress: StressOutcome) -> Figure:
    """Draw the main metric and the calibration error over the strengths, a panel for each kind of damage."""
    columns = min(3, len(stress.damage))
    rows = math.ceil(len(stress.damage) / columns)
    figure = Figure(figsize=(3.6 * columns, 2.7 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    low = min(0.0, *(one.value or 0.0 for curve in stress.damage for one in curve.metric))
    for axes in grid.ravel()[len(stress.damage) :]:
        axes.set_visible(False)
    for axes, curve in zip(grid.ravel(), stress.damage, strict=False):
        _line(axes, [stress.clean[stress.primary], *curve.metric], "tab:blue", stress.primary.replace("_", " "))
        _line(axes, [stress.clean["ece"], *curve.ece], "tab:orange", "ECE")
        axes.axhline(stress.chance, color="0.6", linestyle="--", linewidth=1, label="chance")
        axes.set_ylim(low - 0.02, 1.02)
        axes.set_xticks(range(6), ["clean", *(f"{strength:g}" for strength in curve.strengths)], fontsize=7)
        area = curve.area.value
        axes.set_title(f"{curve.name}" + ("" if area is None else f", area {area:.2f}"), fontsize=10)
        tidy(axes)
    grid[0, 0].legend(fontsize=7, loc="best")
    return figure


def _line(axes: Any, values: Sequence[Estimate], colour: str, label: str) -> None:
    points = [np.nan if one.value is None else one.value for one in values]
    axes.plot(range(len(points)), points, "o-", color=colour, markersize=3, linewidth=1.6, label=label)
    known = [(place, one.low, one.high) for place, one in enumerate(values) if one.low is not None]
    if known:
        places, low, high = zip(*known, strict=True)
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)


def draw_damage(stress: StressOutcome) -> Figure:
    """Draw an image of the data set, clean and at every strength, a row for each kind of damage."""
    rows = len(stress.damage)
    figure = Figure(figsize=(1.6 * 6 + 0.4, 1.75 * rows), layout="constrained")
    grid = figure.subplots(rows, 6, squeeze=False)
    for line, curve in zip(grid, stress.damage, strict=True):
        labels = ["clean", *(f"{strength:g}" for strength in curve.strengths)]
        for axes, image, label in zip(line, stress.pictures.damage[curve.name], labels, strict=True):
            draw_image(axes, image)
            axes.set_title(label, fontsize=8)
        line[0].set_ylabel(curve.name, fontsize=9)
    return figure


def draw_shortcuts(stress: StressOutcome) -> Figure:
    """Draw some images, whole and with each part taken away."""
    names = ["", *(one.name for one in stress.shortcuts)]
    pictures = stress.pictures.shortcuts
    rows = len(pictures[""])
    figure = Figure(figsize=(1.9 * len(names), 2.0 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, len(names), squeeze=False)
    for column, name in enumerate(names):
        title = fill(SHORTCUTS[name].title, 24) if name else "whole"
        grid[0, column].set_title(title, fontsize=8)
        for row in range(rows):
            draw_image(grid[row, column], pictures[name][row])
    return figure
