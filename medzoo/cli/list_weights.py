"""``medzoo list``."""

from __future__ import annotations

from typing import Annotated

import typer

from medzoo.cli.options import Json, print_json
from medzoo.zoo.weights import WEIGHTS, list_models


def list_weights(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*_in'.")] = "*",
    domain: Annotated[str | None, typer.Option(help="cxr, hwsi, efi or all.")] = None,
    as_json: Json = False,
) -> None:
    """List the pretrained weights."""
    names = list_models(pattern, domain)
    if as_json:
        print_json([{"name": name, "title": WEIGHTS[name].title} for name in names])
        return
    width = max(map(len, names), default=0)
    for name in names:
        typer.echo(f"{name:<{width}}  {WEIGHTS[name].title}")
