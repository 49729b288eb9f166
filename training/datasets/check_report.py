"""Report checks as dictionaries and as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medzoo.core.errors import DataError
from medzoo.data.overview import Overview
from training.datasets import folder
from training.datasets.check import check

Found = Mapping[str, Any]
_COLUMNS = ("set", "images", "known", "missing", "unlisted", "copies", "unreadable", "split patients", "result")


def check_and_describe(
    name: str, data: Path, *, allow_partial: bool = False, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Check a data set; one that cannot be read is a result too.

    Args:
        name: A name in ``training.datasets.DATASETS``.
        data: The folder that holds the data sets.
        allow_partial: Accept another number of images than the complete set's.
        progress: Called with (images done, images in all).

    Returns:
        ``training.datasets.check.Check.to_dict()``, or ``name`` and ``problems`` alone.

    Raises:
        DataError: The data set does not exist.
    """
    try:
        found = check(name, data, progress=progress)
    except DataError as error:
        if folder(name, data) is None:
            raise
        return {"name": name, "problems": [str(error)]}
    return {**found.to_dict(), "problems": list(found.faults if allow_partial else found.problems)}


def table(found: Sequence[Found]) -> str:
    """Format one line for each data set, then its counts per class, notes and problems."""
    rows = [_COLUMNS, *(_row(entry) for entry in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    for entry in found:
        lines += ["", entry["name"], *(f"  {line}" for line in _details(entry))]
    return "\n".join(lines)


def _row(entry: Found) -> tuple[str, ...]:
    if "images" not in entry:
        return (entry["name"], *["-"] * (len(_COLUMNS) - 2), "problem")
    result = "problem" if entry["problems"] else "complete" if entry["images"] == entry["known"] else "a part"
    numbers = [entry["images"], entry["known"]]
    numbers += [len(entry[key]) for key in ("missing", "unlisted", "duplicates", "unreadable", "split_patients")]
    return (entry["name"], *(f"{number:,}" for number in numbers), result)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Format a row, numbers aligned to the right."""
    cells = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
    return "  ".join([row[0].ljust(widths[0]), *cells, row[-1]])


def _details(entry: Found) -> list[str]:
    lines = []
    if "counts" in entry:
        known = entry["known_counts"] or {}
        counts = [f"{label} {n:,}" + (f" of {known[label]:,}" if known else "") for label, n in entry["counts"].items()]
        lines.append(", ".join(counts))
        lines += Overview(**entry["overview"]).lines()
    return lines + [f"problem: {problem}" for problem in entry["problems"]]
