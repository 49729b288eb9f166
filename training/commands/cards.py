"""The command ``card``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.core.errors import RunError


def card(
    evidence: Annotated[
        Path | None,
        typer.Option(
            help="A folder with runs/, study/ and audits/, such as a work folder.",
            show_default="model_cards/evidence and preview/",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write into this folder.", show_default="model_cards; a gallery has none")
    ] = None,
    site: Annotated[bool, typer.Option("--site", help="Make a gallery of static pages instead of cards.")] = False,
) -> None:
    """Write the card of every weight, or all of them as a gallery to browse."""
    from training.publishing.card import CARDS, repository_evidence, write_cards
    from training.publishing.evidence import read_evidence
    from training.publishing.gallery import write_site

    found = repository_evidence() if evidence is None else read_evidence(evidence)
    if not site:
        typer.echo(f"{len(write_cards(out or CARDS, found))} cards in {out or CARDS}")
    elif out is not None:
        typer.echo(f"gallery: {write_site(out, found)}")
    else:
        raise RunError("--site makes a gallery; name its folder with --out")
