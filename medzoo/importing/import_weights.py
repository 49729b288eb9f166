"""``import_weights``: a checkpoint of others, or of one's own, as a bundle like any other."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch

from medzoo._version import __version__
from medzoo.contamination.seen_list import SEEN_LIST, read_seen_list
from medzoo.core.atomic import write_json, write_text
from medzoo.core.errors import MedzooError, UnknownNameError, ZooError
from medzoo.importing.card import import_card
from medzoo.importing.checkpoint import open_checkpoint
from medzoo.importing.convert import Converted, convert
from medzoo.importing.fetch import Fetched, fetch
from medzoo.importing.known import KNOWN, KnownWeights
from medzoo.importing.spec import ImportSpec
from medzoo.models.golden import write_golden
from medzoo.models.loading import read_tensors
from medzoo.models.saving import config_of, save_model
from medzoo.models.value_checks import check_values
from medzoo.models.variant import Variant
from medzoo.zoo.bundle import CARD, CONFIG, MODEL, RUN, open_bundle
from medzoo.zoo.folder import to_folder
from medzoo.zoo.verify import pin_of
from medzoo.zoo.weights import WEIGHTS

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class UnknownTaskError(MedzooError):
    """A classifier whose outputs nobody has said the meaning of."""


@dataclass(frozen=True)
class Imported:
    """Weights that were imported.

    Attributes:
        name: What they are called from now on.
        folder: The bundle.
        arch: timm's name of the architecture.
        labels: Names of the outputs.
        sha256: Of the original file.
        steps: What was done, in words.
        verified: Whether somebody has checked the entry of the known weights against the real file; ``None`` for a
            file that is none of these.
    """

    name: str
    folder: Path
    arch: str
    labels: tuple[str, ...]
    sha256: str
    steps: tuple[str, ...]
    verified: bool | None = None

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.arch}, {len(self.labels)} outputs, in {self.folder}"]
        lines += [f"  {step}" for step in self.steps]
        if self.verified is False:
            lines.append("  unverified: nobody has compared this entry with the real file yet; see --record")
        return "\n".join(lines)


def import_weights(
    source: str | Path,
    *,
    to: str | Path,
    name: str | None = None,
    like: str | None = None,
    arch: str | None = None,
    model_args: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    task: str | None = None,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    crop: str | None = None,
    crop_share: float | None = None,
    interpolation: str | None = None,
    final_activation: bool | None = None,
    norm_eps: float | None = None,
    licence: str | None = None,
    origin: str | None = None,
    seen: Sequence[str] | None = None,
    seen_list: str | Path | None = None,
    area: str | None = None,
    prefix: str | None = None,
    member: str | None = None,
    overwrite: bool = False,
) -> Imported:
    """Turn a checkpoint into a verified bundle of a folder zoo.

    No code of the file runs: tensors and containers are rebuilt, everything else of a pickle stays an inert record.
    Every tensor of the network is filled from the file, and every tensor of the file is accounted for in the steps.

    Args:
        source: A name of ``medzoo.list_known()``; a file; an address (``https://...``); or a file on the Hub
            (``hf://org/repo[@revision][/file]``).
        to: The folder zoo that the bundle goes into; made where missing.
        name: What the weights are called from now on: lower-case letters, digits, ``.``, ``_`` and ``-``; default the
            known weights' own name, or the file's.
        like: For a file that was downloaded by hand: the known weights that it is, whose facts are taken. A file with a
            known hash needs no word.
        arch: timm's name of the architecture; default what names and shapes of the tensors tell.
        model_args: What else timm needs to build it, for example ``{"init_values": 1e-5}``.
        labels: Names of the outputs, in the order of the classifier's rows; an empty one leaves an output out.
        task: What the outputs mean: ``"binary"``, ``"multiclass"``, ``"ordinal"`` or ``"multilabel"``.
        image_size: Side of the images in pixels.
        mean: Mean of each channel, of values scaled to [0, 1]; as many as the network has channels.
        std: Standard deviation of each channel, of values scaled to [0, 1].
        crop: ``"squash"`` or ``"center"``.
        crop_share: Share of the side that is kept after resizing; timm's ``crop_pct``.
        interpolation: ``"bilinear"`` or ``"bicubic"``.
        final_activation: Whether a DenseNet's last normalisation passes its ReLU before the pooling.
        norm_eps: What batch normalisation adds to variances.
        licence: Terms of the weights.
        origin: Where they come from, for card and record; default ``source``.
        seen: Data sets that they were trained on.
        seen_list: The publisher's list of the images or patients that they were trained on, a CSV file with columns
            ``image``, ``patient`` (``chestxray14:5288``), or both; ``medzoo.audit`` then goes by it.
        area: What kind of images: ``cxr``, ``hwsi``, ``efi``, or another word.
        prefix: What stands before the tensors' names, where the file holds several networks.
        member: Which file of an archive.
        overwrite: Replace weights of the same name.

    Returns:
        What was imported, and each step.

    Raises:
        MedzooError: The name is taken or is none, or an option is missing that the file does not tell.
        ZooError: The file cannot be fetched or read, is not the published one, or does not fit its architecture.
    """
    known = KNOWN[like] if like else KNOWN.get(str(source))
    called = _checked_name(name or (known.name if known else _name_of(source)), Path(to), overwrite)
    if known and not like and not known.file:
        raise ZooError(f"{known.name} cannot be downloaded by a program: {known.steps}")
    listed = None if seen_list is None else Path(seen_list)
    if listed is not None:
        read_seen_list(listed)  # before anything is downloaded
    fetched = fetch(known.file if known and not like else source, known.expected_sha256 if known else "")
    known = known or next((one for one in KNOWN.values() if one.expected_sha256 == fetched.sha256), None)
    spec = known.spec if known else ImportSpec()
    spec = spec.with_given(
        arch=arch, model_args=model_args, labels=tuple(labels) if labels is not None else None, task=task,
        image_size=image_size, mean=_numbers(mean), std=_numbers(std), crop=crop, crop_share=crop_share,
        interpolation=interpolation, licence=licence, origin=origin, area=area,
        seen=tuple(seen) if seen is not None else None, variant=_variant(spec.variant, final_activation, norm_eps),
    )  # fmt: skip
    with open_checkpoint(fetched.path, member or (known.member if known else None)) as checkpoint:
        made = convert(called, checkpoint, spec, fetched.path, prefix)
    if made.head.outputs and not spec.task:
        raise UnknownTaskError(_ask_for_task(made))
    folder = _write(called, made, spec, fetched, known, listed, Path(to))
    verified = None if known is None else known.verified
    return Imported(
        called, folder, made.model.medzoo.arch, made.model.medzoo.classes, fetched.sha256, made.steps, verified
    )


def _checked_name(name: str, zoo: Path, overwrite: bool) -> str:
    if not _NAME.fullmatch(name):
        raise MedzooError(f"{name!r} is no name for weights; give lower-case letters, digits, '.', '_' and '-' (--as)")
    if name in WEIGHTS:
        raise UnknownNameError(f"{name} is the name of weights of our own; give another (--as)")
    if (zoo / name).exists() and not overwrite:
        raise MedzooError(f"{zoo} holds weights named {name} already; give another name (--as), or --overwrite")
    return name


def _name_of(source: str | Path) -> str:
    stem = str(source).rstrip("/").rsplit("/", 1)[-1].split(".")[0].lower()
    return re.sub(r"[^a-z0-9._-]+", "_", stem).strip("._-") or "imported"


def _numbers(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(map(float, values))


def _variant(own: Variant, final_activation: bool | None, norm_eps: float | None) -> Variant:
    return Variant(
        own.final_activation if final_activation is None else final_activation,
        own.norm_eps if norm_eps is None else norm_eps,
    )


def _ask_for_task(made: Converted) -> str:
    count, kind = made.head.outputs, made.head.kind
    hint = {"linear + sigmoid": "; a sigmoid stands behind it, which speaks for multilabel"}.get(kind, "")
    return (
        f"the file holds a classifier of {count} outputs and does not say what they mean{hint}. Give --task multilabel "
        "(several may be true at once), multiclass (one is), ordinal (grades) or binary; and --labels"
    )


def _write(
    name: str,
    made: Converted,
    spec: ImportSpec,
    fetched: Fetched,
    known: KnownWeights | None,
    listed: Path | None,
    zoo: Path,
) -> Path:
    record = _record(name, made, spec, fetched, known)
    own = {
        "name": name,
        "version": __version__,
        "init": "",
        "source": spec.area or None,
        "sources": list(spec.seen),
        "task": spec.task,
        "head": made.model.medzoo.head,
        "imported": True,
    }
    with tempfile.TemporaryDirectory() as work:
        new = Path(work)
        save_model(made.model, new)
        write_json(new / CONFIG, config_of(made.model, own))
        check_values(read_tensors(new / MODEL), fetched.path, made.model.medzoo.input)
        write_json(new / RUN, record)
        write_text(new / CARD, import_card(name, made, spec, record))
        if listed is not None:
            shutil.copyfile(listed, new / SEEN_LIST)
        write_golden(open_bundle(new))
        return to_folder(name, new, pin_of(new), zoo)


def _record(
    name: str, made: Converted, spec: ImportSpec, fetched: Fetched, known: KnownWeights | None
) -> dict[str, Any]:
    return {
        "schema": 1,
        "kind": "import",
        "name": name,
        "medzoo": __version__,
        "origin": spec.origin or fetched.address,
        "address": fetched.address,
        "revision": fetched.revision,
        "file": fetched.path.name,
        "sha256": fetched.sha256,
        "known": known.name if known else None,
        "verified": known.verified if known else None,
        "steps": list(made.steps),
        "dropped": made.dropped,
        "maker_head": made.head.kind,
        "licence": spec.licence,
        "use": spec.use,
        "area": spec.area,
        "seen": list(spec.seen),
        "citation": spec.citation,
        "notes": list(spec.notes),
        "environment": {"packages": {"timm": timm.__version__, "torch": torch.__version__}},
        "reduced": [],
        "data": [],
        "history": [],
    }
