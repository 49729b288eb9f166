"""The images of a pretraining run: data sets -> caches -> joined images, targets and splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.data.splits import holdout
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.loader import ImageArray
from medzoo.zoo.sources import SOURCES, Source
from training.cache.load import prepared
from training.cache.prepare import Cache
from training.datasets import DATASETS
from training.pretraining.recipes import Recipe


@dataclass(frozen=True)
class Slice:
    """One data set within a corpus.

    Attributes:
        source: The single-area source it belongs to.
        cache: Its decoded images.
        first: Index of its first image in the corpus.
        notes: What its reader left out or assumed.
        total: Images of the complete set.
    """

    source: Source
    cache: Cache
    first: int
    notes: tuple[str, ...]
    total: int

    @property
    def rows(self) -> slice:
        """The indices of its images in the corpus."""
        return slice(self.first, self.first + len(self.cache))


@dataclass(frozen=True)
class Corpus:
    """All images of one pretraining run.

    Attributes:
        source: What is pretrained on: one area, or the aggregate.
        slices: The data sets, in order.
        targets: ``float32 [N, labels]`` over all images.
        held_out: ``bool [N]``, the validation images.
    """

    source: Source
    slices: tuple[Slice, ...]
    targets: NDArray[np.float32]
    held_out: NDArray[np.bool_]

    @property
    def members(self) -> list[Source]:
        """The single-area sources, in order."""
        return [SOURCES[name] for name in self.source.members]

    def of(self, member: Source) -> NDArray[np.bool_]:
        """Return the images of one source, ``bool [N]``."""
        mask = np.zeros(len(self.held_out), bool)
        for part in self.slices:
            if part.source is member:
                mask[part.rows] = True
        return mask

    def parts(self, recipe: Recipe) -> list[ImageArray]:
        """Return the images with their augmentation, for ``medzoo.engine.loader.Loader``."""
        return [ImageArray(s.cache.images, AUGMENTS[recipe.augment[s.source.name]]) for s in self.slices]

    def columns(self, source: Source) -> slice:
        """Return the columns of a source's labels in the targets."""
        start = self.source.labels.index(source.labels[0])
        return slice(start, start + len(source.labels))

    def describe(self) -> list[dict[str, Any]]:
        """Return counts and fingerprints of every data set, for the run record."""
        return [self._describe(part) for part in self.slices]

    def _describe(self, part: Slice) -> dict[str, Any]:
        held_out, targets = self.held_out[part.rows], part.cache.targets
        patients = part.cache.patients

        def side(rows: NDArray[np.bool_]) -> dict[str, Any]:
            counts = np.nansum(targets[rows], 0).astype(int).tolist()
            known = None if patients is None else len(set(patients[rows]) - {""})
            return {
                "images": int(rows.sum()),
                "patients": known,
                "counts": dict(zip(part.cache.classes, counts, strict=True)),
            }

        return {
            "name": part.cache.name,
            "source": part.source.name,
            "images": len(part.cache),
            "of": part.total,
            "rejected": part.cache.manifest["rejected"],
            "fingerprint": part.cache.folder.name,
            "split": "by patient" if patients is not None else "by image: no patients are known",
            "train": side(~held_out),
            "valid": side(held_out),
            "notes": list(part.notes),
            "terms": DATASETS[part.cache.name].terms,
        }


def gather(
    source: Source,
    data: Path,
    caches: Path,
    recipe: Recipe,
    *,
    size: int = 224,
    limit: int | None = None,
    allow_partial: bool = False,
    max_rejected: int = 0,
    sets: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> Corpus:
    """Prepare all data sets of a source and join them.

    Args:
        source: What to pretrain on.
        data: The folder that holds the data sets.
        caches: The folder that holds the caches.
        recipe: Decides how absent labels count and how much is held out.
        size: Short side in pixels.
        limit: At most so many images of each data set.
        allow_partial: Accept incomplete data sets.
        max_rejected: How many unreadable images of a data set may be left out.
        sets: For a source, the data sets to use instead of its own.
        seed: Of the split.

    Raises:
        DataError: A data set is missing, incomplete or unreadable.
    """
    found = []
    for member in (SOURCES[name] for name in source.members):
        for name in (sets or {}).get(member.name, member.datasets):
            cache, notes = prepared(
                name, data, caches, size=size, limit=limit, allow_partial=allow_partial, max_rejected=max_rejected
            )
            found.append((member, cache, notes))
    return join_caches(source, found, recipe, seed)


def join_caches(
    source: Source, caches: Iterable[tuple[Source, Cache, tuple[str, ...]]], recipe: Recipe, seed: int = 0
) -> Corpus:
    """Join prepared data sets.

    Args:
        source: What to pretrain on.
        caches: Of each data set the single-area source it belongs to, its images and its reader's notes.
        recipe: Decides how absent labels count and how much is held out.
        seed: Of the split.
    """
    slices: list[Slice] = []
    targets, held_out, first = [], [], 0
    for member, cache, notes in caches:
        slices.append(Slice(member, cache, first, notes, DATASETS[cache.name].total))
        targets.append(_widened(cache.targets, member, source, recipe))
        held_out.append(holdout(cache.targets, cache.groups, recipe.valid, seed))
        first += len(cache)
    return Corpus(source, tuple(slices), np.concatenate(targets), np.concatenate(held_out))


def _widened(targets: NDArray[np.float32], member: Source, source: Source, recipe: Recipe) -> NDArray[np.float32]:
    """Expand a data set's targets to all labels of the corpus."""
    if member is source:
        return targets
    wide = np.full((len(targets), len(source.labels)), 0.0 if recipe.absent == "zero" else np.nan, np.float32)
    start = source.labels.index(member.labels[0])
    wide[:, start : start + len(member.labels)] = targets
    return wide
