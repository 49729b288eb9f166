"""The commands ``download``, ``check`` and ``prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import FixedSize, Json, Scheduler, print_json
from medzoo.core.errors import DataError
from medzoo.core.progress import counting
from training.commands.options import DataFolder, Limit, Partial, Rejected, Sets, Work, existing, named

MEGABYTE = 1_000_000


def download(
    name: Annotated[str, typer.Argument(metavar="SET", help="A data set of the study.")],
    data: DataFolder = None,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep the archives.")] = False,
) -> None:
    """Fetch, verify and unpack a data set, or show how to get it by hand."""
    from training.download.download import download as fetch

    with counting(f"downloading {name}", "MB") as count:

        def progress(done: int, total: int | None) -> None:
            count(done // MEGABYTE, max(done, total or 0) // MEGABYTE)

        fetch(name, named(data), announce=typer.echo, keep_archives=keep_archives, progress=progress)


def check(
    names: Sets = None,
    data: DataFolder = None,
    allow_partial: Partial = False,
    as_json: Json = False,
) -> None:
    """Compare data sets with what is known of them, and decode every image; exit code 1 if something is wrong."""
    from training.datasets.check_report import check_and_describe, table

    folder = existing(data)
    found = []
    for name in _chosen(names, folder):
        with counting(f"checking {name}") as progress:
            found.append(check_and_describe(name, folder, allow_partial=allow_partial, progress=progress))
    if as_json:
        print_json(found)
    else:
        typer.echo(table(found))
    if any(entry["problems"] for entry in found):
        raise typer.Exit(1)


def prepare(
    names: Sets = None,
    data: DataFolder = None,
    work: Work = Path("work"),
    image_size: FixedSize = 224,
    limit: Limit = None,
    allow_partial: Partial = False,
    max_rejected: Rejected = 0,
    scheduler: Scheduler = None,
) -> None:
    """Decode data sets once into caches; resumes an interrupted call."""
    from medzoo.core.cluster import connect
    from training.cache.load import prepared

    folder = existing(data)
    chosen = _chosen(names, folder)
    with connect(scheduler) as cluster:
        for name in chosen:
            cache, notes = prepared(
                name,
                folder,
                work / "cache",
                size=image_size,
                limit=limit,
                allow_partial=allow_partial,
                max_rejected=max_rejected,
                scheduler=cluster,
            )
            typer.echo(f"{name}: {len(cache):,} images {'x'.join(map(str, cache.images.shape[1:]))} in {cache.folder}")
            for note in notes:
                typer.echo(f"  {note}")


def _chosen(names: list[str] | None, folder: Path) -> list[str]:
    """Return the given data sets, or all in the folder."""
    from training.datasets import DATASETS, available

    chosen = [DATASETS[name].name for name in names or available(folder)]
    if not chosen:
        raise DataError(f"no known data set is in {folder}; known: {', '.join(DATASETS)}")
    return chosen
