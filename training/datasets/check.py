"""Check that a data set on disk is the published one, complete and readable."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
from PIL import Image

from medzoo.data.dataset import Records
from medzoo.data.overview import Overview, overview_of
from training.datasets import DATASETS, read
from training.readers.common import Published

BATCH = 64


@dataclass(frozen=True)
class Check:
    """The result of a check; names and paths are sorted.

    Attributes:
        name: The data set.
        root: Its folder.
        images: Images that were read.
        known: Images of the complete set.
        counts: Images per class.
        known_counts: Images per class of the complete set; ``None`` if not published.
        missing: Names in a label table without an image on disk.
        unlisted: Images on disk without a label.
        duplicates: Groups of images whose files are equal byte by byte.
        unreadable: Images that cannot be decoded to the end, with the reason.
        split_patients: Patients on both sides of the publisher's split.
        notes: What the reader left out or assumed.
        overview: What ``medzoo look`` would print of it.
    """

    name: str
    root: str
    images: int
    known: int
    counts: dict[str, int]
    known_counts: dict[str, int] | None
    missing: tuple[str, ...]
    unlisted: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]
    unreadable: tuple[tuple[str, str], ...]
    split_patients: tuple[str, ...]
    notes: tuple[str, ...]
    overview: Overview

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems, one sentence each; unlisted images and duplicates are none: published sets have some."""
        found = []
        if self.images != self.known:
            found.append(f"{self.images:,} images, the complete set has {self.known:,}")
        elif self.known_counts is not None and self.counts != self.known_counts:
            found.append(f"images per class are {self.counts}, known are {self.known_counts}")
        return (*found, *self.faults)

    @property
    def faults(self) -> tuple[str, ...]:
        """The problems that a part of the set may not have either."""
        found = []
        if self.unreadable:
            path, reason = self.unreadable[0]
            found.append(f"{len(self.unreadable):,} unreadable images (first: {path}: {reason})")
        if self.split_patients:
            found.append(
                f"{len(self.split_patients):,} patients on both sides of the split (first: {self.split_patients[0]})"
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {**asdict(self), "problems": self.problems}


def check(name: str, data: Path, *, jobs: int = -1, progress: Callable[[int, int], None] | None = None) -> Check:
    """Compare a data set on disk with the table, and decode every image.

    Args:
        name: A name in ``training.datasets.DATASETS``.
        data: The folder that holds the data sets.
        jobs: Cores for decoding; -1 for all.
        progress: Called with (images done, images in all).

    Returns:
        The result; an incomplete set is not an error.

    Raises:
        DataError: The set's folder does not exist, or its layout or labels cannot be read.
    """
    entry = DATASETS[name]
    records = read(name, data)
    equal_size = _equal_size(records)
    todo = [(path, path in equal_size) for path in records.ids]
    unreadable: list[tuple[str, str]] = []
    same: dict[str, list[str]] = defaultdict(list)
    done = 0
    for batch in _decode_all(records.images.root, todo, jobs):
        for path, digest, reason in batch:
            if reason:
                unreadable.append((path, reason))
            if digest:
                same[digest].append(path)
        done += len(batch)
        if progress is not None:
            progress(done, len(todo))
    return Check(
        name=name,
        root=str(records.images.root),
        images=len(records),
        known=entry.total,
        counts=records.counts(),
        known_counts=dict(zip(entry.classes, entry.counts, strict=True)) if entry.counts else None,
        missing=records.missing,
        unlisted=records.unlisted,
        duplicates=tuple(sorted(tuple(sorted(paths)) for paths in same.values() if len(paths) > 1)),
        unreadable=tuple(sorted(unreadable)),
        split_patients=split_patients(records),
        notes=records.notes,
        overview=overview_of(records),
    )


def split_patients(records: Records) -> tuple[str, ...]:
    """Return the patients with images in more than one of the publisher's splits, sorted."""
    if records.patients is None or records.splits is None:
        return ()
    seen: dict[str, set[str]] = defaultdict(set)
    for patient, split in zip(records.patients.tolist(), records.splits.tolist(), strict=True):
        if patient and split:
            seen[patient].add(split)
    return tuple(sorted(patient for patient, splits in seen.items() if len(splits) > 1))


def _equal_size(records: Published) -> frozenset[str]:
    """Return the paths of files that are as large as another: only these can be copies and need a digest."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in records.ids:
        by_size[(records.images.root / path).stat().st_size].append(path)
    return frozenset(path for paths in by_size.values() if len(paths) > 1 for path in paths)


def _decode_all(root: Path, todo: Sequence[tuple[str, bool]], jobs: int) -> Iterator[list[tuple[str, str, str]]]:
    """Decode in batches on all cores; threads, as Pillow's decoders release the GIL."""
    work = (joblib.delayed(_batch)(root, todo[i : i + BATCH]) for i in range(0, len(todo), BATCH))
    yield from joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")(work)


def _batch(root: Path, todo: Sequence[tuple[str, bool]]) -> list[tuple[str, str, str]]:
    """Return (path, sha256 if needed, why it cannot be decoded) of some images."""
    found = []
    for path, hashed in todo:
        content, reason = b"", ""
        try:
            content = (root / path).read_bytes()
            with Image.open(io.BytesIO(content)) as image:
                image.load()
        # What Pillow's decoders raise on broken files, by format: SyntaxError on PNG chunks, ValueError and
        # EOFError on TIFF tags, DecompressionBombError on impossible sizes.
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            reason = f"{type(error).__name__}: {error}"
        digest = hashlib.sha256(content).hexdigest() if hashed and content else ""
        found.append((path, digest, reason))
    return found
