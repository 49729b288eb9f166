"""Whatever a user calls a data set -> decoded images with labels, of one size, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.decode import decode_many
from medzoo.errors import DataError
from medzoo.geometry import Geometry
from medzoo.images import as_array
from medzoo.progress import bar, counting
from medzoo.records import TASKS, Records, one_hot
from medzoo.splits import groups_of
from medzoo.table import unknown
from medzoo.userdata import TABLES, read_folder, read_table, table_columns

PATIENT = "patient"  # the column of a table that holds patient ids, where there is one


@dataclass(frozen=True)
class Examples:
    """Decoded, labelled images.

    Attributes:
        name: What the data set is called.
        images: ``uint8 [N, H, W, C]``, C 1 or 3; may be memory-mapped.
        targets: ``float32 [N, C]`` one-hot or multi-hot, NaN where not labelled.
        classes: Names of the columns of ``targets``.
        task: One of ``medzoo.records.TASKS``.
        ids: What each image is called: its relative path, or its number.
        patients: ``str [N]`` or ``None``, as in ``Records``.
        notes: What was left out or assumed, in words.
    """

    name: str
    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    ids: tuple[str, ...]
    patients: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def groups(self) -> NDArray[np.str_]:
        """What must not be divided by a split: the patient, or the image where none is known."""
        return groups_of(self.ids, self.patients)

    def take(self, rows: NDArray[Any]) -> Examples:
        """The same data set with only some rows (indices or a mask); their images are copied into memory."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            images=self.images[index],
            targets=self.targets[index],
            ids=tuple(self.ids[i] for i in index),
            patients=None if self.patients is None else self.patients[index],
        )

    def counts(self, rows: NDArray[Any] | slice = slice(None)) -> dict[str, int]:
        """Images per class among some rows."""
        totals = np.nansum(self.targets[rows], 0)
        return {name: int(total) for name, total in zip(self.classes, totals, strict=True)}


def load_examples(data: Any, geometry: Geometry, task: str | None = None) -> Examples:
    """Decode a data set of any of the forms a user may have.

    Args:
        data: A folder of class folders; a CSV or Parquet table with columns ``path`` and ``label`` (and
            ``patient``, where known); ``Records``; ``Examples`` (taken as they are); a pair (images,
            labels) of arrays or lists; or a torch ``Dataset`` of (image, target).
        geometry: The size images are brought to.
        task: Says what the labels are where they do not tell: ``ordinal`` for grades.

    Returns:
        The examples.

    Raises:
        DataError: There is nothing to learn from, or an image cannot be read; each one is named.
    """
    data = records_of(data, task)
    if isinstance(data, Examples):
        return data
    if isinstance(data, Records):
        return from_records(data, geometry)
    if isinstance(data, tuple) and len(data) == 2:
        return _from_pairs("arrays", data[0], data[1], geometry, task)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _from_dataset(data, geometry, task)
    raise DataError(
        f"a data set of type {type(data).__name__} cannot be read; give a folder of class folders, a CSV or Parquet "
        "table, a torch Dataset of (image, target), or a pair (images, labels)"
    )


def records_of(data: Any, task: str | None = None) -> Any:
    """Read the labels of a data set on disk, without its images; data of another form comes back as it came.

    Args:
        data: As in ``load_examples``.
        task: As in ``load_examples``.

    Returns:
        ``Records`` for a folder or a table, else ``data``.

    Raises:
        DataError: The folder or table cannot be read.
    """
    if not isinstance(data, (str, Path)):
        return data
    path = Path(data)
    if path.suffix.lower() not in TABLES:
        return read_folder(path, task=task)
    return read_table(path, patient=PATIENT if PATIENT in table_columns(path) else None, task=task)


def from_records(records: Records, geometry: Geometry) -> Examples:
    """Decode the images of a data set on disk into memory.

    Raises:
        DataError: Images cannot be read: the first few are named, and how many there are.
    """
    images = np.empty((len(records), geometry.height, geometry.width, geometry.channels), np.uint8)
    paths = [records.path(i) for i in range(len(records))]
    with counting(f"decoding {records.name}") as progress:
        rejected = decode_many(paths, geometry, images, progress=progress)
    if rejected:
        named = "; ".join(reason for _, reason in rejected[:5])
        raise DataError(
            f"{len(rejected)} of {len(records)} images of {records.name} cannot be read: {named}. Mend or remove them"
        )
    own = () if records.splits is None else sorted(set(records.splits) - {""})
    note = (f"The data set's own split ({', '.join(own)}) is not used.",) if own else ()
    return Examples(
        records.name,
        images,
        records.targets,
        records.classes,
        records.task,
        records.paths,
        records.patients,
        records.notes + note,
    )


