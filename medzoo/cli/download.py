"""``medzoo download``."""

from __future__ import annotations

from typing import Annotated

import typer

from medzoo.cli.options import Zoo


def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of pretrained weights.")],
    zoo: Zoo = None,
) -> None:
    """Download weights into the cache, with all files of their bundles, and print where they are."""
    from medzoo.zoo.resolve import resolve

    for name in names:
        typer.echo(f"{name}: {resolve(name, zoo, whole=True).folder}")
