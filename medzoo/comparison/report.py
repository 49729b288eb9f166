"""The report of a comparison: ``report.html`` needs no other file; the study's report uses its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from medzoo.comparison import plots
from medzoo.comparison.benefit import benefits
from medzoo.comparison.comparison import Comparison, Row
from medzoo.comparison.convergence import convergence
from medzoo.comparison.curves import Band, epochs, gain
from medzoo.comparison.notes import notes
from medzoo.comparison.runs import DONE
from medzoo.comparison.styles import Styles, assign_styles
from medzoo.comparison.tables import csv_text, long_rows, markdown
from medzoo.comparison.text import fact_rows
from medzoo.comparison.verdict import p_value, percent, signed, verdict
from medzoo.core.atomic import write_json, write_text
from medzoo.core.errors import MedzooError
from medzoo.core.registry import Registry
from medzoo.metrics.scores import TASK_METRICS
from medzoo.reporting.html import WORDS, embedded
from medzoo.reporting.plots import save_figure
from medzoo.reporting.subgroup_section import subgroup_section
from medzoo.reporting.templates import render

PAGE, TABLE, CSV, JSON, PICTURES = "report.html", "table.md", "table.csv", "comparison.json", "pictures"
# Where the command keeps finished runs.
CELLS = "cells"


@dataclass(frozen=True)
class ComparisonView:
    """A comparison with the metric and the styles that its report uses.

    Attributes:
        comparison: The runs.
        metric: The metric of tables, figures and verdicts.
        styles: Colour and marker of each name.
    """

    comparison: Comparison
    metric: str
    styles: Styles

    @classmethod
    def of(cls, comparison: Comparison, metric: str | None = None, styles: Styles | None = None) -> ComparisonView:
        """Use the task's primary metric and a style for each name, unless others are given."""
        found = assign_styles(comparison.arms, comparison.baseline) if styles is None else styles
        return cls(comparison, metric or comparison.primary, found)

    @property
    def label(self) -> str:
        """Return the metric's name."""
        return self.comparison.title(self.metric, WORDS[self.metric][0])

    def rows(self, strategy: str | None = None, fraction: float | None = None) -> list[Row]:
        """Return the table by this view's metric."""
        return self.comparison.table(self.metric, strategy, fraction)

    def bands(self, metric: str | None) -> dict[str, Band]:
        """Return the curves over epochs by name, where there are any; ``None`` for the training loss."""
        found = {arm: epochs(self.comparison, arm, metric) for arm in self.comparison.arms}
        return {arm: band for arm, band in found.items() if band is not None}


@dataclass(frozen=True)
class ComparisonFigure:
    """One figure of a comparison.

    Attributes:
        name: Its name; its file is ``<name>.png``.
        caption: What it shows and how to read it.
        draw: Draw it.
        available: Return whether there is anything to draw.
    """

    name: str
    caption: str
    draw: Callable[[ComparisonView], Figure]
    available: Callable[[ComparisonView], bool]


def _forest(view: ComparisonView) -> Figure:
    groups = {strategy: view.rows(strategy) for strategy in view.comparison.strategies}
    return plots.forest(groups, view.styles, f"{view.label}: difference to {view.comparison.baseline}")


def _means(view: ComparisonView) -> Figure:
    return plots.means({name: view.rows(name) for name in view.comparison.strategies}, view.styles, view.label)


def _benefit(view: ComparisonView) -> Figure:
    points = {one.arm: one.points for one in benefits(view.comparison, view.metric)}
    return plots.gains(points, view.styles, f"{view.label}: difference to {view.comparison.baseline}", zero=True)


FIGURES: Registry[ComparisonFigure] = Registry(
    "figure",
    [
        ComparisonFigure(
            "curves",
            "On held-out images after each epoch: mean over runs; the band is one standard deviation to either side.",
            lambda view: plots.curves(view.bands(view.metric), view.styles, view.label),
            lambda view: bool(view.bands(view.metric)),
        ),
        ComparisonFigure(
            "loss",
            "Training loss over each epoch: mean over runs; the band is one standard deviation to either side.",
            lambda view: plots.curves(view.bands(None), view.styles, "training loss"),
            lambda view: bool(view.bands(None)),
        ),
        ComparisonFigure(
            "forest",
            "Difference to the baseline with its 95 % interval, paired. Filled: decided. Open: too close to call.",
            _forest,
            lambda view: any(row.test for row in view.rows()),
        ),
        ComparisonFigure(
            "gain",
            "The metric over the number of training images: mean over runs with its 95 % interval.",
            lambda view: plots.gains(gain(view.comparison, view.metric), view.styles, view.label),
            lambda view: len(view.comparison.fractions) > 1,
        ),
        ComparisonFigure(
            "benefit",
            "Difference to the baseline over the number of training images, paired, with its 95 % interval: do fewer "
            "images gain more?",
            _benefit,
            lambda view: bool(benefits(view.comparison, view.metric)),
        ),
        ComparisonFigure(
            "means",
            "Fine-tuning strategies: mean over runs with its 95 % interval.",
            _means,
            lambda view: len(view.comparison.strategies) > 1,
        ),
    ],
)


