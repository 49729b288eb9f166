"""``medzoo analyze``."""

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
    before: Annotated[str, typer.Argument(help="Name of pretrained weights, or the folder of a bundle.")],
    after: Annotated[str, typer.Argument(help="The same, preferably fine-tuned on the data set's classes.")],
    data: Annotated[Path, typer.Argument(help="A folder of class folders, or a CSV or Parquet table.")],
    out: Annotated[Path | None, typer.Option(help="Write analysis.json and analysis.png into this folder.")] = None,
    root: Root = None,
    path_column: PathColumn = "path",
    label_column: LabelColumns = None,
    patient_column: PatientColumn = None,
    split_column: SplitColumn = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="from the labels")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric of the scores.", show_default="the task's primary metric")
    ] = None,
    points: Annotated[int, typer.Option(help="Points on the line between the two networks.")] = 11,
    recalibrate: Annotated[
        bool, typer.Option(help="Recompute batch-norm statistics at each point, or interpolate them.")
    ] = True,
    image_size: Size = None,
    seed: Annotated[int, typer.Option(help="Seed of shuffled tiles, folds of the probe and bootstrap.")] = 0,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Analyze what was transferred: features, weights, the path between two networks, and their parts."""
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
