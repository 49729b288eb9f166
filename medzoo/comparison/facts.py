"""What stands beside the numbers of a comparison: each weight's area, licence, and what it has seen of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medzoo.comparison.runs import ComparedWeights
from medzoo.contamination.by_name import seen_by_name, trained_on
from medzoo.contamination.patient_ids import named_patients
from medzoo.contamination.result import audit_records
from medzoo.contamination.seen_images import SEEN, read_seen
from medzoo.data.dataset import Examples
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
