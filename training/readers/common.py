"""Shared by the readers: publishers' CSV files, images by name, and Records from rows."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.core.errors import DataError
from medzoo.data.dataset import Files, ImageDataset
from medzoo.data.scan import image_files


@dataclass(frozen=True, eq=False)
class Published(ImageDataset[Files]):
    """Records of a published data set, with the names that its label tables and its folders do not share.

    Attributes:
        missing: Names in a label table without an image on disk, sorted.
        unlisted: Relative paths of images on disk without a label, sorted.
    """

    missing: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


class ImageRow(NamedTuple):
    """One image: its relative path, the columns of its labels, patient and official split ("" = unknown)."""

    path: str
    labels: tuple[int, ...]
    patient: str = ""
    split: str = ""


def to_records(
    name: str,
    root: Path,
    rows: Iterable[ImageRow],
    classes: tuple[str, ...],
    task: str,
    missing: Iterable[str] = (),
    unlisted: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Published:
    """Make Records of rows, sorted by path.

    Args:
        name: The data set's name.
        root: The folder the rows' paths are relative to.
        rows: At least one image.
        classes: The label names that ``ImageRow.labels`` index.
        task: One of ``medzoo.data.tasks.TASKS``.
        missing: Listed names without an image.
        unlisted: Images without a label.
        notes: What else was left out or assumed; empty strings are dropped.

    Returns:
        Records whose patients or splits are ``None`` if no row has one.

    Raises:
        DataError: There is no row.
    """
    ordered = sorted(rows)
    missing, unlisted = tuple(sorted(missing)), tuple(sorted(unlisted))
    remarks = [
        left_out(unlisted, "images on disk have no label"),
        left_out(missing, "listed images are not on disk"),
        *notes,
    ]
    remarks = [note for note in remarks if note]
    if not ordered:
        raise DataError(
            f"{root}: no image of {name} with a label{''.join(f'; {note}' for note in remarks)}."
            " Unpack the set there as its publisher ships it"
        )
    targets = np.zeros((len(ordered), len(classes)), np.float32)
    for i, row in enumerate(ordered):
        targets[i, list(row.labels)] = 1
    ids = tuple(row.path for row in ordered)
    patients = np.array([row.patient for row in ordered])
    splits = np.array([row.split for row in ordered])
    return Published(
        name=name,
        images=Files(root, ids),
        ids=ids,
        targets=targets,
        classes=classes,
        task=task,
        patients=patients if patients.astype(bool).any() else None,
        splits=splits if splits.astype(bool).any() else None,
        notes=tuple(remarks),
        missing=missing,
        unlisted=unlisted,
    )


def left_out(names: Collection[str], what: str) -> str:
    """Return a note such as ``"2 images on disk have no label (first: a.png)"``; "" for none."""
    return f"{len(names):,} {what} (first: {min(names)})" if names else ""


def by_name(root: Path, folders: Iterable[str], suffixes: frozenset[str], stem: bool = False) -> dict[str, str]:
    """Find images by the name that a label table uses.

    Args:
        root: The data set's folder.
        folders: Folders below it to search, relative to it.
        suffixes: Lower-case endings of images.
        stem: Whether the names are without ending.

    Returns:
        File name (or stem) to path relative to ``root``.

    Raises:
        DataError: Two images have one name.
    """
    found: dict[str, str] = {}
    for folder in folders:
        for below in image_files(root / folder, suffixes):
            path = f"{folder}/{below}"
            name = Path(below).stem if stem else Path(below).name
            if name in found:
                raise DataError(f"{root}: {found[name]} and {path} are the same image; remove one of the copies")
            found[name] = path
    return found


def read_csv(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield some columns of a publisher's CSV file as text.

    Columns are found by their names in the first line; other columns are ignored, so headers with commas inside
    brackets (ChestX-ray14) do no harm behind the wanted columns.

    Args:
        file: The file, UTF-8 with or without a byte order mark.
        columns: The names of the wanted columns: the image's first, which must be unique.

    Yields:
        A tuple for each line, stripped of blanks, in the order of ``columns``; empty lines are skipped.

    Raises:
        DataError: The file is absent or empty, lacks a column, has a line that is too short or
            names an image twice.
    """
    if not file.is_file():
        raise DataError(f"{file} is missing; it holds the labels and is published with the images")
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        lines = csv.reader(stream)
        header = [cell.strip() for cell in next(lines, [])]
        at = column_indices(file, header, columns)
        names: set[str] = set()
        for line in lines:
            if not any(cell.strip() for cell in line):
                continue
            if len(line) <= max(at):
                raise DataError(f"{file}, line {lines.line_num}: {len(line)} cells, expected {len(header)}; correct it")
            row = tuple(line[i].strip() for i in at)
            if row[0] in names:
                raise DataError(f"{file}, line {lines.line_num}: image {row[0]} is listed twice; remove one line")
            names.add(row[0])
            yield row


def column_indices(file: Path, header: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Return the indices of columns in a header.

    Raises:
        DataError: A column is missing.
    """
    for column in columns:
        if column not in header:
            raise DataError(
                f"{file} has no column {column!r}; it has {', '.join(header) or 'none'}. Get the published file again"
            )
    return [header.index(column) for column in columns]


def grade(file: Path, image: str, text: str, classes: int) -> int:
    """Parse a grade 0 to ``classes - 1``, also when written as ``2.0``.

    Raises:
        DataError: The text is not such a grade.
    """
    value = text.removesuffix(".0")
    if not (value.isascii() and value.isdigit() and int(value) < classes):
        raise DataError(f"{file}: image {image} has grade {text!r}, expected 0 to {classes - 1}; correct the row")
    return int(value)
