"""The images of a target that the study's weights have seen in pretraining."""

from __future__ import annotations

from collections.abc import Sequence

from medzoo.contamination.patient_ids import named_patients
from medzoo.contamination.result import Audit, audit_records
from medzoo.contamination.seen_images import SEEN, join, read_seen
from medzoo.zoo.bundle import Bundle
from medzoo.zoo.weights import find
from training.cache.hashes import cache_hashes
from training.cache.prepare import Cache
from training.datasets import DATASETS


def seen_by_any(cache: Cache, bundles: Sequence[Bundle]) -> Audit | None:
    """Find the images of a target that any of the weights has seen, or whose patient it has seen.

    Args:
        cache: The target.
        bundles: The weights; those of ImageNet have seen none of it.

    Returns:
        The audit; ``None`` where no weight was pretrained on medical images.

    Raises:
        ZooError: A weight has no list of the images it has seen.
    """
    seen = [read_seen(bundle.folder / SEEN) for bundle in bundles if find(bundle.name).source]
    if not seen:
        return None
    owner = DATASETS[cache.name].patient_ids or cache.name
    return audit_records(cache_hashes(cache), named_patients(owner, cache.patients), join(seen))
