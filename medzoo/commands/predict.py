"""The command that predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.commands.options import Device, Json, Zoo, print_json


def predict(
    model: Annotated[str, typer.Argument(help="The folder of a fine-tuned model, or a weight's name.")],
    images: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    out: Annotated[Path | None, typer.Option(help="Write a CSV or JSON file.", show_default="print")] = None,
    batch_size: Annotated[int, typer.Option(help="Images at a time.")] = 32,
    device: Device = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Predict class probabilities for images."""
    from medzoo.model import create_model
    from medzoo.prediction import predict as predict_images

    found = predict_images(create_model(model, zoo=zoo), images, batch_size=batch_size, device=device)
    if out is not None:
        found.save(out)
    elif as_json:
        print_json(found.to_dicts())
    else:
        typer.echo(found.to_csv(), nl=False)
