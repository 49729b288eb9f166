"""The content hashes of whatever a user calls a data set, each of a whole image at one size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.perceptual_hash import LENGTH, image_hash, image_hashes
from medzoo.core.errors import DataError, UnreadableError
from medzoo.core.progress import counting
from medzoo.data.dataset import Examples, records_of
from medzoo.data.decoding import decode_each
from medzoo.data.folders import image_files
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import as_array
from medzoo.data.lazy_records import Labelled
from medzoo.data.records import Records
from medzoo.data.table_cells import TABLES

# Every hash that is compared with another is taken of this: the whole image, never a crop, whatever size and crop a
# network is fed. The same file then gives the same pixels here and where the weight was made.
FRAME = Geometry(224, 224, "squash", 3)


@dataclass(frozen=True, eq=False)
class Frames:
    """The hashed images of one data set.

    Attributes:
        names: What each image is called: its relative path, or its number.
        hashes: ``uint8 [N, 48]``, see ``medzoo.contamination.perceptual_hash.image_hash``.
        patients: N ids prefixed with the data set they are from, empty where unknown; ``None`` where none is known.
    """

    names: tuple[str, ...]
    hashes: NDArray[np.uint8]
    patients: list[str] | None


def frames_of(data: Any) -> Frames:
    """Hash the images of a data set in any form.

    Labels are not needed: of a folder every image below it is hashed, and a list of images will do. A torch ``Dataset``
    is taken as it gives its images, so one that crops or turns them hides copies, and so do ``Examples`` that were
    decoded with a centre crop.

    Args:
        data: A folder, a list of images, or anything else that ``medzoo.data.dataset.load_examples`` takes.

    Returns:
        The hashes, in the order of the data (a folder's and a table's: of the paths).

    Raises:
        DataError: There is no image, or one cannot be read; the first few are named.
    """
    if isinstance(data, (str, Path)) and Path(data).suffix.lower() not in TABLES:
        root = Path(data)
        if not root.is_dir():
            raise DataError(f"no folder {root}; give a folder of images, or a CSV, TSV or Parquet table")
        names = tuple(image_files(root))
        return Frames(names, file_hashes(root.name, [root / name for name in names]), None)
    data = records_of(data)
    if isinstance(data, Records):
        hashes = file_hashes(data.name, [data.path(i) for i in range(len(data))])
        return Frames(data.paths, hashes, named_patients(data.name, data.patients))
    if isinstance(data, Examples):
        return Frames(data.ids, array_hashes(data.images), named_patients(data.name, data.patients))
    if isinstance(data, Labelled):
        return Frames(data.ids, array_hashes(data.images), named_patients(data.name, data.patients))
    images = data[0] if isinstance(data, tuple) and len(data) == 2 else _Images(data)
    return Frames(tuple(map(str, range(len(images)))), array_hashes(images), None)


def named_patients(dataset: str, patients: Sequence[str] | NDArray[np.str_] | None) -> list[str] | None:
    """Patient ids with the name of the data set that gave them; an id that has a name already keeps it.

    So a table can say that an image shows patient 5288 of another data set: ``chestxray14:5288``.

    Example:
        >>> named_patients("mine", ["7", "", "chestxray14:5288"])
        ['mine:7', '', 'chestxray14:5288']
    """
    if patients is None:
        return None
    return [patient if ":" in patient or not patient else f"{dataset}:{patient}" for patient in map(str, patients)]


def file_hashes(name: str, paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Hash image files on all cores, a bounded number of images in memory.

    Args:
        name: What the data set is called.
        paths: N image files.

    Returns:
        ``uint8 [N, 48]``.

    Raises:
        DataError: There is no file, or one cannot be read.
    """
    if not paths:
        raise DataError(f"the data set {name} holds no image; give a folder with images below it")
    rejected: list[tuple[str, str]] = []

    def pixels() -> Iterator[NDArray[np.uint8]]:
        with counting(f"hashing {name}") as progress:
            for done, item in enumerate(decode_each(paths, FRAME), 1):
                if item.image is None:
                    rejected.append((str(paths[item.index]), item.reason))
                else:
                    yield item.image
                progress(done, len(paths))

    hashes = image_hashes(pixels())
    if rejected:
        named = "; ".join(reason for _, reason in rejected[:5])
        raise UnreadableError(
            f"{len(rejected)} of {len(paths)} images of {name} cannot be read: {named}. Mend or remove them", rejected
        )
    return hashes


def array_hashes(images: Sequence[Any] | NDArray[Any]) -> NDArray[np.uint8]:
    """Hash images in memory, or memory-mapped, one at a time.

    Args:
        images: N images in any form that ``medzoo.data.image_io.as_array`` takes.

    Returns:
        ``uint8 [N, 48]``.

    Raises:
        DataError: There is no image.
    """
    if not len(images):
        raise DataError("the data set is empty; give at least one image")
    rows = np.empty((len(images), LENGTH), np.uint8)
    with counting("hashing") as progress:
        for index in range(len(images)):
            rows[index] = image_hash(as_array(images[index], FRAME))
            progress(index + 1, len(images))
    return rows


class _Images(Sequence[Any]):
    """The images of a torch ``Dataset`` of (image, target), or of a list of images without labels."""

    def __init__(self, data: Any) -> None:
        if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
            raise DataError(
                f"a data set of type {type(data).__name__} cannot be read; give a folder, a CSV, TSV or Parquet table, "
                "a torch Dataset of (image, target), a pair (images, labels), or a list of images"
            )
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: Any) -> Any:
        item = self._data[index]
        return item[0] if isinstance(item, (tuple, list)) else item
