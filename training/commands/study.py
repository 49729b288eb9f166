"""The command ``study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import Device, ExcludeSeen, FixedSize, Jobs, Protocol, Scheduler, Zoos
from medzoo.cli.parsing import listed
from training.commands.options import DataFolder, Limit, Partial, Work, existing


def study(
    *,
    data: DataFolder = None,
    work: Work = Path("work"),
    zoo: Zoos = None,
    targets: Annotated[
        str | None, typer.Option(help="Names of data sets, separated by commas.", show_default="all in the folder")
    ] = None,
    arms: Annotated[
        str | None, typer.Option(help="Arms, separated by commas.", show_default="all with weights")
    ] = None,
    protocol: Protocol,
    image_size: FixedSize = 224,
    limit: Limit = None,
    allow_partial: Partial = False,
    exclude_seen: ExcludeSeen = False,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    device: Device = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Run nothing; write the report of WORK/study/results again.")
    ] = False,
) -> None:
    """Fine-tune all pretrained weights on all targets; write tables, curves and report.

    Finished runs are kept: the same command resumes. If a weight has seen images of a target in pretraining, results
    are given on all images and on the unseen ones.
    """
    from medzoo.core.errors import RunError
    from training.study.report import write_report
    from training.study.result import read_results
    from training.study.study import StudyOptions
    from training.study.study import study as run_study

    if report_only:
        if not read_results(work / "study"):
            raise RunError(f"{work / 'study' / 'results'} holds no results; run the study without --report-only")
    else:
        options = StudyOptions(
            image_size=image_size,
            limit=limit,
            allow_partial=allow_partial,
            exclude_seen=exclude_seen,
            **protocol.options(),
        )
        run_study(
            existing(data),
            work,
            zoo or None,
            options,
            jobs=jobs,
            scheduler=scheduler,
            device=device,
            targets=listed(targets) if targets else None,
            only=listed(arms) if arms else None,
        )
    # All targets that are there: some may have been run before, or with more fractions.
    page = write_report(read_results(work / "study"), work / "study")
    typer.echo((work / "study" / "table.md").read_text(encoding="utf-8"), nl=False)
    typer.echo(f"report: {page}")
