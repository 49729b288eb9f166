"""The command ``study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.compare import listed, numbers
from training.commands.options import DataFolder, Device, Limit, Partial, Scheduler, Size, Work, existing


def study(
    data: DataFolder = None,
    work: Work = Path("work"),
    zoo: Annotated[
        list[str] | None,
        typer.Option(
            help="A folder zoo, or hf://ORG; of several (--zoo A --zoo B) the first that has a weight.",
            show_default="MEDZOO_ZOO, else the project's on the Hub, else preview/",
        ),
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Comma-separated names.", show_default="all in the folder")
    ] = None,
    arms: Annotated[str | None, typer.Option(help="Comma-separated arms.", show_default="all with weights")] = None,
    seeds: Annotated[int, typer.Option(help="Repeats of the split of each target.")] = 1,
    folds: Annotated[
        int | None,
        typer.Option(help="Folds of each split; 1 for one held-out fifth.", show_default="5; 1 from 2,000 images on"),
    ] = None,
    strategies: Annotated[str, typer.Option(help="Comma-separated names.")] = "full",
    fractions: Annotated[str, typer.Option(help="Shares of the training images, such as 0.1,0.25,1.")] = "1",
    image_size: Size = 224,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 16,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-4,
    limit: Limit = None,
    allow_partial: Partial = False,
    exclude_seen: Annotated[
        bool,
        typer.Option("--exclude-seen", help="Exclude images that any arm has seen in pretraining."),
    ] = False,
    jobs: Annotated[int, typer.Option(help="Runs at a time, in processes of this machine.")] = 1,
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
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            seeds=seeds,
            folds=folds,
            strategies=tuple(listed(strategies)),
            fractions=tuple(numbers(fractions)),
            limit=limit,
            allow_partial=allow_partial,
            exclude_seen=exclude_seen,
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
