"""CSV, TSV and Parquet files -> columns of text."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from medzoo.core.errors import DataError
from medzoo.data.labels import as_text

TABLES = (".csv", ".tsv", ".parquet")


def read_cells(file: Path) -> dict[str, list[str]]:
    """Read all columns of a table as text, in their order.

    Args:
        file: A CSV or TSV file in UTF-8, or a Parquet file.

    Returns:
        The cells of each column, by its name without blanks around it; an empty text where there is nothing.

    Raises:
        DataError: The file is missing, broken, or no table.
    """
    suffix = file.suffix.lower()
    if suffix not in TABLES:
        raise DataError(f"{file} is no table that can be read; expected .csv, .tsv or .parquet")
    if not file.is_file():
        raise DataError(f"no file {file}; expected a table with one line an image")
    names, columns = _parquet(file) if suffix == ".parquet" else _csv(file, "\t" if suffix == ".tsv" else ",")
    names = [name.strip() for name in names]
    twice = next((name for name in names if names.count(name) > 1 and name), None)
    if twice is not None:
        raise DataError(f"{file}: two columns are named {twice!r}; rename one")
    return dict(zip(names, columns, strict=True))


def _csv(file: Path, separator: str) -> tuple[list[str], list[list[str]]]:
    """Not by pandas: it takes surplus cells of a line for row names and shifts the columns."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            lines = [line for line in csv.reader(stream, delimiter=separator) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is no readable table ({error}); save it as UTF-8 CSV") from error
    header = lines[0] if lines else []
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            hint = "is the file separated by ';'? save it with commas" if ";" in header[0] else ""
            raise DataError(
                f"{file}, line {number}: {len(line)} cells, the header has {len(header)};"
                f" {hint or 'put cells that hold the separator in quotes'}"
            )
    return header, [[line[i] for line in lines[1:]] for i in range(len(header))]


def _parquet(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        frame = pd.read_parquet(file)
    except ImportError as error:
        raise DataError(f"{file}: Parquet needs pyarrow; pip install pyarrow, or save the table as CSV") from error
    except (ValueError, OSError) as error:  # pyarrow's own errors are ValueErrors
        raise DataError(f"{file} is no readable table ({error}); save it as Parquet or CSV") from error
    columns = [[as_text(cell) for cell in frame.iloc[:, i]] for i in range(frame.shape[1])]
    return [str(name) for name in frame.columns], columns
