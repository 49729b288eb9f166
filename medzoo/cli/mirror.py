"""``medzoo mirror``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import Names, Zoo


def mirror(
    names: Names = None,
    *,
    out: Annotated[Path, typer.Option(help="Write into this folder zoo, made where missing, or this new zip file.")],
    as_zip: Annotated[bool, typer.Option("--zip", help="Write one zip file, to unzip where it is used.")] = False,
    zoo: Zoo = None,
) -> None:
    """Copy verified weights for a machine without a network."""
    from medzoo.zoo.mirror import mirror as copy
    from medzoo.zoo.mirror import mirror_zip

    if as_zip:
        made = mirror_zip(out, names or (), zoo, typer.echo)
        typer.echo(f"unzip {made} there, and set MEDZOO_ZOO to the folder")
    else:
        typer.echo(f"MEDZOO_ZOO={copy(out, names or (), zoo, typer.echo)}")