def draw(view: ComparisonView, what: str) -> Figure:
    """Draw one figure.

    Args:
        view: The comparison.
        what: ``curves``, ``loss``, ``forest``, ``gain``, ``benefit`` or ``means``.

    Raises:
        UnknownNameError: There is no such figure.
        MedzooError: It is not available.
    """
    figure = FIGURES[what]
    if not figure.available(view):
        names = ", ".join(other.name for other in FIGURES.values() if other.available(view))
        raise MedzooError(f"figure {what!r} is not available for this comparison; available: {names or 'none'}")
    return figure.draw(view)


def body(view: ComparisonView, folder: Path) -> str:
    """Render everything about one data set as HTML, to stand below a heading of the second level.

    Args:
        view: The comparison.
        folder: The figures are also written here as PNG.
    """
    comparison = view.comparison
    main = comparison.title(comparison.primary, WORDS[comparison.primary][0])
    figures = []
    for figure in FIGURES.values():
        if figure.available(view):
            file = save_figure(figure.draw(view), folder / f"{figure.name}.png")
            figures.append((figure, embedded(file.read_bytes())))
    return render(
        "comparison_body.html",
        view=view,
        tables=[(strategy, table(view, strategy)) for strategy in comparison.strategies],
        figures=figures,
        convergence=[
            (entry, None if entry.test is None else verdict(entry.test))
            for entry in convergence(comparison, view.metric)
        ],
        benefits=[(one, verdict(one.trend)) for one in benefits(comparison, view.metric)],
        percents=[percent(fraction) for fraction in reversed(comparison.fractions)],
        shares=[
            (percent(fraction), strategy, table(view, strategy, fraction))
            for strategy in comparison.strategies
            for fraction in comparison.fractions[1:]
        ],
        metrics=[
            (comparison.title(name, WORDS[name][0]), *WORDS[name][1:], comparison.table(name))
            for name in TASK_METRICS[comparison.data.task].overall
        ],
        split=split_text(comparison),
        power=notes(comparison, view.metric),
        facts=fact_rows(comparison),
        stress=main if any("stress" in record for record in comparison.records) else "",
        failures=failed(comparison),
        groups=[
            (
                arm,
                subgroup_section(
                    one.subgroups,
                    folder / arm,
                    sites=one.sites,
                    probes=one.probes,
                    heading=f"Subgroups and sites: {arm}",
                ),
            )
            for arm, one in comparison.groups.items()
        ],
        p_value=p_value,
    )


def table(view: ComparisonView, strategy: str | None = None, fraction: float | None = None) -> str:
    """Render means, differences to the baseline, p-values and verdicts as an HTML table."""
    rows = [(row, None if row.test is None else verdict(row.test)) for row in view.rows(strategy, fraction)]
    return render("comparison_table.html", view=view, rows=rows, p_value=p_value)


def split_text(comparison: Comparison) -> str:
    """Describe how the data set was split."""
    first = comparison.records[0]
    seeds = len({record["repeat"] for record in comparison.records})
    folds = len({record["fold"] for record in comparison.records})
    by = "by patient" if comparison.data.patients else "by image (no patients are known)"
    times = "once" if seeds == 1 else f"{seeds} times"
    if folds > 1:
        how = f"Split {times} into {folds} folds {by}, stratified by label: each image is measured on once a split"
    else:
        how = f"Split {times} {by}, stratified by label ({first['scheme']}): the same images for all weights"
    done = [record for record in comparison.records if record["status"] == DONE and record["fraction"] == 1]
    if not done:
        return f"{how}."
    train = round(sum(record["train_images"] for record in done) / len(done))
    held_out = round(sum(len(record["rows"]) for record in done) / len(done))
    return f"{how}; on average {train:,} training and {held_out:,} held-out images."


def sentences(view: ComparisonView) -> list[str]:
    """Return the result in one plain sentence for each set of weights and strategy."""
    found = []
    base = view.comparison.baseline
    for strategy in view.comparison.strategies:
        how = f", {strategy}" if len(view.comparison.strategies) > 1 else ""
        for row in view.rows(strategy):
            if row.test is None:
                continue
            judged = verdict(row.test)
            than = f"{judged.word} than {base}" if judged.decided else str(judged)
            found.append(f"{row.arm}{how}: {than}. {view.label} {signed(row.test.difference)}.")
    return found


def check_replaceable(folder: Path) -> None:
    """Refuse to write among anything but an earlier comparison, or the runs that one keeps.

    Raises:
        MedzooError: A file, or a folder of other things, is there.
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
        The report.

    Raises:
        MedzooError: Something else than an earlier comparison is there.
    """
    check_replaceable(folder)
    view = ComparisonView.of(comparison)
    write_json(folder / JSON, comparison.to_dict())
    write_text(folder / TABLE, markdown(comparison))
    write_text(folder / CSV, csv_text(long_rows(comparison)))
    page = render(
        "comparison.html",
        view=view,
        sentences=sentences(view),
        body=body(view, folder / PICTURES),
        weights={record["arm"]: record for record in comparison.records},
        style=style(),
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def style() -> str:
    """Return the CSS of comparison reports."""
    return render("finetuned.css") + render("comparison.css")


def failed(comparison: Comparison) -> Sequence[str]:
    """Describe the runs that failed."""
    return [
        f"{r['arm']}, {r['strategy']}, seed {r['repeat']}, fold {r['fold']}, {percent(r['fraction'])}: {r['error']}"
        for r in comparison.failures
    ]
