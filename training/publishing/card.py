"""Model cards, rendered from the tables, run records, study results and audits: no number is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medzoo.core.atomic import write_text
from medzoo.data.input_spec import InputContract
from medzoo.metrics import primary
from medzoo.models.golden import HALF_TOLERANCE
from medzoo.zoo import preview
from medzoo.zoo.bundle import RUN, read_json
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import WEIGHTS, Weights
from training.datasets import DATASETS
from training.publishing.card_metadata import metadata
from training.publishing.evidence import Evidence, read_evidence, transfers
from training.publishing.terms import accepted_lines
from training.templates import render

CARDS = Path(__file__).parents[2] / "model_cards"
# The inputs of the cards in the repository, laid out as a work folder; of other weights, those of the previews.
EVIDENCE = CARDS / "evidence"


def repository_evidence() -> Evidence:
    """Return what the cards and the gallery of the repository are made from.

    Raises:
        MedzooError: A file cannot be read.
    """
    found = read_evidence(EVIDENCE)
    previews = {name: read_json(preview.PREVIEW / name / RUN) for name in preview.preview_pins()}
    return replace(found, records={**previews, **found.records})


def card(entry: Weights, record: Mapping[str, Any] | None, evidence: Evidence | None = None) -> str:
    """Render the card of a weight.

    Args:
        entry: The weight.
        record: Its run record; ``None`` if it has not been trained.
        evidence: Study results and audits.

    Returns:
        Markdown with YAML metadata, as the Hub reads it.
    """
    evidence = evidence or Evidence()
    source = SOURCES[entry.source] if entry.source else None
    members = [SOURCES[name] for name in source.members] if source else []
    names = [part["name"] for part in record["data"]] if record else list(source.datasets if source else ())
    # A weight that was not trained has no results.
    found = transfers(entry.name, evidence.results) if record or entry.timm_name else []
    contract = InputContract(crop=source.crop if source else "center")
    audits = evidence.audits.get(entry.name, {})
    return render(
        "card.md",
        metadata=metadata(entry, record, found),
        entry=entry,
        source=source,
        data_sets=[DATASETS[name] for name in names],
        counts={part["name"]: part for part in record["data"]} if record else {},
        record=record,
        accepted=accepted_lines(record or {}),
        half_tolerance=HALF_TOLERANCE,
        contract=contract.resized(record.get("image_size")) if record else contract,
        areas=[member.title for member in members],
        primary={member.name: primary(member.task) for member in members},
        titles={name: data.title for name, data in DATASETS.items()},
        transfers=found,
        audits={target: audits[target]["counts"] for target in DATASETS if target in audits},
    )


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
