"""Options and output that several commands share."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Zoo = Annotated[
    str | None,
    typer.Option(
        help="A folder zoo, a zip of one, or hf://ORG.", envvar="MEDZOO_ZOO", show_default="the project's, on the Hub"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Size = Annotated[int | None, typer.Option(help="Side of the network's input in pixels.", show_default="the weight's")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda.", show_default="a GPU where there is one")]


def print_json(value: Any) -> None:
    """Print for a program to read."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
