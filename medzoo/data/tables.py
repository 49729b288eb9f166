"""A table of images: one line an image, with its path, labels and, where known, patient and split."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError, UnreadableError
from medzoo.core.registry import unknown
from medzoo.data.dataset import Files, ImageDataset, Records
from medzoo.data.labels import exclusive, marks
from medzoo.data.splits import split_of
from medzoo.data.table_cells import read_cells

# Columns that are used without being named, compared without case, blanks, "_" and "-".
PATIENTS = ("patient", "patientid", "subject", "subjectid")
SPLIT_COLUMNS = ("split",)


def read_table(
    file: str | Path,
    root: str | Path | None = None,
    *,
    path: str = "path",
    label: str | Sequence[str] = "label",
    patient: str | None = None,
    split: str | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
) -> Records:
    """Read a CSV, TSV or Parquet table of images, which any function that takes data takes then.

    Args:
        file: The table, one line an image.
        root: The folder that the paths are relative to; by default the table's.
        path: The column of paths: relative to ``root``, or absolute and below it.
        label: The column of class names; or several columns of 1, 0 and empty (not labelled), which
            make the set multi-label.
        patient: The column of patient ids; images of one patient are never split. By default a column named
            ``patient``, ``patient_id``, ``subject`` or ``subject_id``, where there is one; ``""`` for none.
        split: The column of your own split: train, val(id) and test in any spelling, or empty. By default a column
            named ``split``, where there is one; ``""`` for none.
        task: ``"ordinal"`` for grades 0, 1, ..., K - 1; by default ``"binary"`` for two classes, else
            ``"multiclass"``.
        classes: All classes, in their order (grades with names: from the mildest); by default those in the column.

    Returns:
        A data set named after the table, sorted by path.

    Raises:
        DataError: The file or a column is missing, an image is not on disk or listed twice, a label is
            empty or unknown, or there is one class only.

    Example:
        >>> read_table("labels.ods")
        Traceback (most recent call last):
        medzoo.core.errors.DataError: labels.ods is no table that can be read; expected .csv, .tsv or .parquet
    """
    file = Path(file)
    root = file.parent if root is None else Path(root)
    cells = read_cells(file)
    labels = [label] if isinstance(label, str) else list(label)
    patient = matching_column(cells, PATIENTS) if patient is None else patient
    found_split = matching_column(cells, SPLIT_COLUMNS) if split is None else split
    check_columns(str(file), cells, {"path": [path], "label": labels, "patient": [patient], "split": [found_split]})
    if not cells[path]:
        raise DataError(f"{file} lists no image; expected one line an image")
    paths = _paths(file, cells[path], root)  # as they stand: a file name may begin or end with a blank
    texts = {name: [text.strip() for text in cells[name]] for name in (*labels, patient, found_split) if name}
    if isinstance(label, str):
        found = exclusive(str(file), texts[label], task, classes, at=line)
    else:
        found = marks(str(file), {name: texts[name] for name in labels}, task, at=line)
    splits, note = own_splits(str(file), texts[found_split], split is not None) if found_split else (None, ())
    order = np.argsort(np.array(paths, dtype=object))
    ids = tuple(paths[i] for i in order)
    return ImageDataset(
        name=file.stem,
        images=Files(root, ids),
        ids=ids,
        targets=found.targets[order],
        classes=found.classes,
        task=found.task,
        patients=np.array(texts[patient])[order] if patient else None,
        splits=None if splits is None else splits[order],
        notes=(*found.notes, *note),
    )


def line(index: int) -> str:
    """Where an image stands in a table with a header."""
    return f"line {index + 2}"


def matching_column(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The first column with one of some names, whatever its case, blanks and dashes; ``None`` where there is none.

    Example:
        >>> matching_column(["path", "Patient ID"], PATIENTS)
        'Patient ID'
    """
    return next((column for column in columns if re.sub(r"[\s_-]", "", column).lower() in names), None)


def check_columns(where: str, known: Iterable[str], wanted: Mapping[str, Iterable[str | None]]) -> None:
    """Refuse columns that are not there, and say how another is named.

    Args:
        where: What they are of.
        known: The columns there are.
        wanted: The columns of each keyword; ``None`` or an empty text for none.

    Raises:
        DataError: One is missing.
    """
    names = list(known)
    for keyword, columns in wanted.items():
        for column in columns:
            if column and column not in names:
                raise DataError(f"{where}: {unknown('column', column, names)} (say which with {keyword}=)")


def own_splits(where: str, texts: Sequence[str], named: bool) -> tuple[NDArray[np.str_] | None, tuple[str, ...]]:
    """Read a column of splits.

    Args:
        where: What it is of, for errors.
        texts: N names of splits in any spelling, or empty.
        named: The user named the column: what cannot be understood is an error, and else a note.

    Returns:
        ``str [N]`` of train, val, test and empty, or ``None`` where it says nothing; notes.

    Raises:
        DataError: The column was named and holds something else.
    """
    splits = [split_of(text) for text in texts]
    strange = [text for text, split in zip(texts, splits, strict=True) if text and not split]
    if strange:
        message = f"the split column holds {strange[0]!r}; expected train, val, test or empty"
        if named:
            raise DataError(f"{where}: {message}")
        return None, (f"{message}, so it is not used",)
    return (np.array(splits), ()) if any(splits) else (None, ())


def _paths(file: Path, texts: list[str], root: Path) -> list[str]:
    """Relative paths with forward slashes, each an image that is on disk and listed once."""
    paths: dict[str, int] = {}
    missing = []
    top = root.absolute()
    for number, text in enumerate(texts, 2):
        if "\\" in text and not (root / text).is_file():  # a table written on Windows
            text = text.replace("\\", "/")
        absolute = os.path.normpath(top / text)
        relative = os.path.relpath(absolute, top)
        if not text or relative.startswith(os.pardir):
            raise DataError(f"{file}, line {number}: {text!r} is no path below {root}; mend it, or give another root")
        name = Path(relative).as_posix()
        if name in paths:
            raise DataError(f"{file}: {name} stands in lines {paths[name]} and {number}; remove one")
        paths[name] = number
        if not Path(absolute).is_file():
            missing.append((text, f"line {number}: {text}"))
    if missing:
        raise UnreadableError(
            f"{file}: {len(missing):,} of {len(texts):,} images are not below {root} (first: {missing[0][0]});"
            " give the folder they are relative to as root, or remove their lines",
            missing,
        )
    return list(paths)
