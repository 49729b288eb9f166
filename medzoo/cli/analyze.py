"""``medzoo analyze``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import Data, Device, Json, Reading, Seed, Size, SplitColumns, Task, Weights, Zoo, deliver


def analyze(
    before: Weights,
    after: Annotated[str, typer.Argument(help="The same, preferably fine-tuned on the data set's classes.")],
    data: Data,
    *,
    out: Annotated[Path | None, typer.Option(help="Write analysis.json and analysis.png into this folder.")] = None,
    columns: SplitColumns,
    reading: Reading,
    task: Task = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric of the scores.", show_default="the task's primary metric")
    ] = None,
    points: Annotated[int, typer.Option(help="Points on the line between the two networks.")] = 11,
    recalibrate: Annotated[
        bool, typer.Option(help="Recompute batch-norm statistics at each point, or interpolate them.")
    ] = True,
    image_size: Size = None,
    seed: Seed = 0,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Analyze what was transferred: features, weights, the path between two networks, and their parts."""
    from medzoo.analysis.analyze import analyze as find_out

    found = find_out(
        before,
        after,
        columns.open(data, task, reading.skip_unreadable),
        task=task,
        metric=metric,
        points=points,
        recalibrate=recalibrate,
        image_size=image_size,
        seed=seed,
        device=device,
        zoo=zoo,
        **vars(reading),
    )
    deliver(found, as_json, out)
