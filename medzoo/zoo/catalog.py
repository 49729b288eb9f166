"""``get_weights``: everything known about pretrained weights, from the tables and their published bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medzoo.core.errors import InputError, ZooError
from medzoo.data.input_spec import InputContract
from medzoo.zoo.bundle import CONFIG, RUN, open_bundle, read_json
from medzoo.zoo.pins import Pin
from medzoo.zoo.preview import preview_note
from medzoo.zoo.resolve import HUB, published, zoo_location, zoo_of
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.status import status_at
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
        status: ``"published"``, ``"preview"`` (in a checkout's ``preview/``), ``"imported"`` or ``"not trained yet"``;
            for the ImageNet baseline ``"published by timm"`` where the zoo has no copy.
        zoo: The zoo that the name resolves to.
        pin: Size and hash of the published file, or ``None``.
        metrics: Validation metrics of the pretraining run; empty without a run.
        partial: Whether the run was reduced or its data set incomplete; ``None`` where the run record is not available.
        licence: Terms of the pretraining data, which bind the use of the weights; empty without a run.
        reduced: In words, what makes the run less than the full one.
        note: One line on a preview, or the reason why a run record is not available; else empty.
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
    partial: bool | None
    licence: str
    reduced: tuple[str, ...] = ()
    note: str = ""


def get_weights(name: str, zoo: str | Path | None = None) -> WeightsRecord:
    """Look up pretrained weights without loading them; from the Hub only their config and run record are downloaded.

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
    imported = _imported(name, zoo_location(zoo))
    if imported is not None:
        return imported
    entry = find(name)
    source = SOURCES[entry.source] if entry.source else None
    location = zoo_of(name, zoo)
    pin = published(location).get(name)
    run: dict[str, Any] | None = {}
    contract, note = InputContract(crop=source.crop if source else "center"), ""
    if pin is not None:
        try:
            run, contract = _read(name, location, pin)
        except ZooError as error:
            if not location.startswith(HUB):
                raise
            run, note = None, str(error)  # what the tables say is worth showing without a network
    record = run or {}
    status = status_at(location, pin, by_timm=bool(entry.timm_name))
    planned = source.datasets if source else ("ImageNet-1k",)
    return WeightsRecord(
        name=name,
        arch=entry.arch,
        title=entry.title,
        paper_name=entry.paper_name,
        sources=tuple(part["name"] for part in record.get("data", ())) or planned,
        init=entry.init,
        labels=entry.labels,
        task=source.task if source else "",
        input=contract,
        status=status,
        zoo=location,
        pin=pin,
        metrics=(record.get("history") or [{}])[-1].get("valid", {}),
        partial=None if run is None else bool(record.get("reduced")),
        licence="; ".join(f"{data['name']}: {data['terms']}" for data in record.get("data", ())),
        reduced=tuple(map(str, record.get("reduced", ()))),
        note=preview_note(record) if status == "preview" else note,
    )


def _read(name: str, location: str, pin: Pin) -> tuple[dict[str, Any], InputContract]:
    """Read the run record and input contract of published weights."""
    if not location.startswith(HUB):
        bundle = open_bundle(Path(location) / name)
        return bundle.run, bundle.input
    from medzoo.zoo import hub  # the client reads its settings when it is imported

    config: Mapping[str, Any] = read_json(hub.fetch_file(pin.repo, pin.revision, CONFIG))
    run = read_json(hub.fetch_file(pin.repo, pin.revision, RUN))
    try:
        return run, InputContract.from_config(config["pretrained_cfg"])
    except (TypeError, ValueError, AttributeError, LookupError, InputError) as error:
        raise ZooError(f"{CONFIG} of {pin.repo} is not a bundle's config ({error!r:.200}); publish it again") from error


def _imported(name: str, location: str) -> WeightsRecord | None:
    """Describe weights of others, from what was recorded when they were imported; ``None`` for any other name."""
    if name in WEIGHTS or location.startswith(HUB) or name not in (pins := published(location)):
        return None
    bundle = open_bundle(Path(location) / name)
    run = bundle.run
    if run.get("kind") != "import":
        return None
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
        pin=pins[name],
        metrics={},
        partial=False,
        licence="; ".join(filter(None, (run.get("licence"), run.get("use")))),
    )
