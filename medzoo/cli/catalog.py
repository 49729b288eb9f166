"""Commands that say what there is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from medzoo.cli.options import Json, Zoo, print_json
from medzoo.zoo.weights import WEIGHTS, list_models


def list_weights(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*_in'.")] = "*",
    domain: Annotated[str | None, typer.Option(help="cxr, hwsi, efi or all.")] = None,
    as_json: Json = False,
) -> None:
    """List the weights."""
    names = list_models(pattern, domain)
    if as_json:
        print_json([{"name": name, "title": WEIGHTS[name].title} for name in names])
        return
    width = max(map(len, names), default=0)
    for name in names:
        typer.echo(f"{name:<{width}}  {WEIGHTS[name].title}")


def info(name: Annotated[str, typer.Argument(help="A weight's name.")], zoo: Zoo = None, as_json: Json = False) -> None:
    """Show everything known about one weight."""
    from medzoo.zoo.catalog import get_weights

    record = asdict(get_weights(name, zoo))
    if as_json:
        print_json(record)
        return
    for key, value in record.items():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        typer.echo(f"{key:<11} {'-' if shown in ('', None, {}) else shown}")
