"""``medzoo stress``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    BatchSize,
    Classifier,
    Data,
    Device,
    Json,
    Positive,
    Reading,
    Seed,
    Sites,
    SplitColumns,
    Task,
    Zoo,
    deliver,
)
from medzoo.cli.parsing import either
from medzoo.robustness.names import DAMAGE_NAMES, SHORTCUT_NAMES


def stress(
    model: Classifier,
    data: Data,
    *,
    out: Annotated[Path | None, typer.Option(help="Write report.html, numbers and pictures into this folder.")] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, val, test or all of the data's own split.", show_default="test if present, else all"),
    ] = None,
    columns: SplitColumns,
    reading: Reading,
    groups: Sites,
    damage: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{either(DAMAGE_NAMES)}; repeat for several; '' for none.",
            show_default="all; stain for tissue alone",
        ),
    ] = None,
    shortcut: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{either(SHORTCUT_NAMES)}; repeat for several; '' for none.",
            show_default="those that fit the images",
        ),
    ] = None,
    task: Task = None,
    positive: Positive = None,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap resamples of the intervals; 0 for none.")] = 1000,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Measure a model on damaged images, and look for short cuts: what does it know without the organ?

    Of the data that the model was fine-tuned on, the images that were held out are measured.
    """
    from medzoo.core.output import check_output
    from medzoo.core.progress import muted
    from medzoo.robustness.result import check_replaceable
    from medzoo.robustness.stress import stress as measure

    if out is not None:
        check_replaceable(out)  # before the work, not after it
        check_output(out)
    with muted(as_json):
        found = measure(
            model,
            columns.open(data, task, reading.skip_unreadable, groups.names),
            damages=_named(damage),
            shortcuts=_named(shortcut),
            task=task,
            split=split,
            positive=positive,
            bootstrap=bootstrap,
            batch_size=batch_size,
            seed=seed,
            device=device,
            zoo=zoo,
            **groups.options(),
            **vars(reading),
        )
    deliver(found, as_json, out)


def _named(names: list[str] | None) -> list[str] | None:
    """Return the names given; an empty text stands for none of them."""
    return None if names is None else [name for name in names if name]
