"""Options and output that several commands share."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

Zoo = Annotated[
    str | None,
    typer.Option(
        help="A folder zoo, or hf://ORG.", envvar="MEDZOO_ZOO", show_default="the project's on the Hub, else preview/"
    ),
]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of pretrained weights; default all of the zoo.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Size = Annotated[int | None, typer.Option(help="Input size in pixels.", show_default="that of the weights")]
Device = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda (ROCm too), mps, xpu, or cuda:1 for a second GPU; any other word lists what this machine has.",
        show_default="the accelerator, if any",
    ),
]
LogWith = Annotated[
    str | None,
    typer.Option(
        help="Log every epoch to tensorboard, wandb or mlflow; the package must be installed.", show_default="none"
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="Workers of a Dask cluster: tcp://HOST:PORT, or local:N.", show_default="none: this process"),
]
Tta = Annotated[str, typer.Option(help="Test-time augmentation: none, light, cxr, hwsi or efi, as in training.")]
Positive = Annotated[
    str | None,
    typer.Option(
        help="The positive class of two.", show_default="the one beside normal, no finding, benign, ..., else the rarer"
    ),
]


Root = Annotated[
    Path | None, typer.Option(help="Folder that a table's paths are relative to.", show_default="the table's")
]
PathColumn = Annotated[str, typer.Option(help="Column of image paths in a table.")]
LabelColumns = Annotated[
    list[str] | None,
    typer.Option("--label-column", help="Column of labels in a table; repeat for several.", show_default="label"),
]
PatientColumn = Annotated[
    str | None, typer.Option(help="Column of patient ids in a table; '' for none.", show_default="patient, if present")
]
SplitColumn = Annotated[
    str | None, typer.Option(help="Column of your own split in a table; '' for none.", show_default="split, if present")
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        help="Separator of several labels in one cell, such as '|'; '' for none.",
        show_default="an error if present",
    ),
]
Uncertain = Annotated[
    str | None,
    typer.Option(help="Meaning of the label -1: one, zero or ignore.", show_default="an error if present"),
]


Page = Annotated[
    int | None,
    typer.Option(help="Page or frame of files that hold several, from 1.", show_default="such files are an error"),
]
MaxPixels = Annotated[
    int | None, typer.Option(help="Largest width x height that is decoded.", show_default="89 million")
]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and name them.")
]


@dataclass(frozen=True)
class Columns:
    """Columns of a table as given on the command line; the defaults mean that none was."""

    root: Path | None = None
    path: str = "path"
    labels: list[str] | None = None
    patient: str | None = None
    split: str | None = None
    label_separator: str | None = None
    uncertain: str | None = None


def data_of(data: Path, columns: Columns, task: str | None = None, skip_unreadable: bool = False) -> Any:
    """Return a command's data set: the folder or file itself, or what is read with the given columns.

    Args:
        data: A folder or a table.
        columns: The table's columns.
        task: How the labels are to be read.
        skip_unreadable: Whether what cannot be read is left out.

    Raises:
        DataError: The table has no such columns, or columns are given for a folder.
    """
    if columns == Columns():
        return data
    from medzoo.data.folders import read_folder
    from medzoo.data.tables import read_table

    options: dict[str, Any] = {
        "label_separator": columns.label_separator,
        "uncertain": columns.uncertain,
        "task": task,
        "skip_unreadable": skip_unreadable,
    }
    if replace(columns, label_separator=None, uncertain=None) == Columns() and data.is_dir():
        return read_folder(data, **options)
    labels = columns.labels or ["label"]
    return read_table(
        data,
        columns.root,
        path=columns.path,
        label=labels[0] if len(labels) == 1 else labels,
        patient=columns.patient,
        split=columns.split,
        **options,
    )


def validation_of(text: str | None, columns: Columns, task: str | None = None, skip_unreadable: bool = False) -> Any:
    """Parse ``--validation``: nothing, a share, or a data set with the columns of the other one.

    Args:
        text: A number, a folder or a table.
        columns: As in ``data_of``; not used for a folder.
        task: As in ``data_of``.
        skip_unreadable: As in ``data_of``.

    Raises:
        DataError: As in ``data_of``.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return Path(text) if Path(text).is_dir() else data_of(Path(text), columns, task, skip_unreadable)


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII where the console is not Unicode."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    typer.echo(json.dumps(value, indent=2, ensure_ascii=not unicode, default=str))
