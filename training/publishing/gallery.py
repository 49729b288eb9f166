"""The gallery: pages of the documentation with all weights, ours and those to import, to look at and compare."""

from __future__ import annotations

from pathlib import Path

from medzoo.core.atomic import write_text
from medzoo.importing.known import KNOWN
from medzoo.metrics import primary
from medzoo.reporting.html import WORDS
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import INITS, WEIGHTS
from training.datasets import DATASETS
from training.publishing import charts
from training.publishing.card import card
from training.publishing.evidence import Evidence, transfers
from training.publishing.facts import AREAS, STATES, Facts, facts, known_facts
from training.templates import number, render

_TABLE = "| | |\n|---|---|\n"  # of a card's facts
TITLES = {name: data.title for name, data in DATASETS.items()}


def write_gallery(folder: Path, evidence: Evidence) -> None:
    """Write the gallery: ``index.md``, and a page for each weight.

    Args:
        folder: The folder of the pages, among the sources of the documentation.
        evidence: What was measured.
    """
    found: list[Facts] = []
    measured: dict[str, dict[str, str]] = {}
    for entry in WEIGHTS.values():
        name, record = entry.name, evidence.records.get(entry.name)
        found.append(facts(entry, record, evidence.pins.get(name)))
        results = transfers(name, evidence.results) if record or entry.timm_name else []
        measured[name] = _held_out(evidence, name)
        for one in results:
            how = f"{one.strategy.replace('_', ' ')}, {one.image_size} px"
            measured[name][f"{TITLES[one.target]}, {how}"] = f"{WORDS[one.metric][0]} {one.estimate}"
        drawn = charts.curves(record["history"]) if record else []
        text = card(
            entry,
            record,
            evidence,
            curves=_html("charts.html", curves=drawn, forest=None) if drawn else "",
            forest=_html("charts.html", curves=(), forest=charts.forest(results, TITLES)) if results else "",
        )
        _page(folder, name, text.split("\n---\n", 1)[1])
    for known in KNOWN.values():
        found.append(known_facts(known))
        measured[known.name] = {}
        _page(folder, known.name, "---\norphan: true\n---\n" + render("known.md", facts=found[-1], known=known))
    table = render(
        "gallery.html",
        weights=found,
        measured=measured,
        titles=list(dict.fromkeys(title for one in found for title in one.rows)),
        numbers=list(dict.fromkeys(title for values in measured.values() for title in values)),
        areas=AREAS,
        inits=INITS,
        states={state: state for state in STATES},
    )
    write_text(folder / "index.md", render("gallery.md", table=table, pages=list(WEIGHTS)))


def _page(folder: Path, name: str, text: str) -> None:
    """Write a page: with a way back, and with a style for the facts, which the Hub does not know."""
    text = text.replace(_TABLE, f"{{.facts}}\n{_TABLE}", 1).replace("\n\n", "\n\n[All weights](index.md)\n\n", 1)
    write_text(folder / f"{name}.md", text)


def _held_out(evidence: Evidence, name: str) -> dict[str, str]:
    """Return the main metric of each source on held-out images, in words."""
    history = evidence.records[name]["history"] if name in evidence.records else ()
    found = {}
    for source, values in (history[-1]["valid"] if history else {}).items():
        metric = primary(SOURCES[source].task)
        text = f"{WORDS[metric][0]} {number(values.get(metric), values.get('intervals', {}).get(metric))}"
        found[f"{SOURCES[source].title}, held out"] = text
    return found


def _html(template: str, **values: object) -> str:
    """Render HTML that Markdown takes as one block: without blank lines."""
    return "\n".join(line for line in render(template, **values).splitlines() if line.strip())
