"""A comparison as a page: ``report.html`` needs no other file, and its parts serve the study's page too."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from medzoo.comparison import plots
from medzoo.comparison.comparison import Comparison, Row
from medzoo.comparison.convergence import convergence
from medzoo.comparison.curves import Band, epochs, gain
from medzoo.comparison.runs import DONE
from medzoo.comparison.styles import Looks, looks_of
from medzoo.comparison.tables import csv_text, long_rows, markdown
from medzoo.comparison.verdict import p_value, percent, signed, verdict
from medzoo.core.atomic import write_json, write_text
from medzoo.core.errors import MedzooError, UnknownNameError
from medzoo.core.registry import unknown
from medzoo.metrics.scores import TASK_METRICS
from medzoo.reporting.html import WORDS
from medzoo.reporting.plots import save_figure
from medzoo.reporting.templates import render

PAGE, TABLE, CSV, JSON, PICTURES = "report.html", "table.md", "table.csv", "comparison.json", "pictures"
# Where the command keeps finished runs.
CELLS = "cells"


@dataclass(frozen=True)
class View:
    """What a page shows of a comparison, and how.

    Attributes:
        comparison: What was run.
        metric: The metric that it is judged by.
        looks: Colour and mark of each start.
    """

    comparison: Comparison
    metric: str
    looks: Looks

    @classmethod
    def of(cls, comparison: Comparison, metric: str | None = None, looks: Looks | None = None) -> View:
        """A view by the task's primary metric, with looks for the starts there are, unless others are given."""
        found = looks_of(comparison.arms, comparison.baseline) if looks is None else looks
        return cls(comparison, metric or comparison.primary, found)

    @property
    def label(self) -> str:
        """What the metric is called."""
        return WORDS[self.metric][0]

    def rows(self, strategy: str | None = None, fraction: float | None = None) -> list[Row]:
        """The table by this view's metric."""
        return self.comparison.table(self.metric, strategy, fraction)

    def bands(self, metric: str | None) -> dict[str, Band]:
        """The curves of the starts that have any; ``None`` for the training loss."""
        found = {arm: epochs(self.comparison, arm, metric) for arm in self.comparison.arms}
        return {arm: band for arm, band in found.items() if band is not None}


@dataclass(frozen=True)
class Picture:
    """One picture of a comparison.

    Attributes:
        name: What it is called; its file is ``<name>.png``.
        caption: What it shows and how to read it.
        draw: Draws it.
        there: Whether there is anything to draw.
    """

    name: str
    caption: str
    draw: Callable[[View], Figure]
    there: Callable[[View], bool]


def _forest(view: View) -> Figure:
    groups = {strategy: view.rows(strategy) for strategy in view.comparison.strategies}
    return plots.forest(groups, view.looks, f"{view.label}: difference to {view.comparison.baseline}")


def _means(view: View) -> Figure:
    return plots.means({name: view.rows(name) for name in view.comparison.strategies}, view.looks, view.label)


_GALLERY = (
    Picture(
        "curves",
        "On held-out images after each epoch: mean over runs; the band is one standard deviation to either side.",
        lambda view: plots.curves(view.bands(view.metric), view.looks, view.label),
        lambda view: bool(view.bands(view.metric)),
    ),
    Picture(
        "loss",
        "Training loss over each epoch: mean over runs; the band is one standard deviation to either side.",
        lambda view: plots.curves(view.bands(None), view.looks, "training loss"),
        lambda view: bool(view.bands(None)),
    ),
    Picture(
        "forest",
        "Difference to the baseline with its 95 % interval, paired. Filled: decided. Open: too close to call.",
        _forest,
        lambda view: any(row.test for row in view.rows()),
    ),
    Picture(
        "gain",
        "What more labelled images bring: mean over runs with its 95 % interval.",
        lambda view: plots.gains(gain(view.comparison, view.metric), view.looks, view.label),
        lambda view: len(view.comparison.fractions) > 1,
    ),
    Picture(
        "means",
        "Ways to fine-tune, side by side: mean over runs with its 95 % interval.",
        _means,
        lambda view: len(view.comparison.strategies) > 1,
    ),
)


def draw(view: View, what: str) -> Figure:
    """Draw one picture.

    Args:
        view: What to show.
        what: ``curves``, ``loss``, ``forest``, ``gain`` or ``means``.

    Raises:
        UnknownNameError: There is no such picture.
        MedzooError: There is nothing to draw in it.
    """
    found = {picture.name: picture for picture in _GALLERY}
    if what not in found:
        raise UnknownNameError(unknown("picture", what, list(found)))
    if not found[what].there(view):
        there = ", ".join(picture.name for picture in _GALLERY if picture.there(view))
        raise MedzooError(f"there is no picture {what!r} of this comparison; drawable: {there or 'none'}")
    return found[what].draw(view)


