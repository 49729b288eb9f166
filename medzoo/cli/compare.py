"""``medzoo compare``."""

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
    LabelSeparator,
    LogWith,
    MaxPixels,
    Page,
    PathColumn,
    PatientColumn,
    Positive,
    Root,
    Scheduler,
    Size,
    SkipUnreadable,
    Uncertain,
    Zoo,
    data_of,
    print_json,
)
from medzoo.core.errors import RunError


def compare(
    data: Annotated[Path, typer.Argument(help="A folder of class folders, or a CSV or Parquet table.")],
    weights: Annotated[
        list[str] | None,
        typer.Argument(help="Names of pretrained weights, or folders of bundles; default all of the zoo."),
    ] = None,
    all_in_zoo: Annotated[
        bool, typer.Option("--all-in-zoo", help="All weights of the zoo: own, imported and previews; the default.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write report, tables and every run into this folder.")] = None,
    root: Root = None,
    path_column: PathColumn = "path",
    label_column: LabelColumns = None,
    patient_column: PatientColumn = None,
    label_separator: LabelSeparator = None,
    uncertain: Uncertain = None,
    page: Page = None,
    max_pixels: MaxPixels = None,
    skip_unreadable: SkipUnreadable = False,
    seeds: Annotated[int, typer.Option(help="Number of random divisions of the data set.")] = 1,
    folds: Annotated[
        int | None,
        typer.Option(help="Folds per division; 1 for one held-out fifth.", show_default="5, or 1 from 2,000 images on"),
    ] = None,
    strategies: Annotated[str, typer.Option(help="Names, separated by commas.")] = "full",
    fractions: Annotated[str, typer.Option(help="Shares of the training images, such as 0.1,0.25,1.")] = "1",
    baseline: Annotated[
        str | None, typer.Option(help="Weights to test the others against.", show_default="ImageNet's")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="from the labels")
    ] = None,
    positive: Positive = None,
    epochs: Annotated[int, typer.Option(help="Epochs.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 16,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-4,
    augment: Annotated[str, typer.Option(help="none, light, cxr, hwsi or efi.")] = "light",
    image_size: Size = None,
    jobs: Annotated[int, typer.Option(help="Runs in parallel, in processes of this machine.")] = 1,
    scheduler: Scheduler = None,
    device: Device = None,
    log_with: LogWith = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Fine-tune several pretrained weights under the same protocol, and test each against ImageNet's.

    With --out every finished run is kept, and the same command resumes an interrupted comparison.
    """
    from medzoo.comparison.compare import compare as start
    from medzoo.comparison.report import CELLS, check_replaceable
    from medzoo.core.output import check_output
    from medzoo.core.progress import muted

    if all_in_zoo and weights:
        raise RunError(f"--all-in-zoo compares all weights of the zoo; leave {', '.join(weights)} out, or the option")
    if out is not None:
        check_replaceable(out)  # before the work, not after it
        check_output(out)

    with muted(as_json):
        found = start(
            data_of(
                data,
                Columns(root, path_column, label_column, patient_column, None, label_separator, uncertain),
                task,
                skip_unreadable,
            ),
            weights or None,
            seeds=seeds,
            folds=folds,
            strategies=listed(strategies),
            fractions=numbers(fractions),
            baseline=baseline,
            task=task,
            positive=positive,
            image_size=image_size,
            cells=None if out is None else out / CELLS,
            jobs=jobs,
            scheduler=scheduler,
            device=device,
            log_with=log_with,
            page=page,
            max_pixels=max_pixels,
            skip_unreadable=skip_unreadable,
            zoo=zoo,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            augment=augment,
        )
    if out is not None:
        found.save(out)
        sys.stderr.write(f"saved to {out}\n")
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))


def listed(text: str) -> list[str]:
    """Split names at commas.

    Example:
        >>> listed("full, linear_probe")
        ['full', 'linear_probe']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(text: str) -> list[float]:
    """Parse numbers separated by commas.

    Raises:
        RunError: One of them is not a number.

    Example:
        >>> numbers("0.1,1")
        [0.1, 1.0]
    """
    try:
        return [float(word) for word in listed(text)]
    except ValueError as error:
        raise RunError(f"{text!r} is not a list of numbers such as 0.1,0.25,1") from error
