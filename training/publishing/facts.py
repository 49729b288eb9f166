"""The facts of weights in a few lines, the same in cards, on the Hub and in the gallery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medzoo.data.input_spec import InputContract
from medzoo.importing.known import KnownWeights
from medzoo.zoo.pins import Pin
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import INITS, Weights
from training.datasets import DATASETS

PHOTOGRAPHS = "photographs"
AREAS = {
    **{source.name: source.title for source in SOURCES.values()},
    PHOTOGRAPHS: "photographs (ImageNet)",
    "radiology": "CT, MR and ultrasound",
}
_COLOURS = {1: "1 channel (grey)", 3: "3 channels (RGB)"}
STATES = ("published", "trained", "preview", "published by timm", "to import", "not trained yet")


@dataclass(frozen=True)
class Facts:
    """What is known of weights at a glance.

    Attributes:
        name: Their name.
        purpose: What they are for, in one sentence.
        state: One of ``STATES``.
        detail: What a reader must know of the state; empty where it says all.
        area: A key of ``AREAS``.
        init: A key of ``INITS``; empty where it is not known.
        rows: Facts by their titles.
    """

    name: str
    purpose: str
    state: str
    detail: str
    area: str
    init: str
    rows: Mapping[str, str]


def facts(entry: Weights, record: Mapping[str, Any] | None, pin: Pin | None = None) -> Facts:
    """Return the facts of weights that are trained here, or timm's.

    Args:
        entry: The weights.
        record: Their run record; ``None`` if they have not been trained.
        pin: Size and hash of their file, where there is one.
    """
    source = SOURCES[entry.source] if entry.source else None
    contract = contract_of(entry, record)
    outputs = f"{len(source.labels)} ({source.task}): {', '.join(source.labels)}" if source else "1,000 (ImageNet-1k)"
    terms = dict.fromkeys(DATASETS[name].terms for name in _data_sets(entry, record))
    rows = {
        "Input": f"{_COLOURS[contract.channels]}, {contract.size} x {contract.size} pixels",
        "Outputs": outputs,
        "Data": _data(entry, record),
        "Licence": f"Apache-2.0, and the terms of the data: {'; '.join(terms)}" if source else "its publisher's (timm)",
    }
    if pin is not None:
        dtype = record.get("dtype", "float32") if record else "float32"
        rows |= {"Size": f"{pin.bytes / 1e6:.1f} MB ({dtype})", "SHA-256": f"`{pin.sha256}`"}
    reduced = tuple(record["reduced"]) if record else ()
    return Facts(
        entry.name,
        _purpose(entry),
        _state(entry, record, pin),
        "; ".join(map(str, reduced)),
        entry.source or PHOTOGRAPHS,
        entry.init,
        rows,
    )


def known_facts(entry: KnownWeights) -> Facts:
    """Return the facts of a public checkpoint of others, which is imported by name."""
    spec = entry.spec
    labels = [label for label in spec.labels if label]
    outputs = f"{len(labels)} ({spec.task}): {', '.join(labels)}" if labels else "features alone, or not named"
    rows = {
        "Network": spec.arch or "told from the file",
        "Input": f"{_COLOURS[spec.input.channels]}, {spec.input.size} x {spec.input.size} pixels",
        "Outputs": outputs,
        "Data": ", ".join(DATASETS[name].title if name in DATASETS else name for name in spec.seen) or "not known",
        "Licence": f"{spec.licence or 'not known'}; allowed use: {spec.use or 'not known'}",
        "Origin": spec.origin or entry.file,
    }
    if entry.expected_sha256:
        rows["SHA-256"] = f"`{entry.expected_sha256}` (of the original file)"
    unverified = "" if entry.verified else "unverified: not yet compared with the real file by medzoo's developers"
    return Facts(entry.name, f"{entry.title}.", "to import", unverified, spec.area, "", rows)


def contract_of(entry: Weights, record: Mapping[str, Any] | None) -> InputContract:
    """Return how images are prepared for weights."""
    contract = InputContract(crop=SOURCES[entry.source].crop if entry.source else "center")
    return contract.resized(record.get("image_size")) if record else contract


def _purpose(entry: Weights) -> str:
    if entry.source is None:
        return "ImageNet-1k's photographs, as timm publishes them: the baseline of every comparison."
    areas = SOURCES[entry.source].title.removesuffix(" together")
    return f"Pretrained weights for classifiers of {areas} images, from {INITS[entry.init]} initialization."


def _state(entry: Weights, record: Mapping[str, Any] | None, pin: Pin | None) -> str:
    if record is None or entry.source is None:
        return "published by timm" if entry.timm_name else "not trained yet"
    if record["reduced"]:
        return "preview"
    return "published" if pin is not None and pin.repo else "trained"


def _data_sets(entry: Weights, record: Mapping[str, Any] | None) -> list[str]:
    planned = SOURCES[entry.source].datasets if entry.source else ()
    return [str(part["name"]) for part in record["data"]] if record else list(planned)


def _data(entry: Weights, record: Mapping[str, Any] | None) -> str:
    if entry.source is None:
        return "ImageNet-1k; no medical image"
    if record is None:
        sets = [DATASETS[name] for name in _data_sets(entry, record)]
        return "; ".join(f"{data.title}: {data.total:,} images in the full set" for data in sets)
    return "; ".join(
        f"{DATASETS[part['name']].title}: {part['train']['images']:,} training and "
        f"{part['valid']['images']:,} held-out images"
        for part in record["data"]
    )
