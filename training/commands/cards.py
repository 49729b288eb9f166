"""The command ``card``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def card(
    evidence: Annotated[
        Path | None,
        typer.Option(
            help="A folder with runs/, study/ and audits/, such as a work folder.",
            show_default="the kept study of the previews, and preview/",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the cards here.", show_default="model_cards, and those in preview/")
    ] = None,
) -> None:
    """Write the card of every weight."""
    from training.publishing.card import CARDS, repository_evidence, write_cards, write_preview_cards
    from training.publishing.evidence import read_evidence

    found = repository_evidence() if evidence is None else read_evidence(evidence)
    typer.echo(f"{len(write_cards(out or CARDS, found))} cards in {out or CARDS}")
    if evidence is None and out is None:
        typer.echo(f"{len(write_preview_cards(found))} cards in preview/")
