"""Find a data set on disk, read it, and check its number of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medzoo.core.errors import DataError
from medzoo.data.dataset import Records
from training.datasets.table import DATASETS
from training.readers.common import Published


def folder(name: str, data: Path) -> Path | None:
    """Return the folder of a data set, or ``None`` if there is none.

    An archive unpacked into a folder of its own name (``X/X/...``) is found too.

    Args:
        name: A name in ``DATASETS``.
        data: The folder that holds the data sets.
    """
    for alias in DATASETS[name].folders:
        outer = data / alias
        if outer.is_dir():
            return outer / alias if (outer / alias).is_dir() else outer
    return None


def available(data: Path) -> list[str]:
    """Return the names of the data sets in a folder, in the order of the table."""
    return [name for name in DATASETS if folder(name, data) is not None]


def read(name: str, data: Path) -> Published:
    """Find and read a data set, whatever its number of images (at least one).

    Args:
        name: A name in ``DATASETS``.
        data: The folder that holds the data sets.

    Raises:
        DataError: Its folder does not exist, or cannot be read.
    """
    entry = DATASETS[name]
    root = folder(name, data)
    if root is None:
        raise DataError(
            f"no folder of {name} in {data}; looked for {', '.join(entry.folders)}. Give the folder that holds the"
            f" data sets with --data or MEDZOO_DATA ({entry.homepage} publishes this one)"
        )
    return entry.read(root)


def load(name: str, data: Path, allow_partial: bool = False) -> Records:
    """Read a data set and check its number of images.

    Args:
        name: A name in ``DATASETS``.
        data: The folder that holds the data sets.
        allow_partial: Accept another number of images than the complete set has; recorded in the notes.

    Returns:
        Records in the order of their relative paths.

    Raises:
        DataError: The folder does not exist, cannot be read, or holds another number of images.

    Example:
        >>> load("kather2016", Path("/nowhere"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        medzoo.core.errors.DataError: no folder of kather2016 in /nowhere; looked for Kather_texture_2016_...
    """
    records = read(name, data)
    if records.task != "multilabel" and sum(count > 0 for count in records.counts().values()) < 2:
        only = next(label for label, count in records.counts().items() if count)
        raise DataError(f"{records.images.root}: all {len(records):,} images of {name} are {only!r}; complete the set")
    known, here = DATASETS[name].total, len(records)
    if here == known:
        return records
    if not allow_partial:
        notes = "".join(f"; {note}" for note in records.notes)
        todo = "complete it" if here < known else "remove what does not belong to it"
        raise DataError(
            f"{records.images.root} holds {here:,} images of {name}, the complete set has {known:,}{notes};"
            f" {todo}, or add --allow-partial"
        )
    return replace(records, notes=(f"{here:,} of {known:,} known images", *records.notes))
