"""The command that says what was transferred."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    Columns,
    Device,
    Json,
    LabelColumns,
    PathColumn,
    PatientColumn,
    Root,
    Size,
    SplitColumn,
    Zoo,
    data_of,
    print_json,
)


def analyze(
    before: Annotated[str, typer.Argument(help="A weight's name, or the folder of a bundle.")],
    after: Annotated[str, typer.Argument(help="The same, best fine-tuned on the data set's classes.")],
    data: Annotated[Path, typer.Argument(help="A folder of class folders, or a CSV or Parquet table.")],
    out: Annotated[Path | None, typer.Option(help="Write analysis.json and analysis.png into this folder.")] = None,
    root: Root = None,
    path_column: PathColumn = "path",
    label_column: LabelColumns = None,
    patient_column: PatientColumn = None,
    split_column: SplitColumn = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="found")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="What scores are.", show_default="the task's primary one")] = None,
    points: Annotated[int, typer.Option(help="Points on the straight line between the two.")] = 11,
    recalibrate: Annotated[
        bool, typer.Option(help="Measure batch-norm statistics at each point, or interpolate them.")
    ] = True,
    image_size: Size = None,
    seed: Annotated[int, typer.Option(help="Shuffled tiles, folds of the probe, bootstrap.")] = 0,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Compare two networks on images: features, values, what lies between them, and what their parts are worth."""
    from medzoo.analysis.analyze import analyze as find_out

    columns = Columns(root, path_column, label_column, patient_column, split_column)
    found = find_out(
        before,
        after,
        data_of(data, columns, task),
        task=task,
        metric=metric,
        points=points,
        recalibrate=recalibrate,
        image_size=image_size,
        seed=seed,
        device=device,
        zoo=zoo,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
    if out is not None:
        found.save(out)
        sys.stderr.write(f"saved to {out}\n")
