"""Options shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.core.errors import DataError

DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help="The folder that holds the data sets.", envvar="MEDZOO_DATA", show_default=False),
]
Sets = Annotated[list[str] | None, typer.Argument(metavar="[SET]...", help="Data sets; default all in the folder.")]
Work = Annotated[Path, typer.Option(help="Caches and runs go here.", envvar="MEDZOO_WORK")]
Partial = Annotated[bool, typer.Option("--allow-partial", help="Accept incomplete data sets; recorded as such.")]
Limit = Annotated[
    int | None, typer.Option(help="At most so many images of each data set; recorded as such.", show_default="all")
]
Rejected = Annotated[int, typer.Option("--max-rejected", help="Unreadable images of a data set that may be left out.")]
ImageNet = Annotated[
    Path | None,
    typer.Option(
        "--imagenet-weights", help="DenseNet-121 ImageNet weights (safetensors).", show_default="the zoo's or the Hub's"
    ),
]


def named(folder: Path | None) -> Path:
    """Return the data folder, which need not exist yet.

    Raises:
        DataError: None is given.
    """
    if folder is None:
        raise DataError("no data folder is given; add --data DIR or set MEDZOO_DATA")
    return folder


def existing(folder: Path | None) -> Path:
    """Return the data folder.

    Raises:
        DataError: None is given, or it does not exist.
    """
    if not named(folder).is_dir():
        raise DataError(f"there is no data folder {folder}; give the folder that holds the data sets")
    return named(folder)
