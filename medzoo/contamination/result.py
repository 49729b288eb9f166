"""The result of an audit: images that are copies of those of pretraining, or of the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medzoo.contamination.hamming import exact_rows, nearest
from medzoo.contamination.patient_ids import form_notes, normal_id, patient_keys
from medzoo.contamination.perceptual_hash import LENGTH, NEAR_BITS
from medzoo.contamination.seen_images import Seen
from medzoo.core.errors import DataError

EXACT_COPY = "exact copy"
NEAR_COPY = "near copy"
SAME_PATIENT = "same patient"
SAME_NAME = "same name"  # in a publisher's list, where there are no hashes

_SHOWN = 10  # seen images in the printed form


@dataclass(frozen=True)
class Audit:
    """The result of an audit, one row for each image of the user's data set.

    Attributes:
        found: ``str [N]``: ``"exact copy"`` (the same pixels), ``"near copy"`` (the same image at another size,
            encoding or contrast), ``"same patient"`` (another image of a seen patient), ``"same name"`` (listed by the
            publisher) or an empty string.
        bits: ``int64 [N]``, the bits of 256 in which a copy's hash differs from the seen image's; -1 where no copy.
        row: ``int64 [N]``, the row of the copied image among the seen ones; -1 where no copy.
        dataset: ``str [N]``, the data set that a copied image is from; empty where no copy.
        patients_known: Whether the patient of any image is known. If not, other images of a seen patient are not found.
        names: N names of the images, such as their paths; empty where they have numbers only.
        notes: Where patients may not have been found.
    """

    found: NDArray[np.str_]
    bits: NDArray[np.int64]
    row: NDArray[np.int64]
    dataset: NDArray[np.str_]
    patients_known: bool
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.names and len(self.names) != len(self):
            raise DataError(f"{len(self.names)} names for {len(self)} audited images")

    def __len__(self) -> int:
        return len(self.found)

    def __str__(self) -> str:
        lines = [f"{title:<13} {count:>9,}" for title, count in self.counts.items()]
        if self.seen.any():
            table = self.table().drop(columns="row")
            first = table.head(_SHOWN).map(lambda cell: "" if pd.isna(cell) else str(cell))
            padded = first.apply(lambda column: column.str.ljust(column.str.len().max()))
            lines += ["", *(line.rstrip() for line in padded.to_string(index=False, justify="left").splitlines())]
            lines += [f"and {len(table) - _SHOWN:,} more"] if len(table) > _SHOWN else []
        notes = self.notes
        if not self.patients_known:
            notes = (*notes, "no patients are known; other images of a seen patient are not found")
        return "\n".join([*lines, *([""] if notes else []), *(f"note: {note}" for note in notes)])

    @property
    def copies(self) -> NDArray[np.bool_]:
        """Images that were themselves seen, ``bool [N]``."""
        return self.row >= 0

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Images to leave out, as they or their patients were seen, ``bool [N]``."""
        return self.found != ""

    @property
    def left_out(self) -> dict[str, int]:
        """Number of images to leave out, by kind."""
        kinds = (EXACT_COPY, NEAR_COPY, SAME_PATIENT, *([SAME_NAME] if (self.found == SAME_NAME).any() else []))
        return {kind: int((self.found == kind).sum()) for kind in kinds}

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each kind; the last are not seen."""
        return {"images": len(self), **self.left_out, "not seen": int((~self.seen).sum())}

    def table(self) -> pd.DataFrame:
        """Return the seen images, one row each.

        Returns:
            Columns ``image`` (its name, or its number), ``found``, ``dataset``, ``row`` and ``bits``; the last three
            are empty for an image of a seen patient that is no copy.
        """
        rows = np.flatnonzero(self.seen).tolist()
        none = ~self.copies[rows]
        return pd.DataFrame(
            {
                "image": [self.names[i] if self.names else str(i) for i in rows],
                "found": self.found[rows],
                "dataset": self.dataset[rows],
                "row": pd.arrays.IntegerArray(self.row[rows], none),
                "bits": pd.arrays.IntegerArray(self.bits[rows], none),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return counts and seen images, ready for JSON."""
        images = [
            {key: None if pd.isna(value) else value for key, value in row.items()}
            for row in self.table().to_dict("records")
        ]
        return {"counts": self.counts, "patients_known": self.patients_known, "notes": list(self.notes), "seen": images}


