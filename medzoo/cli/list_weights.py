"""``medzoo list``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from medzoo.cli.options import DOMAIN, Json, Zoo, print_json
from medzoo.zoo.weights import WEIGHTS, study_names


def list_weights(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*_in'.")] = "*",
    domain: Annotated[str | None, typer.Option(help=DOMAIN)] = None,
    known: Annotated[bool, typer.Option("--known", help="Public checkpoints that 'medzoo import' knows.")] = False,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """List the pretrained weights, and those of a folder zoo beside the study's own."""
    rows = _known(pattern) if known else _rows(pattern, domain, zoo)
    if as_json:
        print_json([{"name": name, "title": title, "status": status} for name, status, title in rows])
        return
    width, wide = (max((len(row[at]) for row in rows), default=0) for at in (0, 1))
    for name, status, title in rows:
        typer.echo(f"{name:<{width}}  {status:<{wide}}  {title}")


def _rows(pattern: str, domain: str | None, zoo: str | None) -> list[tuple[str, str, str]]:
    from medzoo.zoo.status import status_of

    rows = [(name, status_of(name, zoo), WEIGHTS[name].title) for name in study_names(pattern, domain)]
    return rows + (_others(pattern, domain, zoo) if zoo else [])


def _others(pattern: str, domain: str | None, zoo: str) -> list[tuple[str, str, str]]:
    from medzoo.zoo.listing import list_models, others

    there = others(zoo)
    names = [name for name in list_models(pattern, domain, zoo) if name in there]
    kinds = {name: str(there[name].run.get("kind") or "") for name in names}
    return [(name, "imported" if kinds[name] == "import" else "published", there[name].arch) for name in names]


def _known(pattern: str) -> list[tuple[str, str, str]]:
    from medzoo.importing.known import KNOWN

    return [
        (
            name,
            "verified" if entry.verified else "unverified",
            f"{entry.title} [{entry.spec.licence or 'see its licence'}]",
        )
        for name, entry in KNOWN.items()
        if fnmatchcase(name, pattern)
    ]
