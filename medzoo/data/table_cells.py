"""CSV, TSV and Parquet files and pandas frames -> columns of text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medzoo.core.errors import DataError
from medzoo.data.labels import as_text

TABLES = (".csv", ".tsv", ".parquet")
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Cells:
    """The cells of a table, as text.

    Attributes:
        name: What the table is called, for errors.
        columns: The cells of each column, by its name without blanks around it.
        at: Returns where a row stands.
    """

    name: str
    columns: Mapping[str, Sequence[str]]
    at: Callable[[int], str]


def read_cells(table: Path | pd.DataFrame) -> Cells:
    """Read all columns of a table as text, in their order.

    Args:
        table: A CSV or TSV file in UTF-8 (UTF-16 with its mark), with commas, semicolons, tabs or ``|`` between cells;
            a Parquet file; or a pandas frame.

    Returns:
        The cells; an empty text where there is nothing. Rows that hold nothing are left out.

    Raises:
        DataError: The file is missing, broken, or no table.
    """
    if isinstance(table, pd.DataFrame):
        index = [as_text(value) for value in table.index]
        return _frame("the frame", table, lambda i: f"row {index[i]}")
    if table.suffix.lower() not in TABLES:
        raise DataError(f"{table} is no table that can be read; expected .csv, .tsv or .parquet")
    if not table.is_file():
        raise DataError(f"no file {table}; expected a table with one line an image")
    if table.suffix.lower() == ".parquet":
        return _frame(str(table), _parquet(table), lambda i: f"row {i}")
    header, rows, lines = _csv(table, "\t" if table.suffix.lower() == ".tsv" else ",")
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return Cells(str(table), _named(str(table), header, columns), lambda i: f"line {lines[i]}")


def _named(where: str, names: Iterable[str], columns: Sequence[Any]) -> dict[str, Any]:
    names = [name.strip() for name in names]
    twice = next((name for name in names if names.count(name) > 1 and name), None)
    if twice is not None:
        raise DataError(f"{where}: two columns are named {twice!r}; rename one")
    return dict(zip(names, columns, strict=True))


def _csv(file: Path, usual: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Not by pandas: it takes surplus cells of a line for row names and shifts the columns."""
    text = _text(file)
    declared = re.match(r"sep=(.)\r?\n", text)  # written by Excel for itself
    candidates = [declared[1]] if declared else [usual, *(sign for sign in _SEPARATORS if sign != usual)]
    failed: DataError | None = None
    for separator in candidates:
        try:
            header, rows, lines = _rows(file, text, separator, skipped=1 if declared else 0)
        except DataError as error:
            failed = failed or error
            continue
        if len(header) > 1 or declared:
            return header, rows, lines
    if failed is not None:
        raise failed
    return _rows(file, text, usual)


def _text(file: Path) -> str:
    data = file.read_bytes()
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no readable table ({error}); save it as UTF-8 CSV") from error


def _rows(file: Path, text: str, separator: str, skipped: int = 0) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and the line each begins in; rows of nothing are left out, and surplus cells of nothing."""
    parsed = list(_numbered(file, csv.reader(io.StringIO(text, newline=""), delimiter=separator)))
    if any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for _, row in parsed for cell in row):  # a.png, "Mass"
        stream = io.StringIO(text, newline="")
        parsed = list(_numbered(file, csv.reader(stream, delimiter=separator, skipinitialspace=True)))
    rows, lines, header = [], [], None
    for number, row in parsed:
        if number <= skipped or not any(map(str.strip, row)):
            continue
        if header is None:
            header = row
            continue
        if len(row) != len(header):
            if any(cell.strip() for cell in row[len(header) :]) or len(row) < len(header):
                raise DataError(
                    f"{file}, line {number}: {len(row)} cells, the header has {len(header)};"
                    " put cells that hold the separator in quotes"
                )
            row = row[: len(header)]
        rows.append(row)
        lines.append(number)
    return header or [], rows, lines


def _numbered(file: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line that each begins in: a quoted cell may go over several."""
    begin = 1
    try:
        for row in reader:
            yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}, line {begin}: no readable table ({error}); save it as UTF-8 CSV") from error


def _parquet(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except ImportError as error:
        raise DataError(f"{file}: Parquet needs pyarrow; pip install pyarrow, or save the table as CSV") from error
    except (ValueError, OSError) as error:  # pyarrow's own errors are ValueErrors
        raise DataError(f"{file} is no readable table ({error}); save it as Parquet or CSV") from error


class _Texts(Mapping[str, Sequence[str]]):
    """The columns of a frame, each made text when it is asked for: others may hold whole images."""

    def __init__(self, places: Mapping[str, int], frame: pd.DataFrame) -> None:
        self._places, self._frame = places, frame

    def __getitem__(self, name: str) -> Sequence[str]:
        return [as_text(cell) for cell in self._frame.iloc[:, self._places[name]]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _frame(where: str, frame: pd.DataFrame, at: Callable[[int], str]) -> Cells:
    names = [str(name) for name in frame.columns]
    return Cells(where, _Texts(_named(where, names, list(range(len(names)))), frame), at)
