"""What weights have seen, by the publisher's list of image names and patients, where there are no hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from medzoo.contamination.patient_ids import form_notes, forms_of, patient_keys
from medzoo.contamination.result import SAME_NAME, SAME_PATIENT, Audit
from medzoo.core.errors import DataError

SEEN_LIST = "seen_list.csv"


@dataclass(frozen=True)
class SeenList:
    """A publisher's list.

    Attributes:
        images: File names without folder and ending, in lower case.
        patients: Patient ids with the data set that gave them (``"chestxray14:5288"``).
    """

    images: frozenset[str]
    patients: frozenset[str]


def read_seen_list(file: Path) -> SeenList:
    """Read a list.

    Args:
        file: A CSV file with a column ``image`` (file names), ``patient`` (ids such as ``chestxray14:5288``), or both.

    Raises:
        DataError: It is none.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError, UnicodeError) as error:
        raise DataError(
            f"{file} cannot be read as a CSV file ({error}); give columns image, patient, or both"
        ) from error
    if not {"image", "patient"} & set(table.columns) or table.empty:
        names = ", ".join(map(str, table.columns))
        raise DataError(f"{file} has the columns {names}; a list of seen images has image, patient, or both, and a row")
    images = table["image"].map(_plain) if "image" in table else pd.Series(dtype=str)
    patients = table["patient"].str.strip() if "patient" in table else pd.Series(dtype=str)
    return SeenList(frozenset(images) - {""}, frozenset(patients) - {""})


def audit_by_list(names: Sequence[str], patients: Sequence[str] | None, seen: SeenList) -> Audit:
    """Look for a data set's image names and patients in a publisher's list; nothing is decoded.

    Args:
        names: N names or paths of images.
        patients: N patient ids prefixed with their data set, empty where unknown, or ``None``.
        seen: The list.

    Example:
        >>> listed = SeenList(frozenset({"00000001_000"}), frozenset({"chestxray14:5288"}))
        >>> names = ["a/00000001_000.png", "b.png", "c.png"]
        >>> found = audit_by_list(names, ["", "chestxray14:Patient 05288", ""], listed)
        >>> found.found.tolist()
        ['same name', 'same patient', '']
    """
    found = np.full(len(names), "", dtype=f"<U{len(SAME_PATIENT)}")
    known = np.zeros(len(names), bool)
    if patients is not None:
        keys = patient_keys(patients)
        known = keys != 0
        found[known & np.isin(keys, patient_keys(sorted(seen.patients)))] = SAME_PATIENT
    found[np.array([_plain(name) in seen.images for name in names], bool)] = SAME_NAME
    none = np.full(len(names), -1)
    notes = form_notes(patients, forms_of(seen.patients))
    bare = sorted(one for one in seen.patients if ":" not in one)
    if bare and known.any():
        what = f"{len(bare):,} of {len(seen.patients):,} listed patient ids name no data set ({bare[0]})"
        notes = (*notes, f"{what} and are not compared; write them as chestxray14:5288")
    return Audit(found, none, none, np.full(len(names), ""), bool(known.any()), tuple(names), notes)


def _plain(name: str) -> str:
    """A file's name without folder and ending: the same image is a PNG here and a JPEG there."""
    return Path(name.replace("\\", "/")).stem.strip().lower()
