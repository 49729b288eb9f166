"""``medzoo list``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from medzoo.cli.options import Json, Zoo, print_json
from medzoo.zoo.weights import WEIGHTS, study_names


def list_weights(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*_in'.")] = "*",
    domain: Annotated[str | None, typer.Option(help="cxr, hwsi, efi or all.")] = None,
    known: Annotated[bool, typer.Option("--known", help="Public checkpoints that 'medzoo import' knows.")] = False,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """List the pretrained weights, and those of a folder zoo beside the study's own."""
    if known:
        titles = _known(pattern)
    else:
        titles = {name: WEIGHTS[name].title for name in study_names(pattern, domain)}
        titles |= _others(pattern, domain, zoo) if zoo else {}
    if as_json:
        print_json([{"name": name, "title": title} for name, title in titles.items()])
        return
    width = max(map(len, titles), default=0)
    for name, title in titles.items():
        typer.echo(f"{name:<{width}}  {title}")


def _others(pattern: str, domain: str | None, zoo: str) -> dict[str, str]:
    from medzoo.zoo.listing import list_models, others

    there = others(zoo)
    return {name: f"{there[name].arch}, imported" for name in list_models(pattern, domain, zoo) if name in there}


def _known(pattern: str) -> dict[str, str]:
    from medzoo.importing.known import KNOWN

    return {
        name: f"{entry.title} [{entry.spec.licence or 'see its licence'}]{'' if entry.verified else ' unverified'}"
        for name, entry in KNOWN.items()
        if fnmatchcase(name, pattern)
    }
