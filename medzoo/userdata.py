"""Image sets that users bring: a folder of class folders, or a table of paths and labels."""

from __future__ import annotations

import csv
import os
from collections.abc import Hashable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medzoo.errors import DataError
from medzoo.records import Records, one_hot
from medzoo.table import unknown

TABLES = (".csv", ".tsv", ".parquet")
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm"})
# Folders that mean a split, not a class, when nothing else stands beside them.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def image_files(root: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> list[str]:
    """List the images below a folder, in an order that no platform changes.

    Hidden files and folders (a leading dot) and ``__MACOSX`` are left out; linked folders are
    entered, each once.

    Args:
        root: The folder to search.
        suffixes: Lower-case endings that make a file an image.

    Returns:
        Paths relative to ``root`` with forward slashes, sorted.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     _ = Path(name, "b.PNG").write_bytes(b"")
        ...     _ = Path(name, ".hidden.png").write_bytes(b"")
        ...     image_files(Path(name))
        ['b.PNG']
    """
    found = []
    entered = set()
    for folder, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:  # a link back to where we have been
            below.clear()
            continue
        entered.add(real)
        below[:] = [name for name in below if _visible(name)]
        start = Path(folder).relative_to(root).as_posix()
        prefix = "" if start == "." else f"{start}/"
        found += [prefix + name for name in files if _visible(name) and _suffix(name) in suffixes]
    return sorted(found)


def read_folder(root: Path, *, task: str | None = None) -> Records:
    """Read a folder of class folders, or of ``train``/``val``/``test`` folders of class folders.

    Args:
        root: The folder. Each folder in it is a class; images may lie at any depth below it.
        task: ``"ordinal"`` for class folders named 0, 1, ... in the order of severity; by default
            ``"binary"`` for two classes, else ``"multiclass"``.

    Returns:
        Records named after the folder; classes in alphabetical (integers: numerical) order.

    Raises:
        DataError: There is no such folder, no class folder, a class without images, one class only,
            or the class names do not fit the task.

    Example:
        >>> read_folder(Path("/nowhere"))
        Traceback (most recent call last):
        medzoo.errors.DataError: no folder /nowhere; expected one with a folder of images for each class
    """
    if not root.is_dir():
        raise DataError(f"no folder {root}; expected one with a folder of images for each class")
    tops = _folders(root)
    parts = {top: SPLIT_FOLDERS[top.lower()] for top in tops if top.lower() in SPLIT_FOLDERS}
    if len(parts) < len(tops) or not tops:
        parts = {"": ""}
    paths, labels, splits = [], [], []
    for part, split in parts.items():
        for label in _folders(root / part):
            found = image_files(root / part / label)
            if not found:
                raise DataError(
                    f"class folder {root / part / label} holds no image; put images there or remove it"
                    f" (known endings: {' '.join(sorted(IMAGE_SUFFIXES))})"
                )
            paths += [str(PurePosixPath(part, label, path)) for path in found]
            labels += [label] * len(found)
            splits += [split] * len(found)
    if not paths:
        raise DataError(f"{root} has no class folders; expected {root / '<class>' / '<image>'} for two or more classes")
    loose = [name for name in os.listdir(root) if _visible(name) and _suffix(name) in IMAGE_SUFFIXES]  # noqa: PTH208
    notes = (f"{len(loose):,} images beside the class folders are left out",) if loose else ()
    targets, classes, task = _exclusive(str(root), labels, task)
    order = np.argsort(np.array(paths, dtype=object))
    return Records(
        name=root.resolve().name,
        root=root,
        paths=tuple(paths[i] for i in order),
        targets=targets[order],
        classes=classes,
        task=task,
        splits=np.array(splits)[order] if any(splits) else None,
        notes=notes,
    )


