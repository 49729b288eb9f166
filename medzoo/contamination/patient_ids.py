"""Patient ids of two data sets, compared whatever way each writes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

# A number, perhaps behind a word that says what it is, and as a float where a table lacks others.
_NUMBER = re.compile(r"(?:patient|pat|pid|pt|subject|subj|sub|person|case|id)*[\s_.:#-]*0*([0-9]+)(?:\.0)?")


def named_patients(dataset: str, patients: Sequence[str] | NDArray[np.str_] | None) -> list[str] | None:
    """Prefix patient ids with the name of the data set that gave them; an id that has a prefix already keeps it.

    So a table can say that an image shows patient 5288 of another data set: ``chestxray14:5288``.

    Example:
        >>> named_patients("mine", ["7", "", "chestxray14:5288"])
        ['mine:7', '', 'chestxray14:5288']
    """
    if patients is None:
        return None
    return [patient if ":" in patient or not patient else f"{dataset}:{patient}" for patient in map(str, patients)]


def normal_id(patient: str) -> str:
    """Write a prefixed id in one form; empty where it is unknown.

    Case, outer spaces, leading zeros and a word such as ``patient`` before a number do not count; nor do case and
    punctuation of the data set's name.

    Example:
        >>> [normal_id(one) for one in ("ChestX-ray14:Patient 00013", "chestxray14:13.0", "a:TCGA-02", "a: ")]
        ['chestxray14:13', 'chestxray14:13', 'a:tcga-02', '']
    """
    prefix, _, text = patient.rpartition(":")
    text = " ".join(text.casefold().split())
    number = _NUMBER.fullmatch(text)
    text = number[1] if number else text
    name = re.sub(r"[\W_]+", "", prefix.casefold()) or prefix
    return f"{name}:{text}" if text else ""


def patient_keys(patients: Iterable[str]) -> NDArray[np.uint64]:
    """Hash patient ids to eight bytes each.

    Keys are short and comparable, not anonymous: a list of possible ids reveals the id of a key. Leave out the patients
    of a private data set.

    Args:
        patients: Ids prefixed with the data set that gave them (``"chestxray14:5288"``): equal ids of
            different data sets are different patients. They are compared as ``normal_id`` writes them; an empty id is
            unknown.

    Returns:
        ``uint64 [N]``, 0 for an unknown patient.

    Example:
        >>> keys = patient_keys(["chestxray14:5288", "chestxray14:00005288", "eyepacs:5288", ""])
        >>> bool(keys[0] == keys[1] != keys[2]), int(keys[3])
        (True, 0)
    """
    return np.array([_key(normal_id(str(patient))) for patient in patients], dtype=np.uint64)


def _key(patient: str) -> int:
    if not patient:
        return 0
    return int.from_bytes(hashlib.blake2b(patient.encode(), digest_size=8).digest(), "little") or 1


def forms_of(patients: Iterable[str]) -> tuple[str, ...]:
    """List the forms of prefixed ids: ``9`` stands for digits, ``a`` for letters.

    Example:
        >>> forms_of(["chestxray14:00013", "chestxray14:2", "a:TCGA-02", ""])
        ('a:a-9', 'chestxray14:9')
    """
    return tuple(sorted({_form(normal) for normal in map(normal_id, map(str, patients)) if normal}))


def _form(normal: str) -> str:
    prefix, _, text = normal.rpartition(":")
    return f"{prefix}:{re.sub('[0-9]+', '9', re.sub('[a-z]+', 'a', text))}"


def form_notes(patients: Iterable[str] | None, seen: Sequence[str]) -> tuple[str, ...]:
    """Say where ids of the same data set are written in another form, so that the same patient may not be found.

    Args:
        patients: The user's, prefixed; ``None`` where none is known.
        seen: The forms of those of pretraining, from ``forms_of``.

    Example:
        >>> form_notes(["a:x7", "a:3", "b:x7"], ["a:9"])
        ("patient ids of a such as 'x7' have another form than those of pretraining (9): the same ... may be missed",)
    """
    theirs: dict[str, list[str]] = {}
    for form in seen:
        theirs.setdefault(form.partition(":")[0], []).append(form.partition(":")[2])
    others: dict[str, str] = {}
    for patient in patients or ():
        prefix, _, text = _form(normal_id(patient)).partition(":")
        if text and text not in theirs.get(prefix, [text]):
            others.setdefault(prefix, patient.rpartition(":")[2])
    return tuple(
        f"patient ids of {prefix} such as {example!r} have another form than those of pretraining "
        f"({', '.join(theirs[prefix][:3])}): the same patient may be missed"
        for prefix, example in others.items()
    )
