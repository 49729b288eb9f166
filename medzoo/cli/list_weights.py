"""``medzoo list``."""

from __future__ import annotations

from typing import Annotated

import typer

from medzoo.cli.options import Json, Zoo, print_json
from medzoo.zoo.weights import WEIGHTS, list_models


def list_weights(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*_in'.")] = "*",
    domain: Annotated[str | None, typer.Option(help="cxr, hwsi, efi or all.")] = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """List the pretrained weights and whether they are published, a preview, or not trained yet."""
    from medzoo.zoo.catalog import status_of

    names = list_models(pattern, domain)
    states = {name: status_of(name, zoo) for name in names}
    if as_json:
        print_json([{"name": name, "title": WEIGHTS[name].title, "status": states[name]} for name in names])
        return
    width, wide = max(map(len, names), default=0), max(map(len, states.values()), default=0)
    for name in names:
        typer.echo(f"{name:<{width}}  {states[name]:<{wide}}  {WEIGHTS[name].title}")
