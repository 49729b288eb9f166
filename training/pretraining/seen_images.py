"""The records of pretraining images in a bundle: content hashes for ``medzoo.audit``, and the split."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from medzoo.contamination.seen_images import SEEN, Seen, join, seen_of, write_seen
from medzoo.core.atomic import replacing_file
from training.cache.hashes import cache_hashes
from training.datasets import DATASETS
from training.pretraining.corpus import Corpus, Slice

SPLITS = "splits.csv"


def write_seen_images(corpus: Corpus, folder: Path) -> None:
    """Write ``seen.safetensors`` and ``splits.csv`` into a bundle.

    Only the training images count as seen: the held-out images changed no parameter (the last epoch is kept, none is
    selected by validation). ``splits.csv`` lists both sides.
    """
    write_seen(folder / SEEN, join([_seen(part, corpus) for part in corpus.slices]))
    with replacing_file(folder / SPLITS) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("data_set", "image", "split"))
        for part in corpus.slices:
            for name, held_out in zip(published_names(part.cache.ids), corpus.held_out[part.rows], strict=True):
                writer.writerow((part.cache.name, name, "valid" if held_out else "train"))


def _seen(part: Slice, corpus: Corpus) -> Seen:
    """Hash the training images of one data set, and their patients if the publisher's ids are public."""
    cache, owner = part.cache, DATASETS[part.cache.name].patient_ids
    train = np.flatnonzero(~corpus.held_out[part.rows])
    patients = cache.patients[train] if owner and cache.patients is not None else None
    return seen_of(cache.name, cache_hashes(cache)[train], patients, owner)


def published_names(paths: Sequence[str]) -> list[str]:
    """Return the publisher's names of images: file names if unique, as these are the same in every layout.

    Args:
        paths: The images' paths relative to the data set's folder.

    Example:
        >>> published_names(["images_001/images/a.png", "images_002/images/b.png"])
        ['a.png', 'b.png']
        >>> published_names(["1/a.png", "2/a.png"])
        ['1/a.png', '2/a.png']
    """
    names = [PurePosixPath(path).name for path in paths]
    return names if len(set(names)) == len(names) else list(paths)
