"""Validate a bundle before it is published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medzoo.core.errors import ZooError
from medzoo.models.loading import build, fill, read_tensors
from medzoo.models.value_checks import check_values
from medzoo.zoo.bundle import CARD, CONFIG, LICENSE, MODEL, RUN, Bundle, is_bundle_file, open_bundle
from medzoo.zoo.pins import Pin
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.verify import pin_of
from medzoo.zoo.weights import Weights, find
from training.publishing.card_check import check_card

_ALWAYS = ("schema", "kind", "name", "medzoo", "environment", "reduced", "data", "history")
# Required fields of a run record of each kind.
_FIELDS = {
    "pretrain": (*_ALWAYS, "recipe", "image_size", "seed", "seconds"),
    "import": (*_ALWAYS, "file", "sha256"),
}


def validate(folder: Path, name: str) -> Pin:
    """Check that a bundle is complete, valid and what its name says.

    Args:
        folder: The bundle.
        name: The weight it claims to be.

    Returns:
        Sizes and hashes of its files.

    Raises:
        UnknownNameError: There is no such weight.
        ZooError: It is not; the message names the first invalid tensor, field or file.
    """
    entry = find(name)
    _check_files(folder)
    bundle = open_bundle(folder)
    _check_config(bundle, entry)
    check_card(folder / CARD)
    check_record(bundle.run, name, folder / RUN)
    tensors = read_tensors(bundle.weights)
    check_values(tensors, bundle.weights, bundle.input, bundle.dtype)
    fill(build(bundle.arch, bundle.num_classes), tensors, bundle.weights)
    return pin_of(folder)


def _check_files(folder: Path) -> None:
    for file in (CONFIG, MODEL, CARD, RUN, LICENSE):
        if not (folder / file).is_file():
            raise ZooError(f"{folder} has no {file}; run pretrain again")
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file() or not is_bundle_file(path.name):
            raise ZooError(f"{path.name!r:.80} in {folder} does not belong into a bundle; remove it")


def _check_config(bundle: Bundle, entry: Weights) -> None:
    folder = bundle.folder
    if bundle.name != entry.name or bundle.arch != entry.arch:
        raise ZooError(f"{folder} holds {bundle.name} ({bundle.arch}), expected {entry.name} ({entry.arch})")
    expected: dict[str, Any] = {"init": entry.init, "source": entry.source}
    if entry.source:
        source = SOURCES[entry.source]
        expected["task"] = source.task
        if bundle.labels != entry.labels:
            raise ZooError(
                f"{folder} names {len(bundle.labels)} outputs, the table {len(entry.labels)} others; run pretrain again"
            )
        if bundle.input.crop != source.crop:
            raise ZooError(f"{folder} crops {bundle.input.crop!r}, the table says {source.crop!r}; run pretrain again")
    for key, value in expected.items():
        if bundle.info.get(key) != value:
            raise ZooError(f"{folder} has {key} {bundle.info.get(key)!r:.80}, the table {value!r}; run pretrain again")
    if bundle.num_classes != len(bundle.labels):
        raise ZooError(f"{folder} has no classifier for its {len(bundle.labels)} outputs; run pretrain again")


def check_record(record: Mapping[str, Any], name: str, path: Path) -> None:
    """Check that a run record is complete: of a finished run.

    Args:
        record: The record.
        name: The weight.
        path: Its file, for the error.

    Raises:
        ZooError: It is not complete.
    """
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ZooError(f"{path} is of kind {kind!r:.80}, expected {' or '.join(_FIELDS)}; run pretrain again")
    missing = [field for field in _FIELDS[kind] if field not in record]
    if missing:
        raise ZooError(f"{path} is not complete: it has no {', '.join(missing)}; run pretrain again")
    if record["name"] != name:
        raise ZooError(f"{path} is the record of {record['name']!r:.80}, expected {name}; run pretrain again")
    try:
        done = [epoch["valid"] for epoch in record["history"]]
        images = [(str(part["name"]), int(part["images"])) for part in record["data"]]
        epochs = record["recipe"]["plan"]["epochs"] if kind == "pretrain" else 0
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ZooError(f"{path} is not a run record ({error!r:.200}); run pretrain again") from error
    if len(done) != epochs:
        raise ZooError(f"{path} records {len(done)} of {epochs!r:.80} epochs: the run is not finished")
    if kind == "pretrain" and not images:
        raise ZooError(f"{path} names no data set; run pretrain again")
