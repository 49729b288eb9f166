"""The study without images that an arm has seen: left out for all arms, so that they stay comparable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medzoo.bundle import Bundle
from medzoo.examples import Examples
from medzoo.overlap.audit import audit_records
from medzoo.overlap.frames import named_patients
from medzoo.overlap.seen import SEEN, join, read_seen
from medzoo.weights import find
from training.cache import Cache
from training.datasets import DATASETS
from training.hashes import cache_hashes


def without_seen(examples: Examples, cache: Cache, bundles: Sequence[Bundle]) -> tuple[Examples, dict[str, int]]:
    """Leave out of a target what any of the weights has seen, and the patients it has seen.

    Args:
        examples: The target.
        cache: Its images.
        bundles: The weights; those of ImageNet photographs have seen none of it.

    Returns:
        What is left, and how many images of each kind were left out.

    Raises:
        ZooError: A weight does not tell what it has seen.
    """
    seen = [read_seen(bundle.folder / SEEN) for bundle in bundles if find(bundle.name).source]
    if not seen:
        return examples, {}
    owner = DATASETS[cache.name].patient_ids or cache.name
    found = audit_records(cache_hashes(cache), named_patients(owner, cache.patients), join(seen))
    return examples.take(np.flatnonzero(~found.seen)), found.left_out
