"""``medzoo info``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from medzoo.cli.options import Json, Zoo, print_json


def info(
    name: Annotated[str, typer.Argument(help="Name of pretrained weights.")], zoo: Zoo = None, as_json: Json = False
) -> None:
    """Show everything known about pretrained weights."""
    from medzoo.zoo.catalog import get_weights

    record = asdict(get_weights(name, zoo))
    if as_json:
        print_json(record)
        return
    for key, value in record.items():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        typer.echo(f"{key:<11} {'-' if shown in ('', None, {}) else shown}")
