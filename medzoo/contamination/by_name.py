"""Seen in pretraining by the data set's name, where neither hashes nor lists of images exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medzoo.contamination.seen_images import SEEN
from medzoo.data.dataset import ImageDataset
from medzoo.zoo.bundle import Bundle
from medzoo.zoo.resolve import resolve

# Data sets that hold images of others, and other names of one, by what both are called below.
_PARTS = {
    "covid19radiography": ("rsnapneumonia", "chestxray14"),
    "rsnapneumonia": ("chestxray14",),
    "nih": ("chestxray14",),
    "nihchestxray14": ("chestxray14",),
    "cxr8": ("chestxray14",),
    "chestxray8": ("chestxray14",),
    "diabeticretinopathydetection": ("eyepacs",),
    "eyepacsequalized": ("eyepacs",),
}


def seen_by_name(name: str, patients: Iterable[str] | None, sets: Sequence[str]) -> list[str]:
    """List the data sets of a pretraining that a user's data is said to be from.

    Args:
        name: What the user's data set is called.
        patients: Its patient ids, perhaps with the name of the data set that gave them (``chestxray14:5288``).
        sets: What the weights were trained on.

    Returns:
        Those of ``sets`` that the name, a patient's prefix, or a data set known to hold their images speaks for.

    Example:
        >>> seen_by_name("COVID-19_Radiography", None, ["chestxray14", "padchest"])
        ['chestxray14']
        >>> seen_by_name("address_book", None, ["ddr"])
        []
    """
    prefixes = {patient.partition(":")[0] for patient in patients or () if ":" in patient}
    said = {_plain(one) for one in (name, *prefixes)}
    for one in list(said):
        said.update(part for known, parts in _PARTS.items() if _names(one, known) for part in parts)
    return [one for one in sets if any(_names(other, _plain(one)) for other in said)]


def trained_on(bundle: Bundle) -> list[str]:
    """List the data sets that weights were trained on, as far as they say."""
    return [str(name) for name in bundle.run.get("seen") or bundle.info.get("sources") or ()]


def seen_notes(model: Any, data: ImageDataset[Any], zoo: str | Path | None) -> tuple[str, ...]:
    """Note where weights were trained on what the data is said to be from, and list no images to compare with.

    Args:
        model: What is fine-tuned: a name or a folder; others say nothing.
        data: The user's data.
        zoo: As in ``create_model``.
    """
    if not isinstance(model, (str, Path)):
        return ()
    bundle = resolve(model, zoo)
    if (bundle.folder / SEEN).is_file():
        return ()  # medzoo.audit knows better
    patients = None if data.patients is None else data.patients.tolist()
    note = name_note(bundle.name, seen_by_name(data.name, patients, trained_on(bundle)))
    return (note,) if note else ()


def name_note(weights: str, found: Sequence[str]) -> str:
    """Say what a match by name means; empty where there is none.

    Example:
        >>> name_note("xrv-all", ["chestxray14"])
        'xrv-all was trained on chestxray14, and these images are said to be from it: its numbers may be too good.'
    """
    if not found:
        return ""
    sets = ", ".join(found)
    return f"{weights} was trained on {sets}, and these images are said to be from it: its numbers may be too good."


def _names(text: str, name: str) -> bool:
    """Whether a text names a data set; a short name must be all of it, as other words hold its letters."""
    return text == name or (len(name) >= 6 and name in text)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
