"""``medzoo recommend``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    Columns,
    Data,
    Device,
    Folds,
    Json,
    Reading,
    Scheduler,
    Seed,
    SeveralWeights,
    Size,
    Task,
    Zoo,
    deliver,
)


def recommend(
    data: Data,
    weights: SeveralWeights = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Write recommendation.json and ranking.png into this folder.")
    ] = None,
    columns: Columns,
    reading: Reading,
    task: Task = None,
    image_size: Size = None,
    folds: Folds = 5,
    seed: Seed = 0,
    scheduler: Scheduler = None,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Rank pretrained weights for your own images, without fine-tuning any."""
    from medzoo.core.output import check_output
    from medzoo.core.progress import muted
    from medzoo.recommendation.recommend import recommend as rank

    if out is not None:
        check_output(out)  # before the work, not after it
    with muted(as_json):
        found = rank(
            columns.open(data, task, reading.skip_unreadable),
            weights or None,
            task=task,
            image_size=image_size,
            folds=folds,
            seed=seed,
            scheduler=scheduler,
            device=device,
            zoo=zoo,
            **vars(reading),
        )
    deliver(found, as_json, out)
