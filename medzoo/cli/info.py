"""``medzoo info``."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medzoo.cli.options import Json, Zoo, print_json

if TYPE_CHECKING:
    from medzoo.zoo.catalog import WeightsRecord

_INDENT = 12
# Of a source's validation: not metrics.
_OTHER = {"labels", "left_out", "intervals", "resampled"}


def info(
    name: Annotated[str, typer.Argument(help="Name of pretrained weights.")], zoo: Zoo = None, as_json: Json = False
) -> None:
    """Show everything known about pretrained weights."""
    from medzoo.zoo.catalog import get_weights

    record = get_weights(name, zoo)
    if as_json:
        print_json(asdict(record))
        return
    width = min(shutil.get_terminal_size().columns, 120)
    for head, text in _page(record):
        first, rest = f"{head:<{_INDENT}}", " " * _INDENT
        typer.echo(textwrap.fill(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False))


def _page(record: WeightsRecord) -> Iterator[tuple[str, str]]:
    """Yield a heading and a text for each paragraph."""
    yield "name", record.name
    yield "what", f"{record.title} (in the paper: {record.paper_name})" if record.paper_name else record.title
    yield "status", record.note if record.status == "preview" else record.status
    if record.note and record.status != "preview":
        yield "run record", f"not available: {record.note}"
    for head, text in zip(_headed("reduced", len(record.reduced)), record.reduced, strict=True):
        yield head, text
    yield "data", ", ".join(record.sources) or "not known"
    contract = record.input
    fit = "squashed to a square" if contract.crop == "squash" else "resized and cut to its centre"
    yield "input", f"{contract.channels} channels, {contract.size} x {contract.size} px; an image is {fit}"
    yield "normalised", f"mean {_numbers(contract.mean)}; std {_numbers(contract.std)} (of values from 0 to 1)"
    if record.labels:
        yield "outputs", f"{len(record.labels)} ({record.task}): {', '.join(record.labels)}"
    metrics = list(_metrics(record.metrics))
    for head, text in zip(_headed("metrics", len(metrics)), metrics, strict=True):
        yield head, text
    terms = record.licence.split("; ") if record.licence else []
    if terms:
        yield (
            "licence",
            ("" if record.status.startswith("imported") else "the terms of the training data: ") + "; ".join(terms),
        )
    yield "zoo", record.zoo
    if record.pin is not None:
        yield "file", f"{record.pin.bytes / 1e6:.1f} MB, SHA-256 {record.pin.sha256}"
        if record.pin.repo:
            yield "Hub", f"{record.pin.repo} at {record.pin.revision}"
    yield "", "Not for diagnosis."


def _headed(head: str, lines: int) -> list[str]:
    """Return a heading for the first of some lines, and none for the others."""
    return [head, *[""] * (lines - 1)][:lines]


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _metrics(valid: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each source: its metrics on held-out images, with 95 % intervals where there are some."""
    for source, values in valid.items():
        intervals = values.get("intervals") or {}
        shown = []
        for metric, value in values.items():
            if metric in _OTHER or value is None:
                continue
            low, high = intervals.get(metric) or (None, None)
            span = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
            shown.append(f"{metric} {value:.3f}{span}")
        yield f"{source}, held out: {', '.join(shown) or 'none defined'}"
