"""The geometry of the gallery's charts: curves over epochs, and a forest plot. ``charts.html`` draws them as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from medzoo.metrics import primary
from medzoo.reporting.html import WORDS
from medzoo.zoo.sources import SOURCES
from training.publishing.evidence import Transfer

# Inside the axes, in units of the SVG; margins are the template's.
WIDTH, HEIGHT, ROW = 300, 130, 46


@dataclass(frozen=True)
class Tick:
    """A tick: its place along the axis and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve: its name, an SVG path's points, and its last value."""

    name: str
    points: str
    last: float


@dataclass(frozen=True)
class Chart:
    """Curves over epochs.

    Attributes:
        title: What is drawn, with its unit.
        lines: The curves.
        x: Ticks of the epochs.
        y: Ticks of the values, from the top.
    """

    title: str
    lines: tuple[Line, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


@dataclass(frozen=True)
class ForestRow:
    """A target: its value with an interval, and where these lie along the axis."""

    target: str
    text: str
    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Forest:
    """Results on targets, one row each.

    Attributes:
        title: What the axis shows.
        rows: The targets.
        ticks: Of the axis.
        zero: Where no difference is; ``None`` for a plot of values.
    """

    title: str
    rows: tuple[ForestRow, ...]
    ticks: tuple[Tick, ...]
    zero: float | None


def curves(history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return the charts of a run: the training loss, and each source's main metric on held-out images."""
    if len(history) < 2:
        return []
    loss = {"training images": [epoch["loss"] for epoch in history]}
    metrics: dict[str, dict[str, list[float | None]]] = {}
    for source in history[-1]["valid"]:
        metric = primary(SOURCES[source].task)
        values = [epoch["valid"][source].get(metric) for epoch in history]
        metrics.setdefault(metric, {})[SOURCES[source].title] = values
    drawn = [_chart("Training loss (cross-entropy)", loss, 0.0, max(loss["training images"]))]
    for metric, series in metrics.items():
        known = [value for values in series.values() for value in values if value is not None]
        if known:
            drawn.append(_chart(f"{WORDS[metric][0]}, held-out images", series, min(0.0, *known), 1.0))
    return drawn


def forest(found: Sequence[Transfer], titles: Mapping[str, str]) -> Forest | None:
    """Return the forest plot of a weight's results: differences to ImageNet's where there are some, else values."""
    differences = any(one.difference is not None for one in found)
    rows = [(one, one.difference if differences else one.estimate) for one in found]
    drawn = [(one, e, e.value) for one, e in rows if e is not None and e.value is not None]
    if not drawn:
        return None
    ends = [(v if e.low is None else e.low, v, v if e.high is None else e.high) for _, e, v in drawn]
    known = [value for end in ends for value in end] + ([0.0] if differences else [])
    scale, ticks = _axis(min(known), max(known), WIDTH)
    titled = "Difference to ImageNet's weights" if differences else "Value"
    titled += ", 95 % interval" if any(e.low is not None for _, e, _ in drawn) else " (too few runs for an interval)"
    return Forest(
        titled,
        tuple(
            ForestRow(
                f"{titles[one.target]}: {WORDS[one.metric][0]}, {one.strategy.replace('_', ' ')}, {one.image_size} px",
                f"{e:+.3f}" if differences else str(e),
                *(scale(place) for place in (end[1], end[0], end[2])),
            )
            for (one, e, _), end in zip(drawn, ends, strict=True)
        ),
        ticks,
        scale(0.0) if differences else None,
    )


def _chart(title: str, series: Mapping[str, Sequence[float | None]], low: float, high: float) -> Chart:
    """Return one chart; values that are not known leave a gap at their epoch."""
    epochs = max(len(values) for values in series.values())
    across, below = _axis(1, epochs, WIDTH, whole=True)
    up, beside = _axis(low, high, HEIGHT)
    lines = []
    for name, values in series.items():
        known = [(i + 1, value) for i, value in enumerate(values) if value is not None]
        if known:
            points = " ".join(f"{across(epoch):.1f},{HEIGHT - up(value):.1f}" for epoch, value in known)
            lines.append(Line(name, points, known[-1][1]))
    return Chart(title, tuple(lines), below, tuple(Tick(HEIGHT - tick.at, tick.label) for tick in beside))


def _axis(low: float, high: float, length: float, *, whole: bool = False) -> tuple[Any, tuple[Tick, ...]]:
    """Return a function from values to places along an axis, and its ticks."""
    locator = MaxNLocator(nbins=5, integer=whole, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2)
    places = [float(place) for place in locator.tick_values(low, high if high > low else low + 1)]
    start, end = (low, high) if whole else (places[0], places[-1])
    span = (end - start) or 1.0

    def scale(value: float) -> float:
        return round((min(max(value, start), end) - start) / span * length, 1)

    return scale, tuple(Tick(scale(place), f"{place:g}") for place in places if start <= place <= end)
