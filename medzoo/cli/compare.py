"""``medzoo compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    Augment,
    Columns,
    Data,
    Device,
    Jobs,
    Json,
    LogWith,
    Positive,
    Protocol,
    Reading,
    Scheduler,
    SeveralWeights,
    Sites,
    Size,
    Stress,
    Task,
    Zoo,
    deliver,
)
from medzoo.core.errors import RunError


def compare(
    data: Data,
    weights: SeveralWeights = None,
    *,
    all_in_zoo: Annotated[
        bool, typer.Option("--all-in-zoo", help="All weights of the zoo: own, imported and previews; the default.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write report, tables and every run into this folder.")] = None,
    columns: Columns,
    reading: Reading,
    protocol: Protocol,
    validation: Annotated[
        str | None,
        typer.Option(help="leave-one-site-out: also train without each site.", show_default="random divisions alone"),
    ] = None,
    groups: Sites,
    site_probe: Annotated[
        bool, typer.Option("--site-probe", help="Tell how well the site is told from the features.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option(help="Weights to test the others against.", show_default="ImageNet's")
    ] = None,
    task: Task = None,
    positive: Positive = None,
    augment: Augment = "light",
    image_size: Size = None,
    stress: Stress = False,
    jobs: Jobs = 1,
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
            columns.open(data, task, reading.skip_unreadable, groups.names),
            weights or None,
            baseline=baseline,
            task=task,
            positive=positive,
            augment=augment,
            image_size=image_size,
            cells=None if out is None else out / CELLS,
            jobs=jobs,
            scheduler=scheduler,
            device=device,
            log_with=log_with,
            zoo=zoo,
            validation=validation,
            site_probe=site_probe,
            stress=stress,
            **groups.options(),
            **protocol.options(),
            **vars(reading),
        )
    deliver(found, as_json, out)
