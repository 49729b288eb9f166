"""Whatever a user calls a data set -> decoded images with labels, of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError, UnreadableError
from medzoo.core.progress import counting
from medzoo.data.decoding import convert_many, decode_many
from medzoo.data.folders import read_folder
from medzoo.data.geometry import Geometry
from medzoo.data.huggingface import is_dataset, read_dataset
from medzoo.data.image_buffer import picked, room_for
from medzoo.data.labels import check_task, read_labels
from medzoo.data.lazy_records import Labelled
from medzoo.data.records import Records
from medzoo.data.splits import groups_of
from medzoo.data.table_cells import TABLES
from medzoo.data.tables import read_table


@dataclass(frozen=True)
class Examples:
    """Decoded, labelled images.

    Attributes:
        name: What the data set is called.
        images: ``uint8 [N, H, W, C]``, C 1 or 3; may be memory-mapped.
        targets: ``float32 [N, C]`` one-hot or multi-hot, NaN where not labelled.
        classes: Names of the columns of ``targets``.
        task: One of ``medzoo.data.records.TASKS``.
        ids: What each image is called: its relative path, or its number.
        patients: ``str [N]`` or ``None``, as in ``Records``.
        notes: What was left out or assumed, in words.
        splits: ``str [N]`` or ``None``, as in ``Records``: train, val, test or an empty string.
    """

    name: str
    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    ids: tuple[str, ...]
    patients: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = field(default=())
    splits: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def groups(self) -> NDArray[np.str_]:
        """What must not be divided by a split: the patient, or the image where none is known."""
        return groups_of(self.ids, self.patients)

    def patient_groups(self, rows: NDArray[Any] | slice = slice(None)) -> NDArray[np.str_] | None:
        """What intervals resample among some rows: ``groups``, or ``None`` (images) where no patient is known."""
        return None if self.patients is None else self.groups[rows]

    def take(self, rows: NDArray[Any]) -> Examples:
        """The same data set with only some rows (indices or a mask); their images are copied."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            images=picked(self.images, index),
            targets=self.targets[index],
            ids=tuple(self.ids[i] for i in index),
            patients=None if self.patients is None else self.patients[index],
            splits=None if self.splits is None else self.splits[index],
        )

    def counts(self, rows: NDArray[Any] | slice = slice(None)) -> dict[str, int]:
        """Images per class among some rows."""
        totals = np.nansum(self.targets[rows], 0)
        return {name: int(total) for name, total in zip(self.classes, totals, strict=True)}


def load_examples(
    data: Any, geometry: Geometry, task: str | None = None, classes: Sequence[str] | None = None
) -> Examples:
    """Decode a data set of any of the forms a user may have, all images before anything else is done with them.

    Images that do not fit into half of the free memory lie in a temporary file (``medzoo.data.image_buffer``).

    Args:
        data: A folder of class folders; a CSV, TSV or Parquet table with columns ``path`` and ``label`` (and
            ``patient`` and ``split``, where known); what ``medzoo.read_folder``, ``read_table`` or ``read_dataset``
            gives; ``Examples`` (taken as they are); a Hugging Face ``Dataset`` or ``DatasetDict``; a pair
            (images, labels) of arrays or lists; or a torch ``Dataset`` of (image, target).
        geometry: The size images are brought to.
        task: Says what the labels are where they do not tell: ``ordinal`` for grades.
        classes: All classes, in their order, where a model or other data says so already; some may have no image.

    Returns:
        The examples.

    Raises:
        UnreadableError: Images cannot be read: the error lists all of them.
        DataError: There is nothing to learn from, or the labels are not ``classes``.
    """
    data = records_of(data, task, classes)
    if isinstance(data, Examples):
        examples = data
    elif isinstance(data, Records):
        examples = from_records(data, geometry)
    elif isinstance(data, Labelled):
        examples = _from_labelled(data, geometry)
    elif isinstance(data, tuple) and len(data) == 2:
        examples = _from_labelled(_from_pair(*data, task, classes), geometry)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        examples = _from_dataset(data, geometry, task, classes)
    else:
        raise DataError(
            f"a data set of type {type(data).__name__} cannot be read; give a folder of class folders, a CSV or "
            "Parquet table, a torch or Hugging Face Dataset, or a pair (images, labels)"
        )
    return examples if classes is None else aligned(examples, classes)


