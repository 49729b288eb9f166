"""What stands beside the numbers of a comparison: each weight's area, licence, and what it has seen of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medzoo.comparison.runs import ComparedWeights
from medzoo.comparison.statistics import corrected_mean, split_ratio
from medzoo.contamination.by_name import seen_by_name, trained_on
from medzoo.contamination.patient_ids import named_patients
from medzoo.contamination.result import audit_records
from medzoo.contamination.seen_images import SEEN, read_seen
from medzoo.data.dataset import Examples
from medzoo.robustness.wording import percent
from medzoo.zoo.bundle import Bundle, open_bundle
from medzoo.zoo.weights import WEIGHTS

Facts: TypeAlias = Mapping[str, Mapping[str, str]]
COLUMNS = ("area", "licence", "seen in pretraining")


def find_facts(
    compared: Sequence[ComparedWeights], examples: Examples, hashes: NDArray[np.uint8] | None
) -> dict[str, dict[str, str]]:
    """Collect the facts of each weight.

    Args:
        compared: The weights.
        examples: The data set.
        hashes: ``uint8 [N, 48]``, its images' hashes; ``None`` where they were not made.

    Returns:
        By name, the text of each of ``COLUMNS``.
    """
    found = {}
    for one in compared:
        bundle = open_bundle(one.folder)
        baseline = one.weight in WEIGHTS and WEIGHTS[one.weight].source is None
        area = str(bundle.info.get("source") or ("natural images" if baseline else ""))
        texts = (area or "not known", licence_of(bundle), _seen(bundle, examples, hashes))
        found[one.name] = dict(zip(COLUMNS, texts, strict=True))
    return found


def stress_facts(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Word the stress tests of the runs (``compare(..., stress=True)``), those of the first strategy on all images.

    Args:
        records: The runs.

    Returns:
        By name, the texts of ``kept under damage`` (mean over the runs, with its interval) and ``short cuts``; empty
        where nothing was measured.
    """
    measured = [record for record in records if "stress" in record]
    if not measured:
        return {}
    first = next(record["strategy"] for record in records)
    largest = max(record["fraction"] for record in records)
    found = {}
    for name in dict.fromkeys(record["arm"] for record in records):
        mine = [r for r in measured if (r["arm"], r["strategy"], r["fraction"]) == (name, first, largest)]
        areas = [np.nan if r["stress"]["area"] is None else r["stress"]["area"] for r in mine]
        kept = percent(corrected_mean(areas, split_ratio(measured))[0])
        cuts = sum(bool(r["stress"]["shortcuts"]) for r in mine)
        found[name] = {"kept under damage": kept, "short cuts": f"in {cuts} of {len(mine)} runs"}
    return found


def licence_of(bundle: Bundle) -> str:
    """Return the terms of a weight, as far as its run record knows them."""
    run = bundle.run
    terms = [str(data.get("terms", "")) for data in run.get("data", [])]
    return str(run.get("licence") or "; ".join(dict.fromkeys(filter(None, terms))) or "not known")


def has_seen_list(one: ComparedWeights) -> bool:
    """Return whether a weight lists the images of its pretraining."""
    return (one.folder / SEEN).is_file()


def _seen(bundle: Bundle, examples: Examples, hashes: NDArray[np.uint8] | None) -> str:
    if hashes is not None and (bundle.folder / SEEN).is_file():
        found = audit_records(hashes, named_patients(examples.name, examples.patients), read_seen(bundle.folder / SEEN))
        return f"{int(found.seen.sum()):,} of {len(examples):,} images"
    patients = None if examples.patients is None else examples.patients.tolist()
    by_name = seen_by_name(examples.name, patients, trained_on(bundle))
    if by_name:
        return f"by name: {', '.join(by_name)}"
    return "none by name" if trained_on(bundle) else "not known"
