"""The gallery: all cards as static HTML, to search, filter and compare without a server or external files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from medzoo.core.atomic import replacing_folder, write_text
from medzoo.core.errors import RunError
from medzoo.metrics import primary
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import INITS, WEIGHTS, Weights
from training.datasets import DATASETS
from training.publishing.card import card
from training.publishing.evidence import Evidence, transfers
from training.templates import number, render

WIDTH, HEIGHT = 300, 120


@dataclass(frozen=True)
class Curve:
    """One curve of a small figure.

    Attributes:
        name: Its name.
        points: For an SVG ``polyline``, in ``WIDTH`` x ``HEIGHT``.
        first: Its first value.
        last: Its last value.
    """

    name: str
    points: str
    first: float
    last: float


@dataclass(frozen=True)
class Entry:
    """A weight in the gallery.

    Attributes:
        weight: The weight.
        area: A source's name, or ``"photographs"``.
        state: ``"trained"``, ``"preview"`` (a reduced run), ``"not trained yet"`` or ``"published by timm"``.
        data_sets: Titles of its data sets.
        images: Training and held-out images; ``None`` without a run.
        validation: The main metric of each source on held-out images, in words.
        transfer: The study's metric by target, in words.
        curves: Curves over epochs.
    """

    weight: Weights
    area: str
    state: str
    data_sets: tuple[str, ...]
    images: int | None
    validation: Mapping[str, str]
    transfer: Mapping[str, str]
    curves: tuple[Curve, ...]


def write_site(folder: Path, evidence: Evidence) -> Path:
    """Write the gallery.

    Args:
        folder: The folder to create, or an earlier gallery to replace: ``index.html`` and a file for each weight.
        evidence: What was measured.

    Returns:
        The file ``index.html``.

    Raises:
        RunError: The folder holds other files.
    """
    if folder.exists() and not (folder.is_dir() and all(file.suffix == ".html" for file in folder.iterdir())):
        raise RunError(f"{folder} holds files that are no gallery and would be lost; give another folder")
    entries = [_entry(weight, evidence) for weight in WEIGHTS.values()]
    targets = [name for name in DATASETS if any(name in entry.transfer for entry in entries)]
    # No raw HTML: names of data sets may be anything.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    with replacing_folder(folder) as new:
        for entry in entries:
            name = entry.weight.name
            text = card(entry.weight, evidence.records.get(name), evidence).split("\n---\n", 1)[1]
            page = render("site_card.html", title=name, body=markdown.render(text), entry=entry, size=(WIDTH, HEIGHT))
            write_text(new / f"{name}.html", page)
        page = render(
            "site.html",
            entries=entries,
            areas=[*SOURCES, "photographs"],
            titles={
                **{name: source.title for name, source in SOURCES.items()},
                "photographs": "photographs (ImageNet)",
            },
            inits=INITS,
            sources=[name for name, source in SOURCES.items() if not source.parts],
            targets={name: DATASETS[name].title for name in targets},
            size=(WIDTH, HEIGHT),
        )
        write_text(new / "index.html", page)
    return folder / "index.html"


def _entry(weight: Weights, evidence: Evidence) -> Entry:
    record = evidence.records.get(weight.name)
    history: Sequence[Mapping[str, Any]] = record["history"] if record else ()
    validation = {}
    for source, values in (history[-1]["valid"] if history else {}).items():
        metric = primary(SOURCES[source].task)
        validation[source] = f"{metric} {number(values.get(metric), values.get('intervals', {}).get(metric))}"
    if record is None:
        state = "published by timm" if weight.timm_name else "not trained yet"
    else:
        state = "preview" if record["reduced"] else "trained"
    planned = SOURCES[weight.source].datasets if weight.source else ()
    names = [part["name"] for part in record["data"]] if record else planned
    found = transfers(weight.name, evidence.results) if record or weight.timm_name else []
    return Entry(
        weight=weight,
        area=weight.source or "photographs",
        state=state,
        data_sets=tuple(DATASETS[name].title for name in names),
        images=sum(part["images"] for part in record["data"]) if record and record["data"] else None,
        validation=validation,
        transfer={one.target: f"{one.metric} {one.estimate}" for one in found},
        curves=tuple(_curves(history)),
    )


def _curves(history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Return the curves of the training loss and of each source's main metric."""
    if len(history) < 2:
        return []
    series = {"training loss": [epoch["loss"] for epoch in history]}
    for source in history[-1]["valid"]:
        metric = primary(SOURCES[source].task)
        series[f"{source}: {metric}"] = [epoch["valid"][source].get(metric) for epoch in history]
    # The loss is scaled to its maximum; metrics share the axis from 0 to 1.
    return [
        _curve(name, values, max(series["training loss"]) if name == "training loss" else 1.0)
        for name, values in series.items()
        if any(value is not None for value in values)
    ]


def _curve(name: str, values: Sequence[float | None], top: float) -> Curve:
    step = WIDTH / (len(values) - 1)
    known = [(i * step, value) for i, value in enumerate(values) if value is not None]
    points = " ".join(f"{x:.1f},{HEIGHT * (1 - min(max(value / top, 0), 1)):.1f}" for x, value in known)
    return Curve(name, points, known[0][1], known[-1][1])


def write_gallery(folder: Path, evidence: Evidence) -> None:
    """Write the gallery as pages of the documentation."""
    rows = [f"| {entry.name} | {entry.title} |\n" for entry in WEIGHTS.values()]
    write_text(folder / "index.md", "".join(["# Gallery\n\n| name | what it is |\n|---|---|\n", *rows]))
    assert evidence