def read_table(
    file: Path,
    root: Path | None = None,
    *,
    path: str = "path",
    label: str | Sequence[str] = "label",
    patient: str | None = None,
    split: str | None = None,
    task: str | None = None,
) -> Records:
    """Read a CSV, TSV or Parquet table of images.

    Args:
        file: The table, one line an image.
        root: The folder that the paths are relative to; by default the table's.
        path: The column of paths: relative to ``root``, or absolute and below it.
        label: The column of class names; or several columns of 1, 0 and empty (not labelled), which
            make the set multi-label.
        patient: The column of patient ids; images of one patient are never split. May be empty.
        split: The column of your own split, for example train and test. May be empty.
        task: ``"ordinal"`` for grades 0, 1, ..., K - 1; by default ``"binary"`` for two classes, else
            ``"multiclass"``.

    Returns:
        Records named after the table, sorted by path.

    Raises:
        DataError: The file or a column is missing, an image is not on disk or listed twice, a label is
            empty or unknown, or there is one class only.

    Example:
        >>> read_table(Path("labels.ods"))
        Traceback (most recent call last):
        medzoo.errors.DataError: labels.ods is no table that can be read; expected .csv, .tsv or .parquet
    """
    root = file.parent if root is None else root
    several = [] if isinstance(label, str) else list(label)
    columns = [path, *(several or [str(label)]), *(name for name in (patient, split) if name)]
    cells = _cells(file, columns)
    paths = _paths(file, cells[path], root)
    notes: tuple[str, ...] = ()
    if several:
        targets, classes, task = _marks(file, cells, several), tuple(several), "multilabel"
        empty = [name for name, column in zip(classes, targets.T, strict=True) if not (column == 1).any()]
        notes = (f"no image has the label {', '.join(empty)}",) if empty else ()
    else:
        targets, classes, task = _exclusive(str(file), cells[str(label)], task)
    order = np.argsort(np.array(paths, dtype=object))
    return Records(
        name=file.stem,
        root=root,
        paths=tuple(paths[i] for i in order),
        targets=targets[order],
        classes=classes,
        task=task,
        patients=np.array(cells[patient])[order] if patient else None,
        splits=np.array(cells[split])[order] if split else None,
        notes=notes,
    )


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of 100,000 names is slow)


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if _visible(entry.name) and entry.is_dir())


def _exclusive(where: str, labels: list[str], task: str | None) -> tuple[NDArray[np.float32], tuple[str, ...], str]:
    """One-hot targets, classes and task of labels that exclude one another."""
    if "" in labels:
        raise DataError(f"{where}: an image in line {labels.index('') + 2} has no label; fill it in or remove the line")
    classes = set(labels)
    if len(classes) < 2:
        raise DataError(f"{where}: all {len(labels):,} images are {labels[0]!r}; expected two classes or more")
    integers = all(name.isascii() and name.isdigit() for name in classes)
    ordered = tuple(sorted(classes, key=lambda name: (int(name), name)) if integers else sorted(classes))
    if task == "ordinal" and (len(ordered) < 3 or ordered != tuple(map(str, range(len(ordered))))):
        raise DataError(f"{where}: grades are {', '.join(ordered)}; an ordinal task needs 0, 1, 2, ... without a gap")
    fitting = ("binary",) if len(ordered) == 2 else ("multiclass", "ordinal")
    if task is not None and task not in fitting:
        raise DataError(f"{where}: task {task!r} does not fit {len(ordered)} classes; allowed: {' or '.join(fitting)}")
    index = {name: i for i, name in enumerate(ordered)}
    return one_hot([index[name] for name in labels], len(ordered)), ordered, task or fitting[0]


def _marks(file: Path, cells: dict[str, list[str]], columns: Sequence[str]) -> NDArray[np.float32]:
    """Multi-hot targets; an empty cell is "not labelled"."""
    values = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0, "": np.nan, "nan": np.nan}
    targets = np.empty((len(cells[columns[0]]), len(columns)), np.float32)
    for c, column in enumerate(columns):
        for i, text in enumerate(cells[column]):
            if text.lower() not in values:
                raise DataError(f"{file}, line {i + 2}: {column} is {text!r}; expected 1, 0 or empty (not labelled)")
            targets[i, c] = values[text.lower()]
    return targets


