"""Whatever a user calls a data set -> one ``ImageDataset``, whose images are not decoded yet."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from medzoo.core.errors import DataError
from medzoo.core.progress import counting
from medzoo.data import image_buffer
from medzoo.data.columns import WantedColumns, check_present, named_columns, read_columns
from medzoo.data.dataset import Files, ImageDataset, Lazy, OtherT, unreadable
from medzoo.data.decoding import UNREADABLE, Images
from medzoo.data.folders import read_folder
from medzoo.data.huggingface import is_dataset, read_dataset
from medzoo.data.labels import check_task, read_labels
from medzoo.data.read_options import DEFAULT, ReadOptions
from medzoo.data.scan import left_out, refuse_unreadable, scan
from medzoo.data.table_cells import TABLES
from medzoo.data.tables import read_table


def open_dataset(
    data: Any,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    reading: ReadOptions = DEFAULT,
    columns: WantedColumns = (),
) -> ImageDataset[Images]:
    """Open a data set of any of the forms a user may have: its labels are read, its images are not decoded.

    Args:
        data: A folder of class folders; a CSV, TSV or Parquet table with columns ``path`` and ``label`` (and
            ``patient`` and ``split``, where known), or a pandas frame like it; an ``ImageDataset``, as
            ``medzoo.read_folder``, ``read_table`` and ``read_dataset`` return it (taken as it is); a Hugging Face
            ``Dataset`` or ``DatasetDict``; a pair (images, labels) of arrays or lists; or a torch ``Dataset`` of
            (image, target), whose items are read here, as nothing else tells their labels.
        task: Says what the labels are where they do not tell: ``ordinal`` for grades.
        classes: All classes, in their order, where a model or other data says so already; some may have no image.
        reading: How the images are read; by default as an ``ImageDataset`` says, if it is one.
        columns: Further columns that are to travel with the images: names of the table's (of a folder's: those of a
            table in it), or a mapping from names to N values in the order of the images.

    Returns:
        The data set; its ``decode(geometry)`` returns it with decoded images.

    Raises:
        UnreadableError: Items of a torch ``Dataset`` cannot be read: the error lists all of them.
        DataError: The data cannot be read, there is nothing to learn from, or the labels are not ``classes``.

    Example:
        >>> found = open_dataset((np.zeros((2, 40, 40), np.uint8), ["cat", "dog"]))
        >>> found.classes, found.counts(), open_dataset(found) is found
        (('cat', 'dog'), {'cat': 1, 'dog': 1}, True)
    """
    check_task(task)
    found: ImageDataset[Images]
    names = () if isinstance(columns, Mapping) else named_columns(columns)
    common: dict[str, Any] = {"task": task, "classes": classes, "columns": names}
    if isinstance(data, ImageDataset):
        found = data
    elif isinstance(data, (str, Path)):
        read = read_table if _is_table(data) else read_folder
        found = read(data, **common, skip_unreadable=reading.skip_unreadable)
    elif isinstance(data, pd.DataFrame):
        found = read_table(data, **common, skip_unreadable=reading.skip_unreadable)
    elif is_dataset(data):
        found = read_dataset(data, **common)
    elif isinstance(data, tuple) and len(data) == 2:
        found = _pair(*data, task, classes)
    elif _is_sequence(data):
        found = _torch_dataset(data, task, classes)
    else:
        raise DataError(
            f"a data set of type {type(data).__name__} cannot be read; give a folder of class folders, a CSV or "
            "Parquet table, a torch or Hugging Face Dataset, or a pair (images, labels)"
        )
    found = found if reading == DEFAULT else replace(found, reading=reading)
    found = found if classes is None else found.aligned(classes)
    if isinstance(columns, Mapping):
        further, notes = read_columns(columns)
        return replace(found, columns={**found.columns, **further}, notes=(*found.notes, *notes))
    check_present(found.name, found.columns, names)
    return found


def open_images(data: Any, reading: ReadOptions = DEFAULT) -> ImageDataset[Images]:
    """Open a data set whose labels are not needed.

    Args:
        data: As in ``open_dataset``; of a folder every image below it is taken, and a list of images will do.
        reading: As in ``open_dataset``.

    Returns:
        The data set, without classes where its labels were not read.

    Raises:
        DataError: There is no image, or the data cannot be read.
    """
    if isinstance(data, (ImageDataset, pd.DataFrame)) or is_dataset(data):
        return open_dataset(data, reading=reading)
    if isinstance(data, (str, Path)):
        if _is_table(data):
            return open_dataset(data, reading=reading)
        root = Path(data)
        if not root.is_dir():
            raise DataError(f"no folder {root}; give a folder of images, or a CSV, TSV or Parquet table")
        found = images_below(root, reading)
        if not len(found):
            raise DataError(f"the data set {root.name} holds no image; give a folder with images below it")
        return found
    if _is_sequence(data):
        pair = isinstance(data, tuple) and len(data) == 2
        images = _lazy(data[0]) if pair else Lazy(lambda row: _image_of(data[row]), range(len(data)), once=True)
        if not len(images):
            raise DataError("the data set is empty; give at least one image")
        return without_labels(type(data).__name__, images, _numbers(len(images)), reading)
    raise DataError(
        f"a data set of type {type(data).__name__} cannot be read; give a folder, a CSV, TSV or Parquet table, "
        "a torch Dataset of (image, target), a pair (images, labels), or a list of images"
    )


def images_below(root: Path, reading: ReadOptions = DEFAULT) -> ImageDataset[Files]:
    """Open all images below a folder, which may be none, without labels.

    Args:
        root: The folder.
        reading: How they are read.

    Raises:
        UnreadableError: A folder below cannot be opened, and is not to be skipped.
    """
    found = scan(root)
    if not reading.skip_unreadable:
        refuse_unreadable(root, found)
    skipped = {**found.skipped, **({"unreadable": len(found.unreadable)} if found.unreadable else {})}
    opened = without_labels(root.resolve().name, Files(root, found.images), found.images, reading)
    return replace(opened, skipped=skipped, unreadable=found.unreadable, notes=left_out(found.skipped))


def without_labels(
    name: str, images: OtherT, ids: tuple[str, ...], reading: ReadOptions = DEFAULT
) -> ImageDataset[OtherT]:
    """Return images of which no label is known as a data set.

    Args:
        name: The data set's name.
        images: N images.
        ids: N names.
        reading: How they are read.
    """
    return ImageDataset(name, images, ids, np.empty((len(ids), 0), np.float32), (), "multilabel", reading=reading)


def _pair(images: Any, labels: Any, task: str | None, classes: Sequence[str] | None) -> ImageDataset[Images]:
    if len(images) != len(labels):
        raise DataError(f"{len(images)} images came with {len(labels)} labels; give one label an image")
    _check_filled("arrays", len(images))
    found = read_labels(labels, task, classes)
    return ImageDataset(
        "arrays", _lazy(images), _numbers(len(images)), found.targets, found.classes, found.task, notes=found.notes
    )


def _torch_dataset(data: Any, task: str | None, classes: Sequence[str] | None) -> ImageDataset[Images]:
    name = type(data).__name__
    _check_filled(name, len(data))
    items = _Items(data, name)
    found = read_labels(items.labels, task, classes, own=getattr(data, "classes", None), where=name)
    images = Lazy(items.image, range(len(data)), once=True)
    return ImageDataset(name, images, _numbers(len(data)), found.targets, found.classes, found.task, notes=found.notes)


class _Items:
    """The items of a torch ``Dataset``, read for their labels; half of the free memory keeps images until asked."""

    def __init__(self, data: Any, name: str) -> None:
        self._data = data
        self._kept: dict[int, Any] = {}
        self.labels: list[Any] = []
        rejected: list[tuple[int, str]] = []
        room = image_buffer.SHARE * image_buffer.free_memory()
        with counting(f"reading {name}") as progress:
            for row in range(len(data)):
                try:
                    image, label = self._item(row)
                    room -= _size(image)
                except UNREADABLE as error:
                    rejected.append((row, f"image {row}: {error}"))
                else:
                    self.labels.append(label)
                    if room >= 0:
                        self._kept[row] = image
                progress(row + 1, len(data))
        if rejected:
            raise unreadable(name, _numbers(len(data)), rejected)

    def image(self, row: int) -> Any:
        """Hand out an image; what was not kept, or is asked for again, is read again."""
        return self._kept.pop(row) if row in self._kept else self._item(row)[0]

    def _item(self, row: int) -> Any:
        item = self._data[row]
        if not isinstance(item, (tuple, list)) or len(item) < 2:
            raise DataError(f"item {row} of the data set is a {type(item).__name__}; expected (image, target)")
        return item[:2]


def _size(image: Any) -> int:
    """Bytes of an image in memory; a PIL image is loaded, so that no file stays open."""
    if isinstance(image, Image.Image):
        image.load()
        return image.width * image.height * 4
    return int(getattr(image, "nbytes", sys.getsizeof(image)))


def _lazy(images: Any) -> Lazy:
    """The images of a user's array or list: they are not decoded, whatever their size."""
    images = list(images) if hasattr(images, "iloc") else images  # a pandas column counts by its own index
    return Lazy(images.__getitem__, range(len(images)))


def _image_of(item: Any) -> Any:
    return item[0] if isinstance(item, (tuple, list)) else item


def _is_table(data: str | Path) -> bool:
    return Path(data).suffix.lower() in TABLES


def _is_sequence(data: Any) -> bool:
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")


def _check_filled(name: str, count: int) -> None:
    if not count:
        raise DataError(f"the data set {name} is empty; give at least two images of each of two classes")


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))