def body(view: View, folder: Path) -> str:
    """Everything about one data set as HTML, to stand below a heading of the second level.

    Args:
        view: What to show.
        folder: The pictures are written here as PNG, beside standing in the HTML.
    """
    comparison = view.comparison
    drawn = []
    for picture in _GALLERY:
        if picture.there(view):
            file = save_figure(picture.draw(view), folder / f"{picture.name}.png")
            drawn.append((picture, embedded(file)))
    return render(
        "comparison_body.html",
        view=view,
        tables=[(strategy, table(view, strategy)) for strategy in comparison.strategies],
        pictures=drawn,
        convergence=[
            (entry, None if entry.test is None else verdict(entry.test))
            for entry in convergence(comparison, view.metric)
        ],
        shares=[
            (percent(fraction), strategy, table(view, strategy, fraction))
            for strategy in comparison.strategies
            for fraction in comparison.fractions[1:]
        ],
        metrics=[(*WORDS[name], comparison.table(name)) for name in TASK_METRICS[comparison.data.task].overall],
        division=division(comparison),
        failures=failed(comparison),
        p_value=p_value,
    )


def table(view: View, strategy: str | None = None, fraction: float | None = None) -> str:
    """Means, differences to the baseline, p-values and verdicts as an HTML table."""
    rows = [(row, None if row.test is None else verdict(row.test)) for row in view.rows(strategy, fraction)]
    return render("comparison_table.html", view=view, rows=rows, p_value=p_value)


def embedded(file: Path) -> str:
    """A PNG file as the address of an ``img``."""
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()


def division(comparison: Comparison) -> str:
    """How the data set was divided, in words."""
    first = comparison.records[0]
    seeds = len({record["repeat"] for record in comparison.records})
    folds = len({record["fold"] for record in comparison.records})
    by = "by patient" if comparison.data.patients else "by image (no patients are known)"
    times = "once" if seeds == 1 else f"{seeds} times over"
    if folds > 1:
        how = f"Divided {times} into {folds} folds {by}, stratified by label: each image is measured on once a division"
    else:
        how = f"Divided {times} {by}, stratified by label ({first['scheme']}): the same images for all starts"
    done = [record for record in comparison.records if record["status"] == DONE and record["fraction"] == 1]
    if not done:
        return f"{how}."
    train = round(sum(record["train_images"] for record in done) / len(done))
    held_out = round(sum(len(record["rows"]) for record in done) / len(done))
    return f"{how}; {train:,} images to train on and {held_out:,} to measure on in the mean."


def sentences(view: View) -> list[str]:
    """What was found, in one plain sentence for each start and strategy."""
    found = []
    base = view.comparison.baseline
    for strategy in view.comparison.strategies:
        how = f", {strategy}" if len(view.comparison.strategies) > 1 else ""
        for row in view.rows(strategy):
            if row.test is None:
                continue
            said = verdict(row.test)
            than = f"{said.word} than {base}" if said.decided else str(said)
            found.append(f"{row.arm}{how}: {than}. {view.label} {signed(row.test.difference)}.")
    return found


def check_replaceable(folder: Path) -> None:
    """Refuse to write among anything but an earlier comparison, or the runs that one keeps.

    Raises:
        MedzooError: A file, or a folder of other things, stands there.
    """
    if folder.is_dir():
        others = {path.name for path in folder.iterdir()} - {PAGE, TABLE, CSV, JSON, PICTURES, CELLS}
        if others:
            raise MedzooError(f"{folder} holds {min(others)}, which is no part of a comparison; give another folder")
    elif folder.exists():
        raise MedzooError(f"{folder} is a file; give a folder to save the comparison in")


def save(comparison: Comparison, folder: Path) -> Path:
    """Write ``report.html``, ``table.md``, ``table.csv``, ``comparison.json`` and the folder ``pictures``.

    Returns:
        The page.

    Raises:
        MedzooError: Something else than an earlier comparison stands there.
    """
    check_replaceable(folder)
    view = View.of(comparison)
    write_json(folder / JSON, comparison.to_dict())
    write_text(folder / TABLE, markdown(comparison))
    write_text(folder / CSV, csv_text(long_rows(comparison)))
    page = render(
        "comparison.html",
        view=view,
        sentences=sentences(view),
        body=body(view, folder / PICTURES),
        starts={record["arm"]: record for record in comparison.records},
        style=style(),
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def style() -> str:
    """The look of such pages, as CSS."""
    return render("finetuned.css") + render("comparison.css")


def failed(comparison: Comparison) -> Sequence[str]:
    """The runs that failed, in words."""
    return [
        f"{r['arm']}, {r['strategy']}, seed {r['repeat']}, fold {r['fold']}, {percent(r['fraction'])}: {r['error']}"
        for r in comparison.failures
    ]
