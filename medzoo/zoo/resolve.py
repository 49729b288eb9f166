"""Weights by name: from a folder zoo, the Hub at a pinned revision, or a checkout's previews; always verified."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from medzoo.core.errors import ZooError
from medzoo.zoo import preview
from medzoo.zoo.bundle import MODEL, Bundle, open_bundle
from medzoo.zoo.pins import PINS, Pin, read_index, read_pins
from medzoo.zoo.verify import verify_bundle, verify_file
from medzoo.zoo.weights import WEIGHTS, Weights, find

HUB = "hf://"
DEFAULT_ZOO = f"{HUB}medzoo"

_BLOB = re.compile(r"[0-9a-f]{64}")


def zoo_location(zoo: str | Path | None = None) -> str:
    """Return the zoo in use: the argument, else ``MEDZOO_ZOO``, else the project's own on the Hub."""
    return str(zoo or os.environ.get("MEDZOO_ZOO") or DEFAULT_ZOO)


def zoo_of(name: str, zoo: str | Path | None = None) -> str:
    """Return the zoo that a name resolves to: the zoo in use, or a checkout's ``preview/``.

    The order is ``zoo``, ``MEDZOO_ZOO``, the project's weights on the Hub, ``preview/``.
    """
    location = zoo_location(zoo)
    if not _is_default(zoo) or name in published(location) or name not in preview.preview_pins():
        return location
    return str(preview.PREVIEW)


def _is_default(zoo: str | Path | None) -> bool:
    """Return whether no zoo is set."""
    return not zoo and not os.environ.get("MEDZOO_ZOO")


def org_of(location: str) -> str | None:
    """Return the organisation of a zoo on the Hub; ``None`` for a folder.

    Raises:
        ZooError: It begins with ``hf://`` but names no organisation.

    Example:
        >>> org_of("hf://medzoo"), org_of("/data/zoo")
        ('medzoo', None)
    """
    if not location.startswith(HUB):
        return None
    org = location.removeprefix(HUB).rstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}", org):
        raise ZooError(f"{location} names no organisation of the Hub; write {HUB}ORG")
    return org


def published(zoo: str | Path | None = None) -> Mapping[str, Pin]:
    """Return the pins of a zoo by the names of its weights.

    Args:
        zoo: A folder zoo or ``hf://org``; default ``MEDZOO_ZOO``, else the project's zoo on the Hub and, of names that
            it lacks, the preview weights of a checkout.

    Raises:
        ZooError: It is not a zoo, or cannot be read.
    """
    location = zoo_location(zoo)
    org = org_of(location)
    if org is None:
        return read_index(Path(location))
    on_hub = {name: pin for name, pin in read_pins(PINS).items() if pin.repo.startswith(f"{org}/")}
    return {**preview.preview_pins(), **on_hub} if _is_default(zoo) else on_hub


def resolve(name: str | Path, zoo: str | Path | None = None, *, whole: bool = False, again: bool = False) -> Bundle:
    """Find the files of pretrained weights, download them where needed, and verify them.

    Args:
        name: Name of pretrained weights, or the folder of a bundle.
        zoo: A folder zoo or ``hf://org``; default ``MEDZOO_ZOO``, else the project's zoo on the Hub, else the preview
            weights of a checkout (with a warning).
        whole: Complete a cache that timm filled: model card, run record, hashes of the pretraining images.
        again: Hash the weights even if they were checked before.

    Raises:
        UnknownNameError: There are no such weights.
        ZooError: The zoo does not hold them, they cannot be downloaded, or their file is not the published one.
    """
    if isinstance(name, Path) or _is_path(name):
        return open_bundle(Path(name))
    location = zoo_of(name, zoo)
    pins = published(location)
    if name not in pins:
        return _unpublished(name, location, pins, whole)
    pin = pins[name]
    if location.startswith(HUB):
        from medzoo.zoo import hub  # the client reads its settings when it is imported

        check = partial(verify_bundle, pin=pin, again=again)
        return open_bundle(hub.fetch_sound(pin.repo, pin.revision, check, whole=whole))
    folder = Path(location) / name
    bundle = open_bundle(folder)
    verify_bundle(folder, pin, again=again)
    if preview.is_preview(location):
        preview.warn_once(name, preview.preview_note(bundle.run))
    return bundle


def _is_path(name: str) -> bool:
    """Return whether a text is a path and no name: it has a separator, or is a folder or a file with a suffix here."""
    if "/" in name or os.sep in name:
        return True
    try:
        return name not in WEIGHTS and (Path(name).is_dir() or ("." in name and Path(name).is_file()))
    except (OSError, ValueError):  # too long, or with a zero in it
        return False


def _unpublished(name: str, location: str, pins: Mapping[str, Pin], whole: bool) -> Bundle:
    entry = find(name)
    if entry.timm_name:
        return _from_timm(entry, whole)
    if location.startswith(HUB):
        where = "" if location == DEFAULT_ZOO else f" in {location}"
        raise ZooError(
            f"{name} is not published yet{where}. Three ways to weights: the folder preview/ of a checkout of medzoo "
            f"(MEDZOO_ZOO=CHECKOUT/preview), 'medzoo import' of a checkpoint, or 'python -m training pretrain {name}'"
        )
    raise ZooError(
        f"the zoo at {location} has no {name}; it holds: {', '.join(pins) or 'nothing'}. "
        f"Make it with 'python -m training pretrain {name}' and 'publish {name} --out {location}'"
    )


def _from_timm(entry: Weights, whole: bool) -> Bundle:
    from medzoo.zoo import hub  # the client reads its settings when it is imported

    try:
        bundle = open_bundle(hub.fetch_sound(f"timm/{entry.timm_name}", None, _verify_name, whole=whole))
    except ZooError as error:
        raise ZooError(
            f"{error}. Without a network: 'python -m training publish {entry.name} --imagenet-weights FILE --out ZOO' "
            "puts a copy of the ImageNet weights into a folder zoo"
        ) from error
    return replace(bundle, config={**bundle.config, "medzoo": {"name": entry.name, "init": entry.init}})


def _verify_name(folder: Path) -> None:
    """Check a weights file by its name: in the Hub's cache that is its sha256, unless the file was copied."""
    blob = (folder / MODEL).resolve()
    if _BLOB.fullmatch(blob.name):
        verify_file(blob, Pin(blob.name, blob.stat().st_size))