def audit_records(
    hashes: NDArray[np.uint8],
    patients: Sequence[str] | NDArray[np.str_] | None,
    seen: Seen,
    limit: int = NEAR_BITS,
) -> Audit:
    """Look for a data set's images and patients among those of pretraining.

    A patient counts as seen when the same prefixed id is in ``seen``, or when one of the patient's images is a copy; so
    ids without a meaning outside the data set still mark a patient's other images.

    Args:
        hashes: ``uint8 [N, 48]``, ``medzoo.contamination.perceptual_hash.image_hashes`` of the data set.
        patients: N patient ids prefixed with their data set (``"chestxray14:5288"``), empty where unknown, or ``None``.
        seen: The images of pretraining.
        limit: The largest distance of a near copy's hash, of 256 bits.

    Returns:
        The result, in the order of ``hashes``.

    Raises:
        DataError: The arrays have different lengths or wrong types.

    Example:
        >>> from medzoo.contamination.perceptual_hash import image_hashes
        >>> from medzoo.contamination.seen_images import seen_of
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
        >>> source = seen_of("source", image_hashes(images[:1]))
        >>> audit_records(image_hashes(images), ["a", "a", "b"], source).found.tolist()
        ['exact copy', 'same patient', '']
    """
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != LENGTH:
        raise DataError(f"image hashes are {hashes.dtype} {list(hashes.shape)}, expected uint8 [N, {LENGTH}]")
    if patients is not None and len(patients) != len(hashes):
        raise DataError(f"{len(patients)} patients for {len(hashes)} image hashes")
    if not 0 <= limit <= 256:
        raise DataError(f"a limit of {limit} bits is not in 0 to 256; {NEAR_BITS} is the measured choice")
    row, bits = nearest(hashes, seen.hashes, limit)
    exact = exact_rows(hashes, seen.hashes)
    # The same pixels have the same near hash: an exact copy is at distance 0 whichever row was nearest.
    row = np.where(exact >= 0, exact, row)
    bits = np.where(exact >= 0, 0, bits)
    copy = row >= 0
    found = np.full(len(hashes), "", dtype=f"<U{len(SAME_PATIENT)}")
    keys = np.zeros(len(hashes), dtype=np.uint64) if patients is None else patient_keys(patients)
    known = keys != 0
    matched = known & np.isin(keys, seen.patients)
    found[matched | (known & np.isin(keys, keys[copy & known]))] = SAME_PATIENT
    found[copy] = NEAR_COPY
    found[exact >= 0] = EXACT_COPY
    names = np.array(["", *seen.datasets])
    dataset = names[np.where(copy, seen.dataset[row].astype(np.int64) + 1, 0)]
    notes = form_notes(patients, seen.forms) if seen.forms else _no_match(patients, matched, seen)
    return Audit(found, bits, row, dataset, bool(known.any()), notes=notes)


def _no_match(
    patients: Sequence[str] | NDArray[np.str_] | None, matched: NDArray[np.bool_], seen: Seen
) -> tuple[str, ...]:
    """Say where weights record no form of their ids, and none matches."""
    prefixes = {normal_id(str(one)).partition(":")[0] for one in (() if patients is None else patients)}
    shared = [name for name in seen.datasets if normal_id(f"{name}:1").partition(":")[0] in prefixes]
    if matched.any() or not shared or not seen.patients.any():
        return ()
    return (f"no patient id of {', '.join(shared)} is one of pretraining: check that yours are the publisher's",)