def _from_dataset(data: Any, geometry: Geometry, task: str | None) -> Examples:
    images, labels = [], []
    with bar("reading the data set", len(data)) as advance:
        for index in range(len(data)):
            item = data[index]
            if not isinstance(item, (tuple, list)) or len(item) < 2:
                raise DataError(f"item {index} of the data set is a {type(item).__name__}; expected (image, target)")
            images.append(as_array(item[0], geometry))
            labels.append(item[1])
            advance(1, "")
    classes = getattr(data, "classes", None)
    return _examples(type(data).__name__, images, labels, task, classes)


def _from_pairs(name: str, images: Any, labels: Any, geometry: Geometry, task: str | None) -> Examples:
    if len(images) != len(labels):
        raise DataError(f"{len(images)} images came with {len(labels)} labels; give one label an image")
    with bar("reading the images", len(images)) as advance:
        arrays = []
        for image in images:
            arrays.append(as_array(image, geometry))
            advance(1, "")
    return _examples(name, arrays, labels, task, None)


def _examples(name: str, images: list[Any], labels: Any, task: str | None, classes: Sequence[str] | None) -> Examples:
    if not images:
        raise DataError(f"the data set {name} is empty; give at least two images of each of two classes")
    targets, names, found = read_labels(labels, task, classes)
    ids = tuple(str(i) for i in range(len(images)))
    return Examples(name, np.stack(images), targets, names, found, ids)


def read_labels(
    labels: Any, task: str | None = None, classes: Sequence[str] | None = None
) -> tuple[NDArray[np.float32], tuple[str, ...], str]:
    """Find out what a list of labels means.

    Args:
        labels: N class numbers or names, or an array ``[N, C]`` of 0, 1 and NaN (multi-label).
        task: Overrides what the labels look like.
        classes: Names for the class numbers.

    Returns:
        Targets ``float32 [N, C]``, the class names, the task.

    Raises:
        DataError: The labels are of no known form or all alike, or do not fit the task.

    Example:
        >>> read_labels(["cat", "dog", "cat"])[1:]
        (('cat', 'dog'), 'binary')
    """
    listed = [np.asarray(label).tolist() for label in labels]
    if len({len(label) if isinstance(label, list) else 0 for label in listed}) > 1:
        raise DataError("the labels have different lengths; give one class an image, or rows of 0, 1 and NaN")
    values = np.array(listed)
    if task is not None and task not in TASKS:
        raise DataError(unknown("task", task, TASKS))
    if values.ndim == 2:
        hot = values.astype(np.float32)
        if not np.isin(hot[~np.isnan(hot)], (0, 1)).all():
            raise DataError("multi-label targets may hold 0, 1 and NaN (not labelled) only")
        names = tuple(map(str, classes or range(hot.shape[1])))
        return hot, names, "multilabel"
    if values.ndim != 1 or values.dtype.kind not in "iubUS":
        raise DataError(
            f"labels of shape {values.shape} and type {values.dtype} are of no known form; give class "
            "numbers or names, or an array [N, C] of 0, 1 and NaN"
        )
    present, index = np.unique(values, return_inverse=True)
    if len(present) < 2:
        raise DataError(f"all {len(values)} labels are {str(present[0])!r}; at least two classes are needed")
    if classes is not None and values.dtype.kind in "iu" and present.min() >= 0 and present.max() < len(classes):
        index, names = values.astype(np.int64), tuple(map(str, classes))
    else:
        names = tuple(map(str, present.tolist()))
    fitting = ("binary",) if len(names) == 2 else ("multiclass", "ordinal")
    if task is not None and task not in fitting:
        raise DataError(f"task {task!r} does not fit {len(names)} classes; allowed: {' or '.join(fitting)}")
    if task == "ordinal" and values.dtype.kind not in "iu":
        raise DataError(f"grades are {', '.join(names)}; an ordinal task needs the numbers 0, 1, 2, ... in their order")
    return one_hot(index, len(names)), names, task or fitting[0]
