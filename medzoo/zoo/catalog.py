"""``get_weights``: everything known about pretrained weights, from the tables and their published bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medzoo.data.input_spec import InputContract
from medzoo.zoo.bundle import Bundle
from medzoo.zoo.pins import Pin
from medzoo.zoo.resolve import HUB, published, resolve, zoo_location
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import WEIGHTS, find


@dataclass(frozen=True)
class WeightsRecord:
    """A record of pretrained weights.

    Attributes:
        name: Their name.
        arch: The timm architecture.
        title: A short description.
        paper_name: Their name in the paper.
        sources: Data sets of pretraining.
        init: Initialization of pretraining: ``"ri"`` (random) or ``"in"`` (ImageNet).
        labels: Output names in the order of the classifier's rows.
        task: The kind of labels; empty for the ImageNet baseline.
        input: The input contract.
        status: ``"published"``, ``"imported"`` or ``"not trained yet"``; for the ImageNet baseline ``"published by
            timm"`` where the zoo has no copy.
        zoo: The zoo that was searched.
        pin: Size and hash of the published file, or ``None``.
        metrics: Validation metrics of the pretraining run; empty without a run.
        partial: Whether the run was reduced or its data set incomplete.
        licence: Terms of the pretraining data, which bind the use of the weights; empty without a run.
    """

    name: str
    arch: str
    title: str
    paper_name: str
    sources: tuple[str, ...]
    init: str
    labels: tuple[str, ...]
    task: str
    input: InputContract
    status: str
    zoo: str
    pin: Pin | None
    metrics: dict[str, Any]
    partial: bool
    licence: str


def get_weights(name: str, zoo: str | Path | None = None) -> WeightsRecord:
    """Look up pretrained weights without loading them.

    Args:
        name: A name from ``medzoo.list_models()``.
        zoo: As in ``create_model``.

    Returns:
        The record.

    Raises:
        UnknownNameError: There are no such weights.
        ZooError: The zoo cannot be read.

    Example:
        >>> get_weights("densenet121_all_in").labels[-5:]
        ('No DR', 'Mild DR', 'Moderate DR', 'Severe DR', 'Proliferative DR')
    """
    location = zoo_location(zoo)
    pin = published(location).get(name)
    if pin and name not in WEIGHTS and not location.startswith(HUB):
        bundle = resolve(name, location)
        if bundle.run.get("kind") == "import":
            return _imported(name, bundle, location, pin)
    entry = find(name)
    source = SOURCES[entry.source] if entry.source else None
    record: dict[str, Any] = {}
    contract = InputContract(crop=source.crop if source else "center")
    if pin and not location.startswith(HUB):
        bundle = resolve(name, location)
        record, contract = bundle.run, bundle.input
    missing = "published by timm" if entry.timm_name else "not trained yet"
    return WeightsRecord(
        name=name,
        arch=entry.arch,
        title=entry.title,
        paper_name=entry.paper_name,
        sources=source.datasets if source else ("ImageNet-1k",),
        init=entry.init,
        labels=entry.labels,
        task=source.task if source else "",
        input=contract,
        status="published" if pin else missing,
        zoo=location,
        pin=pin,
        metrics=(record.get("history") or [{}])[-1].get("valid", {}),
        partial=bool(record.get("reduced")),
        licence="; ".join(f"{data['name']}: {data['terms']}" for data in record.get("data", [])),
    )


def _imported(name: str, bundle: Bundle, location: str, pin: Pin) -> WeightsRecord:
    """Describe weights of others, from what was recorded when they were imported."""
    run = bundle.run
    return WeightsRecord(
        name=name,
        arch=bundle.arch,
        title=f"{bundle.arch}, imported from {run.get('origin') or run.get('address')}",
        paper_name="",
        sources=tuple(run.get("seen", ())),
        init="",
        labels=bundle.labels if bundle.num_classes else (),
        task=str(bundle.info.get("task", "")),
        input=bundle.input,
        status="imported" if run.get("verified") is not False else "imported, unverified",
        zoo=location,
        pin=pin,
        metrics={},
        partial=False,
        licence="; ".join(filter(None, (run.get("licence"), run.get("use")))),
    )
