"""``medzoo look``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    Columns,
    Json,
    LabelColumns,
    LabelSeparator,
    MaxPixels,
    Page,
    PathColumn,
    PatientColumn,
    Root,
    SplitColumn,
    Uncertain,
    data_of,
    print_json,
)


def look(
    data: Annotated[Path, typer.Argument(help="A folder of images or class folders, or a CSV or Parquet table.")],
    out: Annotated[
        Path | None, typer.Option(help="Write overview.png into this folder.", show_default="print alone")
    ] = None,
    root: Root = None,
    path_column: PathColumn = "path",
    label_column: LabelColumns = None,
    patient_column: PatientColumn = None,
    split_column: SplitColumn = None,
    label_separator: LabelSeparator = None,
    uncertain: Uncertain = None,
    page: Page = None,
    max_pixels: MaxPixels = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="from the labels")
    ] = None,
    image_size: Annotated[int, typer.Option(help="Side in pixels of the images as the network gets them.")] = 224,
    as_json: Json = False,
) -> None:
    """Look at a data set before training: what was found and left out, and which images look wrong."""
    from medzoo.core.output import check_output
    from medzoo.reporting.look import look as look_at

    picture = None if out is None else out / "overview.png"
    if picture is not None:
        check_output(picture)  # before the work, not after it
    columns = Columns(root, path_column, label_column, patient_column, split_column, label_separator, uncertain)
    found = look_at(
        data_of(data, columns, task, skip_unreadable=True),
        task=task,
        image_size=image_size,
        page=page,
        max_pixels=max_pixels,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        found.plot(picture)
        sys.stderr.write(f"saved to {picture}\n")
