"""Model cards, made from the tables, run records, the study's outcomes and audits alone: no number is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from medzoo.files import write_text
from medzoo.inputs import InputContract
from medzoo.metrics import primary
from medzoo.sources import SOURCES
from medzoo.weights import WEIGHTS, Weights
from training.card_metadata import metadata
from training.datasets import DATASETS
from training.evidence import Evidence, transfers

TEMPLATES = Path(__file__).with_name("templates")
CARDS = Path(__file__).parents[1] / "model_cards"
# What the cards in the repository are made from; laid out as a work folder.
EVIDENCE = CARDS / "evidence"


def environment(template: str) -> Environment:
    """The templates of this package; a gap without a value is an error, HTML is escaped."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["number"] = number
    return found


def render(template: str, **values: Any) -> str:
    """Fill in a template of this package."""
    return environment(template).get_template(template).render(**values)


def number(value: float | None, interval: Any = None) -> str:
    """A metric with its interval, as it stands in a card.

    Example:
        >>> number(0.91234, (0.9, 0.92)), number(None)
        ('0.912 (0.900 to 0.920)', 'undefined')
    """
    if value is None:
        return "undefined"
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def card(entry: Weights, record: Mapping[str, Any] | None, evidence: Evidence | None = None) -> str:
    """The card of a weight.

    Args:
        entry: The weight.
        record: Its run record; ``None`` where it has not been trained yet.
        evidence: The study's outcomes and audits, where there are any.

    Returns:
        Markdown with YAML metadata, as the Hub reads it.
    """
    evidence = evidence or Evidence()
    source = SOURCES[entry.source] if entry.source else None
    members = [SOURCES[name] for name in source.members] if source else []
    names = [part["name"] for part in record["data"]] if record else list(source.datasets if source else ())
    # A weight that nobody has trained has no results, whatever rows of that name say.
    found = transfers(entry.name, evidence.outcomes) if record or entry.timm_name else []
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
        folder: Where ``<name>.md`` go.
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
