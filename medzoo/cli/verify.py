"""``medzoo verify``."""

from __future__ import annotations

import sys

import typer

from medzoo.cli.options import Json, Names, Zoo, print_json
from medzoo.core.errors import MedzooError


def verify(names: Names = None, zoo: Zoo = None, as_json: Json = False) -> None:
    """Check that weights are the published files and give the published outputs here; exit code 1 if any fails."""
    from medzoo.models.verify import verify_weights
    from medzoo.zoo.resolve import published

    found = []
    for name in names or published(zoo):
        try:
            passed = verify_weights(name, zoo)
        except MedzooError as error:
            found.append({"name": name, "sound": False, "problem": str(error)})
            sys.stderr.write(f"error: {name}: {error}\n")
        else:
            found.append({"name": name, "sound": True, "difference": passed.difference})
            if not as_json:
                typer.echo(str(passed))
    if as_json:
        print_json(found)
    if not found:
        raise MedzooError("nothing is published in this zoo yet; name the weights to check, or give another --zoo")
    if not all(entry["sound"] for entry in found):
        raise typer.Exit(1)
