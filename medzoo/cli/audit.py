"""``medzoo audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import Json, Zoo, print_json


def audit(
    data: Annotated[Path, typer.Argument(help="A folder of images, or a CSV or Parquet table.")],
    weight: Annotated[str, typer.Argument(help="Name of pretrained weights, or the folder of a bundle.")],
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Find the images and patients that were part of pretraining."""
    from medzoo.contamination.audit import audit as find

    found = find(data, weight, zoo=zoo)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
