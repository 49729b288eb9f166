"""The command ``publish``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import ImageNet, Work


def publish(
    name: Annotated[str, typer.Argument(help="A weight's name.")],
    *,
    out: Annotated[str, typer.Option(help="Write into this folder zoo, made where missing, or to hf://ORG.")],
    work: Work = Path("work"),
    imagenet_weights: ImageNet = None,
    really: Annotated[
        bool | None,
        typer.Option(
            "--send/--dry-run",
            help="Publish, or show what would be.",
            show_default="--dry-run for hf://ORG",
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="On the Hub, in a private repository.")] = False,
    half: Annotated[bool, typer.Option("--half", help="In half precision, as in preview/.")] = False,
    accept_terms: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SET",
            help="Publish though this data set's terms are not known to allow it; recorded; repeat for several.",
        ),
    ] = None,
) -> None:
    """Validate a run's bundle and copy it to a folder zoo, or with --send to the Hub."""
    from medzoo.zoo.resolve import org_of
    from medzoo.zoo.weights import find
    from training.pretraining.imagenet import import_imagenet
    from training.publishing.publish import plan, send

    on_hub = org_of(out) is not None
    if find(name).source is None and imagenet_weights is not None:
        import_imagenet(imagenet_weights, work, find(name).arch)
    ready = plan(name, work, out, private=private, half=half, accepted=accept_terms or ())
    if really or (really is None and not on_hub):
        typer.echo(f"published {send(ready)}")
    else:
        typer.echo(f"{ready}\nnothing was published; add --send to publish")
