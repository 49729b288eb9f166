"""``medzoo look``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import Data, FixedSize, Json, Pages, SplitColumns, Task, deliver


def look(
    data: Data,
    *,
    out: Annotated[Path | None, typer.Option(help="Write overview.png into this folder.")] = None,
    columns: SplitColumns,
    pages: Pages,
    task: Task = None,
    image_size: FixedSize = 224,
    as_json: Json = False,
) -> None:
    """Look at a data set before training: what was found and left out, and which images look wrong."""
    from medzoo.core.output import check_output
    from medzoo.reporting.look import look as look_at

    picture = None if out is None else out / "overview.png"
    if picture is not None:
        check_output(picture)  # before the work, not after it
    found = look_at(
        columns.open(data, task, skip_unreadable=True),
        task=task,
        image_size=image_size,
        **vars(pages),
    )
    deliver(found, as_json)
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        found.plot(picture)
        sys.stderr.write(f"saved to {picture}\n")
