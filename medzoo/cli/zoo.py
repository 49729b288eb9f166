"""Commands that fetch, check and carry weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import Json, Zoo, print_json
from medzoo.core.errors import MedzooError

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Weights; default all of the zoo.")]


def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Weights.")],
    zoo: Zoo = None,
) -> None:
    """Fetch weights into the cache, with all that belongs to them, and say where they are."""
    from medzoo.zoo.resolve import resolve

    for name in names:
        bundle = resolve(name, zoo, whole=True)
        typer.echo(f"{name}: {bundle.folder}")


def verify(
    names: Names = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Check that weights are the published ones and compute here what they did there; exit code 1 if one does not."""
    from medzoo.models.verify import check_up
    from medzoo.zoo.resolve import published

    found = []
    for name in names or published(zoo):
        try:
            checkup = check_up(name, zoo)
        except MedzooError as error:
            found.append({"name": name, "sound": False, "problem": str(error)})
            sys.stderr.write(f"error: {name}: {error}\n")
        else:
            found.append({"name": name, "sound": True, "difference": checkup.difference})
            if not as_json:
                typer.echo(str(checkup))
    if as_json:
        print_json(found)
    if not found:
        raise MedzooError("nothing is published in this zoo yet; name the weights to check, or give another --zoo")
    if not all(entry["sound"] for entry in found):
        raise typer.Exit(1)


def mirror(
    dest: Annotated[Path, typer.Argument(help="The folder zoo to make or add to, or the zip file to make.")],
    names: Names = None,
    as_zip: Annotated[bool, typer.Option("--zip", help="Make one zip file; MEDZOO_ZOO takes it as it is.")] = False,
    zoo: Zoo = None,
) -> None:
    """Copy verified weights to carry to a machine without a network."""
    from medzoo.zoo.mirror import mirror as copy
    from medzoo.zoo.mirror import mirror_zip

    made = (mirror_zip if as_zip else copy)(dest, names or (), zoo, typer.echo)
    typer.echo(f"MEDZOO_ZOO={made}")
