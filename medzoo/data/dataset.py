"""A labelled set of images: the one type for a folder, a table, arrays and what was decoded of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError, UnreadableError
from medzoo.core.progress import counting
from medzoo.data.decoding import Images, decode_each
from medzoo.data.geometry import Geometry
from medzoo.data.image_buffer import picked, room_for
from medzoo.data.normalize import WHOLE, numbers_note
from medzoo.data.read_options import DEFAULT, ReadOptions
from medzoo.data.splits import groups_of
from medzoo.data.tasks import TASKS

ImagesT = TypeVar("ImagesT", bound=Images, covariant=True)
OtherT = TypeVar("OtherT", bound=Images)


@dataclass(frozen=True, eq=False)
class ImageDataset(Generic[ImagesT]):
    """Images with labels, patients and splits; the images are files, decoded already, or read when asked for.

    Attributes:
        name: The data set's name.
        images: N images: ``Files`` below a folder; a sequence of what ``medzoo.data.image_io.as_array`` takes; or,
            decoded, ``uint8 [N, H, W, C]`` with C 1 or 3, which may be memory-mapped.
        ids: N names: paths relative to the folder with forward slashes, as on every platform, or numbers.
        targets: ``float32 [N, C]``: one-hot for ``binary``, ``multiclass`` and ``ordinal``, multi-hot for
            ``multilabel``; NaN means "not labelled".
        classes: The C label names, in the order of the columns.
        task: One of ``medzoo.data.tasks.TASKS``.
        patients: ``str [N]``, an empty string where the patient is unknown; ``None`` where no patient is known.
        splits: ``str [N]``: train, val, test (the publisher's or user's own split of each image) or an empty string;
            ``None`` where the data set has none.
        notes: What was left out or assumed, in words, for the run record.
        skipped: How many files or rows were left out, by the reason: an ending (``.nii``), ``masks``, ``unreadable``,
            ``uncertain``, ``beside the class folders``, ``copies of the set``; and how many have ``no label``.
        unreadable: (name, reason) of the images, folders and files among these that cannot be read.
        reading: How the images are read.
        columns: Further columns of the user's table, such as sex, age or site: ``str [N]`` by name, an empty string
            where there is no value.
    """

    name: str
    images: ImagesT
    ids: tuple[str, ...]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    patients: NDArray[np.str_] | None = None
    splits: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = field(default=())
    skipped: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = field(default=())
    reading: ReadOptions = field(default=DEFAULT)
    columns: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, c = len(self.ids), len(self.classes)
        if self.task not in TASKS:
            raise DataError(f"data set {self.name}: task {self.task!r} is not one of {', '.join(TASKS)}")
        if self.targets.shape != (n, c):
            raise DataError(f"data set {self.name}: targets are {self.targets.shape}, expected {(n, c)}")
        given = {"images": self.images, "patients": self.patients, "splits": self.splits}
        for what, values in (given | {f"values of {name!r}": column for name, column in self.columns.items()}).items():
            if values is not None and len(values) != n:
                raise DataError(f"data set {self.name}: {len(values)} {what} for {n} ids")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> NDArray[np.int64]:
        """``int64 [N]`` class indices of a data set whose labels exclude one another."""
        if self.task == "multilabel":
            raise DataError(f"data set {self.name} is multi-label: an image has no single class")
        return self.targets.argmax(1)

    @property
    def groups(self) -> NDArray[np.str_]:
        """``str [N]`` what a split must not divide: the patient, or the image where none is known."""
        return groups_of(self.ids, self.patients)

    def patient_groups(self, rows: NDArray[Any] | slice = slice(None)) -> NDArray[np.str_] | None:
        """Return what intervals resample among some rows: ``groups``, or ``None`` where no patient is known."""
        return None if self.patients is None else self.groups[rows]

    def counts(self, rows: NDArray[Any] | slice = slice(None)) -> dict[str, int]:
        """Count the images of each class among some rows."""
        totals = np.nansum(self.targets[rows], 0)
        return {name: int(total) for name, total in zip(self.classes, totals, strict=True)}

    def take(self, rows: Sequence[int] | NDArray[Any]) -> ImageDataset[ImagesT]:
        """Return the same data set with only some rows (indices or a mask), in the order given.

        Decoded images are copied; of others none is read.
        """
        index = np.arange(len(self))[np.asarray(rows)]
        ids = tuple(self.ids[i] for i in index)
        images: Any = self.images
        if isinstance(images, np.ndarray):
            images = picked(images, index)
        else:
            once = isinstance(images, Lazy) and images.once
            images = (
                Files(images.root, ids)
                if isinstance(images, Files)
                else Lazy(images.__getitem__, index.tolist(), once=once)
            )
        return replace(
            self,
            images=images,
            ids=ids,
            targets=self.targets[index],
            patients=None if self.patients is None else self.patients[index],
            splits=None if self.splits is None else self.splits[index],
            columns={name: column[index] for name, column in self.columns.items()},
        )

    def aligned(self, classes: Sequence[str]) -> ImageDataset[ImagesT]:
        """Return the same data set with the columns of other classes, of which some may have no image here.

        Args:
            classes: The classes wanted, in their order. Where none of them is named by a number and the data set's own
                are whole numbers, those count them from 0, and a note says so.

        Raises:
            DataError: The data set has a class that is not among them.
        """
        wanted, own, notes = tuple(classes), self.classes, self.notes
        if own == wanted:
            return self
        if not any(map(WHOLE.fullmatch, wanted)) and all(
            WHOLE.fullmatch(name) and 0 <= int(name) < len(wanted) for name in own
        ):
            mapped = {name: wanted[int(name)] for name in own}
            notes = (*notes, numbers_note(mapped))
            own = tuple(mapped.values())
        if not set(own) <= set(wanted):
            raise DataError(
                f"{self.name} has the classes {', '.join(own)}, expected {', '.join(wanted)};"
                " the names must be the same"
            )
        absent = np.nan if self.task == "multilabel" else 0.0
        targets = np.full((len(self), len(wanted)), absent, np.float32)
        targets[:, [wanted.index(name) for name in own]] = self.targets
        return replace(self, targets=targets, classes=wanted, notes=notes)

    def decode(self, geometry: Geometry) -> Examples:
        """Decode all images at one size; images that are decoded already are taken as they are.

        Images that do not fit into half of the free memory lie in a temporary file (``medzoo.data.image_buffer``).

        Args:
            geometry: The size wanted.

        Returns:
            The data set; without the images that cannot be read where ``reading.skip_unreadable`` says so.

        Raises:
            UnreadableError: Images cannot be read; the error lists all of them.
        """
        if isinstance(self.images, np.ndarray):
            return cast("Examples", self)
        images = room_for((len(self), geometry.height, geometry.width, geometry.channels))
        rejected: list[tuple[int, str]] = []
        for index, (image,) in self.decode_each(geometry, rejected=rejected):
            images[index] = image
        return self.with_images(images).without(rejected)

    def decode_each(
        self, *geometries: Geometry, rejected: list[tuple[int, str]] | None = None
    ) -> Iterator[tuple[int, tuple[NDArray[np.uint8], ...]]]:
        """Decode the images one after the other, each at several sizes from one read.

        Args:
            geometries: The sizes wanted.
            rejected: Where ``reading.skip_unreadable`` says so, (row, reason) of each image that cannot be read is
                appended here instead of an error; not all of them may be such.

        Yields:
            The image's row, and ``uint8 [H, W, C]`` for each geometry.

        Raises:
            UnreadableError: Images cannot be read; the error, at the end, lists all of them.
        """
        skip = rejected is not None and self.reading.skip_unreadable
        bad = [] if rejected is None else rejected
        with counting(f"decoding {self.name}") as progress:
            fast = isinstance(self.images, Files)
            items = decode_each(self.images, *geometries, fast=fast, options=self.reading)
            for done, item in enumerate(items, 1):
                if item.images:
                    yield item.index, item.images
                else:
                    bad.append((item.index, item.reason))
                progress(done, len(self))
        if bad and not (skip and len(bad) < len(self)):
            raise unreadable(self.name, self.ids, bad)

    def without(self, rejected: Sequence[tuple[int, str]]) -> ImageDataset[ImagesT]:
        """Return the data set without the images that cannot be read, with a note.

        Args:
            rejected: (row, reason) of each.
        """
        if not rejected:
            return self
        good = np.ones(len(self), bool)
        good[[row for row, _ in rejected]] = False
        return replace(
            self.take(good),
            notes=(*self.notes, f"{len(rejected):,} images cannot be read and are left out"),
            skipped={**self.skipped, "unreadable": self.skipped.get("unreadable", 0) + len(rejected)},
            unreadable=(*self.unreadable, *((self.ids[row], reason) for row, reason in rejected)),
        )

    def with_images(self, images: OtherT) -> ImageDataset[OtherT]:
        """Return the same rows with their images in another form."""
        return ImageDataset(
            self.name,
            images,
            self.ids,
            self.targets,
            self.classes,
            self.task,
            self.patients,
            self.splits,
            self.notes,
            self.skipped,
            self.unreadable,
            self.reading,
            self.columns,
        )


@dataclass(frozen=True)
class Files(Sequence[Path]):
    """Image files below a folder.

    Attributes:
        root: The folder.
        paths: Relative paths with forward slashes, each once.
    """

    root: Path
    paths: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.paths)) != len(self.paths):
            raise DataError(f"an image of {self.root} is listed twice")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return self.root / self.paths[index]


@dataclass(frozen=True, eq=False)
class Lazy(Sequence[Any]):
    """Images that are read when they are asked for.

    Attributes:
        read: Returns the image of a row.
        rows: The rows, in their order.
        once: Whether an image that is read costs what it cost again: then it is read for training alone.
    """

    read: Callable[[int], Any]
    rows: Sequence[int]
    once: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.read(self.rows[index])


Records: TypeAlias = ImageDataset[Files]  # not decoded: image files below a folder
Examples: TypeAlias = ImageDataset[NDArray[np.uint8]]  # decoded


def unreadable(name: str, ids: Sequence[str], rejected: Sequence[tuple[int, str]]) -> UnreadableError:
    """Make the error that lists all images that cannot be read.

    Args:
        name: The data set's name.
        ids: What its images are called.
        rejected: (row, reason) of each.
    """
    named = "; ".join(reason for _, reason in rejected[:5])
    return UnreadableError(
        f"{len(rejected):,} of {len(ids):,} images of {name} cannot be read: {named}. Mend or remove them",
        [(ids[row], reason) for row, reason in rejected],
    )
