"""Load a data set of the table from its cache, or decode it first."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from medzoo.core.cluster import connect
from medzoo.core.errors import DataError
from medzoo.core.progress import counting
from medzoo.data.dataset import Records
from training.cache.prepare import Cache, prepare
from training.datasets import DATASETS, load
from training.standins import is_standin

SYNTHETIC = "Synthetic images in place of the real ones."


def prepared(
    name: str,
    data: Path,
    caches: Path,
    *,
    size: int = 224,
    limit: int | None = None,
    allow_partial: bool = False,
    max_rejected: int = 0,
    scheduler: Any = None,
) -> tuple[Cache, tuple[str, ...]]:
    """Read a data set and decode it once.

    Args:
        name: A name in ``training.datasets.DATASETS``.
        data: The folder that holds the data sets.
        caches: The folder that holds the caches.
        size: Short side in pixels; 224 in the study.
        limit: At most so many images, sampled by a hash of their paths.
        allow_partial: As in ``training.datasets.load``.
        max_rejected: How many unreadable images may be left out; each is listed in the cache's ``rejected.csv``.
        scheduler: Workers of a Dask cluster that decode, as in ``medzoo.compare``; they must see both folders.

    Returns:
        The cache, and the reader's notes.
    """
    if limit is not None and limit < 2:
        raise DataError(f"the limit is {limit} images; give 2 or more")
    records = limited(load(name, data, allow_partial), limit)
    geometry = DATASETS[name].geometry.scaled(size)
    with connect(scheduler) as cluster, counting(f"preparing {name}") as progress:
        cache = prepare(records, geometry, caches, max_rejected=max_rejected, progress=progress, cluster=cluster)
    synthetic = (SYNTHETIC,) if is_standin(data, name) else ()
    return cache, synthetic + records.notes


def limited(records: Records, limit: int | None) -> Records:
    """Return at most ``limit`` images, sampled by a hash of their paths: the same ones everywhere."""
    if limit is None or limit >= len(records):
        return records
    sampled = sorted(range(len(records)), key=lambda i: hashlib.sha256(records.ids[i].encode()).digest())[:limit]
    return records.take(sorted(sampled))
