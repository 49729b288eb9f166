"""Further columns of a table (sex, age, site, view): they travel with the images, in one form, "" where missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.data.labels import as_text
from medzoo.data.normalize import as_written, clean, is_missing, joined_note, unify
from medzoo.data.table_cells import TABLES, Cells, read_cells

Columns: TypeAlias = Mapping[str, NDArray[np.str_]]
# Names of columns, or the columns themselves: one value an image.
WantedColumns: TypeAlias = Sequence[str] | Mapping[str, Sequence[Any]]


def read_column(name: str, cells: Sequence[Any]) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Read one column: one spelling for each value, an empty text where there is none.

    Args:
        name: The column's name, for notes.
        cells: N cells.

    Returns:
        ``str [N]``, and notes on spellings that were joined.

    Example:
        >>> read_column("sex", ["F", "f", "M", None, "F"])[0].tolist()
        ['F', 'F', 'M', '', 'F']
    """
    texts = [clean(as_text(cell)) for cell in cells]
    known, joined = unify(["" if is_missing(text) else as_written(text) for text in texts])
    return np.array(known, dtype=np.str_), joined_note(f"values of {name!r}", joined)


def read_columns(columns: Mapping[str, Sequence[Any]]) -> tuple[dict[str, NDArray[np.str_]], tuple[str, ...]]:
    """Read several columns, each as ``read_column`` does."""
    found: dict[str, NDArray[np.str_]] = {}
    notes: list[str] = []
    for name, cells in columns.items():
        found[name], note = read_column(name, cells)
        notes += note
    return found, tuple(notes)


def named_columns(columns: WantedColumns) -> tuple[str, ...]:
    """Return the names of the columns wanted, each once.

    Raises:
        DataError: One text came instead of a list of names.
    """
    if isinstance(columns, str):
        raise DataError(f"columns are {columns!r}; give a list of names, such as [{columns!r}]")
    return tuple(dict.fromkeys(columns))


def with_site(by: WantedColumns, site_column: str | None) -> WantedColumns:
    """Return the columns wanted, the site among them."""
    if isinstance(by, Mapping) or site_column is None:
        return by if isinstance(by, Mapping) else named_columns(by)
    return named_columns([*named_columns(by), site_column])


def columns_of_folder(
    root: Path, paths: Sequence[str], names: Sequence[str]
) -> tuple[dict[str, NDArray[np.str_]], tuple[str, ...]]:
    """Read columns of the images of a folder from a table that lies in it, such as ``metadata.csv``.

    Of the tables at the top of the folder that one is used that has the columns, and of its other columns that one
    says which image a row is about that fits the most images: by path, by file name or by file name without ending.

    Args:
        root: The folder.
        paths: N paths of images relative to it.
        names: The columns.

    Returns:
        ``str [N]`` for each, and notes: which table, and how many images have no row.

    Raises:
        DataError: No table has the columns, several do, or no row is about an image.
    """
    tables = [file for file in sorted(root.iterdir()) if file.suffix.lower() in TABLES and file.is_file()]
    read = {file.name: read_cells(file) for file in tables}
    fitting = [cells for cells in read.values() if set(names) <= set(cells.columns)]
    if len(fitting) != 1:
        what = "no table" if not fitting else f"{len(fitting)} tables"
        there = "; ".join(f"{name} has {', '.join(cells.columns)}" for name, cells in read.items()) or "there is none"
        raise DataError(
            f"{what} in {root} with the columns {', '.join(names)} ({there}); put one there, such as metadata.csv with "
            "a column of file names, or give a table instead of the folder"
        )
    (cells,) = fitting
    row_of, column = _rows_of(cells, paths, names)
    if not row_of:
        raise DataError(f"no row of {cells.name} is about an image of {root}; give it a column of file names")
    found, notes = read_columns(
        {name: [cells.columns[name][row_of[p]] if p in row_of else "" for p in paths] for name in names}
    )
    missing = len(paths) - len(row_of)
    note = f"{', '.join(names)} are read from {Path(cells.name).name}, whose column {column!r} names the images"
    return found, (*notes, note + (f"; {missing:,} images have no row there" if missing else ""))


def _rows_of(cells: Cells, paths: Sequence[str], names: Collection[str]) -> tuple[dict[str, int], str]:
    """The row of each image that has one, by the column that fits the most images."""
    best: tuple[dict[str, int], str] = ({}, "")
    for column in cells.columns:
        if column in names:
            continue
        texts = [clean(text).replace("\\", "/").removeprefix("./") for text in cells.columns[column]]
        for form in (str, _file_name, _stem):
            rows = _unique({text: row for row, text in enumerate(texts) if text}, len(texts) - texts.count(""))
            images = _unique({form(path): path for path in paths}, len(paths))
            found = {path: rows[key] for key, path in images.items() if key in rows}
            if len(found) > len(best[0]):
                best = (found, column)
    return best


def _unique(places: dict[str, Any], count: int) -> dict[str, Any]:
    """The places, or none where a name stands for several: it would not say which."""
    return places if len(places) == count else {}


def _file_name(path: str) -> str:
    return PurePosixPath(path).name


def _stem(path: str) -> str:
    return PurePosixPath(path).stem


def check_present(where: str, columns: Columns, names: Sequence[str]) -> None:
    """Refuse columns that did not come with the images.

    Raises:
        DataError: One did not.
    """
    absent = [name for name in names if name not in columns]
    if absent:
        have = unknown("column", absent[0], columns) if columns else f"no column {absent[0]!r} came with the images"
        raise DataError(
            f"{where}: {have}; read it with columns={list(names)!r}, or give a mapping from names to one value an image"
        )
