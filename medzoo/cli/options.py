"""Options and output that several commands share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

Zoo = Annotated[
    str | None,
    typer.Option(
        help="A folder zoo, a zip of one, or hf://ORG.", envvar="MEDZOO_ZOO", show_default="the project's, on the Hub"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Size = Annotated[int | None, typer.Option(help="Side of the network's input in pixels.", show_default="the weight's")]
Positive = Annotated[
    str | None,
    typer.Option(
        help="The positive class of two.", show_default="the one beside normal, no finding, benign, ..., else the rarer"
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda.", show_default="a GPU where there is one")]
Tta = Annotated[str, typer.Option(help="Average over views: none, light, cxr, hwsi or efi, as trained with.")]


Root = Annotated[Path | None, typer.Option(help="Folder of a table's paths.", show_default="the table's")]
PathColumn = Annotated[str, typer.Option(help="A table's column of paths.")]
LabelColumns = Annotated[
    list[str] | None,
    typer.Option("--label-column", help="A table's column of labels; again for each of several.", show_default="label"),
]
PatientColumn = Annotated[
    str | None, typer.Option(help="A table's column of patients; '' for none.", show_default="patient, where it is")
]
SplitColumn = Annotated[
    str | None, typer.Option(help="A table's column of your own split; '' for none.", show_default="split, where it is")
]


@dataclass(frozen=True)
class Columns:
    """What the options say about tables; the defaults say nothing."""

    root: Path | None = None
    path: str = "path"
    labels: list[str] | None = None
    patient: str | None = None
    split: str | None = None


def data_of(data: Path, columns: Columns, task: str | None = None) -> Any:
    """The data set that a command is given: the folder or file itself, or a table read as the options say.

    Args:
        data: A folder or a table.
        columns: The options about tables.
        task: The option about the labels.

    Raises:
        DataError: The table cannot be read as they say, or there are such options for a folder.
    """
    if columns == Columns():
        return data
    from medzoo.data.tables import read_table

    labels = columns.labels or ["label"]
    return read_table(
        data,
        columns.root,
        path=columns.path,
        label=labels[0] if len(labels) == 1 else labels,
        patient=columns.patient,
        split=columns.split,
        task=task,
    )


def validation_of(text: str | None, columns: Columns, task: str | None = None) -> Any:
    """What ``--validation`` means: nothing, a share, or a data set read as the other one.

    Args:
        text: A number, a folder or a table.
        columns: As in ``data_of``; they say nothing about a folder.
        task: As in ``data_of``.

    Raises:
        DataError: As in ``data_of``.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return Path(text) if Path(text).is_dir() else data_of(Path(text), columns, task)


def print_json(value: Any) -> None:
    """Print for a program to read."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
