"""What the study's weights have seen of a target in pretraining."""

from __future__ import annotations

from collections.abc import Sequence

from medzoo.bundle import Bundle
from medzoo.overlap.audit import Audit, audit_records
from medzoo.overlap.frames import named_patients
from medzoo.overlap.seen import SEEN, join, read_seen
from medzoo.weights import find
from training.cache import Cache
from training.datasets import DATASETS
from training.hashes import cache_hashes


def seen_by_any(cache: Cache, bundles: Sequence[Bundle]) -> Audit | None:
    """Find the images of a target that any of the weights has seen, or whose patient it has seen.

    Args:
        cache: The target.
        bundles: The weights; those of ImageNet photographs have seen none of it.

    Returns:
        The audit; ``None`` where no weight was pretrained on medical images.

    Raises:
        ZooError: A weight does not tell what it has seen.
    """
    seen = [read_seen(bundle.folder / SEEN) for bundle in bundles if find(bundle.name).source]
    if not seen:
        return None
    owner = DATASETS[cache.name].patient_ids or cache.name
    return audit_records(cache_hashes(cache), named_patients(owner, cache.patients), join(seen))
