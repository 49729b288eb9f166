"""``medzoo evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    BatchSize,
    Classifier,
    Data,
    Device,
    Groups,
    Json,
    Positive,
    Reading,
    Seed,
    SplitColumns,
    Task,
    Tta,
    Zoo,
    deliver,
)


def evaluate(
    model: Classifier,
    data: Data,
    *,
    out: Annotated[Path | None, typer.Option(help="Write metrics and predictions into this folder.")] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, val, test or all of the data's own split.", show_default="test if present, else all"),
    ] = None,
    columns: SplitColumns,
    reading: Reading,
    groups: Groups,
    task: Task = None,
    positive: Positive = None,
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a class is predicted.", show_default="0.5")
    ] = None,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap resamples of the intervals; 0 for none.")] = 1000,
    tta: Tta = "none",
    batch_size: BatchSize = 32,
    seed: Seed = 0,
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
    with muted(as_json):
        found = measure(
            model,
            columns.open(data, task, reading.skip_unreadable, groups.names),
            task=task,
            positive=positive,
            split=split,
            threshold=threshold,
            bootstrap=bootstrap,
            tta=tta,
            batch_size=batch_size,
            seed=seed,
            device=device,
            zoo=zoo,
            **groups.options(),
            **vars(reading),
        )
    deliver(found, as_json, out)
