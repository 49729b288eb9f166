"""``medzoo audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    Columns,
    Json,
    LabelColumns,
    LabelSeparator,
    PathColumn,
    PatientColumn,
    Root,
    Uncertain,
    Zoo,
    data_of,
    print_json,
)


def audit(
    data: Annotated[Path, typer.Argument(help="A folder of images, or a CSV or Parquet table.")],
    weight: Annotated[str, typer.Argument(help="Name of pretrained weights, or the folder of a bundle.")],
    root: Root = None,
    path_column: PathColumn = "path",
    label_column: LabelColumns = None,
    patient_column: PatientColumn = None,
    label_separator: LabelSeparator = None,
    uncertain: Uncertain = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Find the images and patients that were part of pretraining."""
    from medzoo.contamination.audit import audit as find

    columns = Columns(root, path_column, label_column, patient_column, None, label_separator, uncertain)
    found = find(data_of(data, columns), weight, zoo=zoo)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
