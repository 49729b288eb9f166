"""``medzoo recommend``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    Columns,
    Device,
    Json,
    LabelColumns,
    LabelSeparator,
    MaxPixels,
    Page,
    PathColumn,
    PatientColumn,
    Root,
    Scheduler,
    Size,
    SkipUnreadable,
    Uncertain,
    Zoo,
    data_of,
    print_json,
)


def recommend(
    data: Annotated[Path, typer.Argument(help="A folder of class folders, or a CSV or Parquet table.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of pretrained weights, or the folder of a bundle; repeat for more.",
            show_default="all of the zoo",
        ),
    ] = None,
    root: Root = None,
    path_column: PathColumn = "path",
    label_column: LabelColumns = None,
    patient_column: PatientColumn = None,
    label_separator: LabelSeparator = None,
    uncertain: Uncertain = None,
    page: Page = None,
    max_pixels: MaxPixels = None,
    skip_unreadable: SkipUnreadable = False,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="from the labels")
    ] = None,
    image_size: Size = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of folds and bootstrap.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Write a PNG of the ranking.", show_default="none")] = None,
    scheduler: Scheduler = None,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Rank pretrained weights for your own images, without fine-tuning any."""
    from medzoo.core.progress import muted
    from medzoo.recommendation.recommend import recommend as rank

    columns = Columns(root, path_column, label_column, patient_column, None, label_separator, uncertain)
    with muted(as_json):
        found = rank(
            data_of(data, columns, task, skip_unreadable),
            weights,
            task=task,
            image_size=image_size,
            folds=folds,
            seed=seed,
            scheduler=scheduler,
            device=device,
            page=page,
            max_pixels=max_pixels,
            skip_unreadable=skip_unreadable,
            zoo=zoo,
        )
    if plot is not None:
        found.plot(plot)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
