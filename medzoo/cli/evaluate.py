"""``medzoo evaluate``."""

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
    MaxPixels,
    Page,
    PathColumn,
    PatientColumn,
    Root,
    SkipUnreadable,
    SplitColumn,
    Tta,
    Uncertain,
    Zoo,
    data_of,
    print_json,
)


def evaluate(
    model: Annotated[str, typer.Argument(help="The folder of a fine-tuned model, or the name of pretrained weights.")],
    data: Annotated[Path, typer.Argument(help="A folder of class folders, or a CSV or Parquet table.")],
    out: Annotated[
        Path | None, typer.Option(help="Write metrics and predictions into this folder.", show_default="print")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, val, test or all of the data's own split.", show_default="test if present, else all"),
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
    skip_unreadable: SkipUnreadable = False,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="the model's")
    ] = None,
    positive: Annotated[str | None, typer.Option(help="The positive class of two.", show_default="the model's")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a class is predicted.", show_default="0.5")
    ] = None,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap resamples of the intervals; 0 for none.")] = 1000,
    tta: Tta = "none",
    batch_size: Annotated[int, typer.Option(help="Images per batch.")] = 32,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model on labelled images that it was not trained on."""
    from medzoo.core.output import check_output
    from medzoo.core.progress import muted
    from medzoo.inference.evaluate import check_replaceable
    from medzoo.inference.evaluate import evaluate as measure

    if out is not None:
        check_replaceable(out)  # before the work, not after it
        check_output(out)
    columns = Columns(root, path_column, label_column, patient_column, split_column, label_separator, uncertain)
    with muted(as_json):
        found = measure(
            model,
            data_of(data, columns, task, skip_unreadable),
            task=task,
            positive=positive,
            split=split,
            threshold=threshold,
            bootstrap=bootstrap,
            tta=tta,
            batch_size=batch_size,
            seed=seed,
            device=device,
            page=page,
            max_pixels=max_pixels,
            skip_unreadable=skip_unreadable,
            zoo=zoo,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
    if out is not None:
        found.save(out)
        sys.stderr.write(f"saved to {out}\n")