def records_of(data: Any, task: str | None = None, classes: Sequence[str] | None = None) -> Any:
    """Read the labels of a data set that can tell them without its images; any other comes back as it came.

    Args:
        data: As in ``load_examples``.
        task: As in ``load_examples``.
        classes: As in ``load_examples``.

    Returns:
        ``Records`` for a folder or a table, ``Labelled`` for a Hugging Face data set, else ``data``.

    Raises:
        DataError: The data cannot be read.
    """
    check_task(task)
    if isinstance(data, (str, Path)):
        read = read_table if Path(data).suffix.lower() in TABLES else read_folder
        return read(data, task=task, classes=classes)
    if is_dataset(data):
        return read_dataset(data, task=task, classes=classes)
    return data


def aligned(examples: Examples, classes: Sequence[str]) -> Examples:
    """The same examples with the columns of other classes, of which some may have no image here.

    Args:
        examples: The examples.
        classes: The classes wanted, in their order.

    Raises:
        DataError: The examples have a class that is not among them.
    """
    wanted = tuple(classes)
    if examples.classes == wanted:
        return examples
    strange = [name for name in examples.classes if name not in wanted]
    if strange:
        raise DataError(
            f"{examples.name} has the classes {', '.join(examples.classes)}, expected {', '.join(wanted)};"
            " the names must be the same"
        )
    absent = np.nan if examples.task == "multilabel" else 0.0
    targets = np.full((len(examples), len(wanted)), absent, np.float32)
    targets[:, [wanted.index(name) for name in examples.classes]] = examples.targets
    return replace(examples, targets=targets, classes=wanted)


def from_records(records: Records, geometry: Geometry) -> Examples:
    """Decode the images of a data set on disk.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
    """
    paths = [records.path(i) for i in range(len(records))]
    images = room_for((len(records), geometry.height, geometry.width, geometry.channels))
    with counting(f"decoding {records.name}") as progress:
        rejected = decode_many(paths, geometry, images, progress=progress)
    _refuse(records.name, records.paths, rejected)
    return Examples(
        records.name,
        images,
        records.targets,
        records.classes,
        records.task,
        records.paths,
        records.patients,
        records.notes,
        records.splits,
    )


def _from_labelled(data: Labelled, geometry: Geometry) -> Examples:
    images = _converted(data.name, data.ids, data.images.__getitem__, geometry)
    return Examples(
        data.name, images, data.targets, data.classes, data.task, data.ids, data.patients, data.notes, data.splits
    )


def _from_pair(images: Any, labels: Any, task: str | None, classes: Sequence[str] | None) -> Labelled:
    if len(images) != len(labels):
        raise DataError(f"{len(images)} images came with {len(labels)} labels; give one label an image")
    _check_filled("arrays", len(images))
    found = read_labels(labels, task, classes)
    images = list(images) if hasattr(images, "iloc") else images  # a pandas column counts by its own index
    return Labelled(
        "arrays", images, found.targets, found.classes, found.task, _numbers(len(images)), notes=found.notes
    )


def _from_dataset(data: Any, geometry: Geometry, task: str | None, classes: Sequence[str] | None) -> Examples:
    """A torch data set: each item is asked for once, as that is what decodes its image."""
    name, labels = type(data).__name__, []
    _check_filled(name, len(data))

    def image(index: int) -> Any:
        item = data[index]
        if not isinstance(item, (tuple, list)) or len(item) < 2:
            raise DataError(f"item {index} of the data set is a {type(item).__name__}; expected (image, target)")
        labels.append(item[1])
        return item[0]

    ids = _numbers(len(data))
    images = _converted(name, ids, image, geometry)
    found = read_labels(labels, task, classes, own=getattr(data, "classes", None), where=name)
    return Examples(name, images, found.targets, found.classes, found.task, ids, notes=found.notes)


def _converted(name: str, ids: Sequence[str], fetch: Any, geometry: Geometry) -> NDArray[np.uint8]:
    images = room_for((len(ids), geometry.height, geometry.width, geometry.channels))
    with counting(f"reading {name}") as progress:
        rejected = convert_many(fetch, geometry, images, progress=progress)
    _refuse(name, ids, rejected)
    return images


def _check_filled(name: str, count: int) -> None:
    if not count:
        raise DataError(f"the data set {name} is empty; give at least two images of each of two classes")


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _refuse(name: str, ids: Sequence[str], rejected: Sequence[tuple[int, str]]) -> None:
    if rejected:
        named = "; ".join(reason for _, reason in rejected[:5])
        raise UnreadableError(
            f"{len(rejected):,} of {len(ids):,} images of {name} cannot be read: {named}. Mend or remove them",
            [(ids[index], reason) for index, reason in rejected],
        )
