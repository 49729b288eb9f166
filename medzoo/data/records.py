"""A data set before its images are decoded: paths, labels, patients and official split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError

TASKS = ("binary", "multiclass", "ordinal", "multilabel")
# The splits, and what else they are called in folders, tables and the parts of a data set.
SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class Records:
    """The images of one data set, in the order of their relative paths.

    Attributes:
        name: The data set's name.
        root: The folder that ``paths`` are relative to.
        paths: Relative paths with forward slashes, as on every platform.
        targets: ``float32 [N, C]``: one-hot for ``binary``, ``multiclass`` and ``ordinal``,
            multi-hot for ``multilabel``; NaN means "not labelled".
        classes: The C label names, in the order of the columns.
        task: One of ``medzoo.data.records.TASKS``.
        patients: ``str [N]``, an empty string where the patient is unknown; ``None`` where the
            data set knows none.
        splits: ``str [N]``, the publisher's or user's own split of each image, an empty string where it has
            none; ``None`` where the data set has none.
        notes: What a reader left out or assumed, in words, for the run record.
    """

    name: str
    root: Path
    paths: tuple[str, ...]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    patients: NDArray[np.str_] | None = None
    splits: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n, c = len(self.paths), len(self.classes)
        if self.task not in TASKS:
            raise DataError(f"data set {self.name}: task {self.task!r} is not one of {', '.join(TASKS)}")
        if self.targets.shape != (n, c):
            raise DataError(f"data set {self.name}: targets are {self.targets.shape}, expected {(n, c)}")
        for what, values in (("patients", self.patients), ("splits", self.splits)):
            if values is not None and len(values) != n:
                raise DataError(f"data set {self.name}: {len(values)} {what} for {n} images")
        if len(set(self.paths)) != n:
            raise DataError(f"data set {self.name}: an image is listed twice")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def labels(self) -> NDArray[np.int64]:
        """``int64 [N]`` class indices of a data set whose labels exclude one another."""
        if self.task == "multilabel":
            raise DataError(f"data set {self.name} is multi-label: an image has no single class")
        return self.targets.argmax(1)

    @property
    def counts(self) -> dict[str, int]:
        """Images per label."""
        return {name: int(total) for name, total in zip(self.classes, np.nansum(self.targets, 0), strict=True)}

    def path(self, index: int) -> Path:
        """Where one image lies on disk."""
        return self.root / self.paths[index]

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Records:
        """The same data set with only some rows (indices or a mask), in the order given."""
        index = np.arange(len(self))[np.asarray(rows)]
        return replace(
            self,
            paths=tuple(self.paths[i] for i in index),
            targets=self.targets[index],
            patients=None if self.patients is None else self.patients[index],
            splits=None if self.splits is None else self.splits[index],
        )


def one_hot(labels: Sequence[int] | NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Class indices as ``float32 [N, classes]``.

    Example:
        >>> one_hot([1, 0], 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    return np.eye(classes, dtype=np.float32)[np.asarray(labels, dtype=np.int64)]


def split_of(name: str) -> str:
    """``train``, ``val`` or ``test`` for any of their names, an empty string for anything else.

    Example:
        >>> split_of("Validation"), split_of("fold 1")
        ('val', '')
    """
    return next((split for split, names in SPLITS.items() if name.strip().lower() in names), "")