def table_columns(file: Path) -> list[str]:
    """The names of a table's columns.

    Args:
        file: As in ``read_table``.

    Raises:
        DataError: It is missing, or no table.
    """
    return list(_table(file))


def _table(file: Path) -> dict[str, list[str]]:
    """All columns as text."""
    if file.suffix.lower() not in TABLES:
        raise DataError(f"{file} is no table that can be read; expected .csv, .tsv or .parquet")
    if not file.is_file():
        raise DataError(f"no file {file}; expected a table with one line an image")
    read = _parquet if file.suffix.lower() == ".parquet" else _csv
    return {name.strip(): values for name, values in read(file).items()}


def _cells(file: Path, columns: Sequence[str]) -> dict[str, list[str]]:
    """The wanted columns as text."""
    cells = _table(file)
    for column in columns:
        if column not in cells:
            raise DataError(f"{file}: {unknown('column', column, cells)}")
    if not cells[columns[0]]:
        raise DataError(f"{file} lists no image; expected one line an image")
    # The path, in the first column, as it stands: a file name may begin or end with a blank.
    return {name: cells[name] if name == columns[0] else [text.strip() for text in cells[name]] for name in columns}


def _csv(file: Path) -> dict[str, list[str]]:
    """All columns. Not by pandas: it takes surplus cells of a line for row names and shifts the columns."""
    separator = "\t" if file.suffix.lower() == ".tsv" else ","
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            lines = [line for line in csv.reader(stream, delimiter=separator) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is no readable table ({error}); save it as UTF-8 CSV") from error
    header = lines[0] if lines else []
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise DataError(
                f"{file}, line {number}: {len(line)} cells, the header has {len(header)};"
                " put cells that hold the separator in quotes"
            )
    return {name: [line[i] for line in lines[1:]] for i, name in enumerate(header)}


def _parquet(file: Path) -> dict[str, list[str]]:
    try:
        frame = pd.read_parquet(file)
    except ImportError as error:
        raise DataError(f"{file}: Parquet needs pyarrow; pip install pyarrow, or save the table as CSV") from error
    except (ValueError, OSError) as error:  # pyarrow's own errors are ValueErrors
        raise DataError(f"{file} is no readable table ({error}); save it as Parquet or CSV") from error
    return {str(name): [_text(cell) for cell in frame[name]] for name in frame.columns}


def _text(cell: Hashable) -> str:
    """A cell of Parquet as text: nothing is "", and a whole number has no decimals (gaps make integers floats)."""
    if cell is None or cell is pd.NA or cell != cell:
        return ""
    if isinstance(cell, (float, np.floating)) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def _paths(file: Path, texts: list[str], root: Path) -> list[str]:
    """Relative paths with forward slashes, each an image that is on disk and listed once."""
    paths: dict[str, int] = {}
    missing = []
    for line, text in enumerate(texts, 2):
        if "\\" in text and not (root / text).is_file():  # a table written on Windows
            text = text.replace("\\", "/")
        absolute = os.path.normpath(root.absolute() / text)
        relative = os.path.relpath(absolute, root.absolute())
        if not text or relative.startswith(os.pardir):
            raise DataError(f"{file}, line {line}: {text!r} is no path below {root}; mend it, or give another root")
        name = Path(relative).as_posix()
        if name in paths:
            raise DataError(f"{file}: {name} stands in lines {paths[name]} and {line}; remove one")
        paths[name] = line
        if not Path(absolute).is_file():
            missing.append(text)
    if missing:
        raise DataError(
            f"{file}: {len(missing):,} of {len(texts):,} images are not below {root} (first: {missing[0]});"
            " give the folder they are relative to as root, or remove their lines"
        )
    return list(paths)
