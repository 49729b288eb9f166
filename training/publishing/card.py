"""Model cards, rendered from the tables, run records, study results and audits: no number is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medzoo.core.atomic import write_text
from medzoo.finetuning.strategies import STRATEGIES
from medzoo.metrics import primary
from medzoo.models.golden import HALF_TOLERANCE
from medzoo.reporting.html import WORDS
from medzoo.zoo import preview
from medzoo.zoo.bundle import CARD, RUN, read_json
from medzoo.zoo.pins import PINS, Pin, read_pins
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.verify import pin_of
from medzoo.zoo.weights import WEIGHTS, Weights
from training.datasets import DATASETS
from training.publishing.card_metadata import metadata
from training.publishing.evidence import Evidence, read_evidence, transfers
from training.publishing.facts import contract_of, facts
from training.publishing.terms import accepted_lines
from training.templates import number, render

CARDS = Path(__file__).parents[2] / "model_cards"
# The studies that the cards in the repository are made from, each laid out as a work folder.
STUDIES = tuple(CARDS.parent / "docs" / "studies" / name for name in ("2026-11-25-finetuning", "2026-11-25-preview"))
# Of a bundle, beside its card.
CURVES = "![Training loss, and metrics on held-out images, by epoch](curves.png)"


def repository_evidence() -> Evidence:
    """Return what the cards and the gallery of the repository are made from.

    Raises:
        MedzooError: A file cannot be read.
    """
    found = read_evidence(*STUDIES)
    previews = {name: read_json(preview.PREVIEW / name / RUN) for name in preview.preview_pins()}
    pins = {**preview.preview_pins(), **read_pins(PINS)}
    return replace(found, records={**previews, **found.records}, pins=pins)


def card(
    entry: Weights,
    record: Mapping[str, Any] | None,
    evidence: Evidence | None = None,
    *,
    pin: Pin | None = None,
    curves: str = "",
    forest: str = "",
) -> str:
    """Render the card of a weight.

    Args:
        entry: The weight.
        record: Its run record; ``None`` if it has not been trained.
        evidence: Study results and audits.
        pin: Size and hash of the weights; default those of ``evidence``.
        curves: What shows the curves of its run, in Markdown or HTML.
        forest: What shows its results in the study.

    Returns:
        Markdown with YAML metadata, as the Hub reads it.
    """
    evidence = evidence or Evidence()
    source = SOURCES[entry.source] if entry.source else None
    names = [part["name"] for part in record["data"]] if record else list(source.datasets if source else ())
    # A weight that was not trained has no results.
    found = transfers(entry.name, evidence.results) if record or entry.timm_name else []
    audits = evidence.audits.get(entry.name, {})
    return render(
        "card.md",
        metadata=metadata(entry, record, found),
        entry=entry,
        facts=facts(entry, record, pin or evidence.pins.get(entry.name)),
        curves=curves,
        forest=forest,
        source=source,
        data_sets=[DATASETS[name] for name in names],
        counts={part["name"]: part for part in record["data"]} if record else {},
        record=record,
        accepted=accepted_lines(record or {}),
        half_tolerance=HALF_TOLERANCE,
        contract=contract_of(entry, record),
        metrics=_metrics(record) if record and source else {},
        sources=SOURCES,
        words=WORDS,
        titles={name: data.title for name, data in DATASETS.items()},
        transfers=found,
        strategies=", ".join(_strategies(evidence)),
        audits={target: audits[target]["counts"] for target in DATASETS if target in audits},
    )


def _metrics(record: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the metrics of the last epoch by name, in words: one for each source, the main one in bold."""
    valid = record["history"][-1]["valid"]
    rows: dict[str, list[str]] = {}
    for metric, (label, _, _) in WORDS.items():
        for name, values in valid.items():
            text = number(values[metric], values.get("intervals", {}).get(metric)) if metric in values else ""
            main = metric == primary(SOURCES[name].task)
            rows.setdefault(label, []).append(f"**{text}**" if main and text else text)
    return {label: cells for label, cells in rows.items() if any(cells)}


def _strategies(evidence: Evidence) -> list[str]:
    """Say how the study trained, in the order of its results."""
    names = [name for result in evidence.results for name in result.comparison.strategies]
    return [f"`{name}` ({STRATEGIES[name].title})" for name in dict.fromkeys(names)]


def bundle_card(entry: Weights, record: Mapping[str, Any], evidence: Evidence, folder: Path) -> str:
    """Render the card of a bundle, as it goes to a zoo or the Hub: with its file's size and hash, and its curves.

    Args:
        entry: The weight.
        record: Its run record.
        evidence: Study results and audits.
        folder: The bundle.
    """
    curves = CURVES if (folder / "curves.png").is_file() else ""
    return card(entry, record, evidence, pin=pin_of(folder), curves=curves)


def write_cards(folder: Path = CARDS, evidence: Evidence | None = None) -> list[Path]:
    """Write the card of every weight.

    Args:
        folder: The folder of ``<name>.md``.
        evidence: What was measured.

    Returns:
        The files.
    """
    found = evidence or Evidence()
    files = []
    for entry in WEIGHTS.values():
        write_text(folder / f"{entry.name}.md", card(entry, found.records.get(entry.name), found))
        files.append(folder / f"{entry.name}.md")
    return files


def write_preview_cards(evidence: Evidence) -> list[Path]:
    """Write the cards of the preview weights into their bundles, as ``publish`` does.

    Args:
        evidence: What was measured.

    Returns:
        The files.
    """
    files = []
    for name in preview.preview_pins():
        files.append(preview.PREVIEW / name / CARD)
        write_text(files[-1], bundle_card(WEIGHTS[name], evidence.records[name], evidence, files[-1].parent))
    return files
