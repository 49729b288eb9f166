"""``medzoo export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import Json, Size, Zoo, print_json


def export(
    model: Annotated[
        str, typer.Argument(help="Name of pretrained weights, or the folder of a bundle or fine-tuned model.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Write this file, usually .onnx or .pt2.")],
    format: Annotated[  # noqa: A002
        str | None, typer.Option(help="onnx or torch (torch.export).", show_default="torch for .pt2, else onnx")
    ] = None,
    image_size: Size = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Export a model as ONNX or a torch.export program, and check that its outputs are the same."""
    from medzoo.models.create import create_model
    from medzoo.models.export import export as write

    network = create_model(model, image_size=image_size, zoo=zoo)
    found = write(network, out, format or ("torch" if out.suffix == ".pt2" else "onnx"))
    if as_json:
        print_json(vars(found))
        return
    contract = network.medzoo.input
    typer.echo(str(found))
    typer.echo(
        f"takes float32 [N, {contract.channels}, {contract.size}, {contract.size}]: values 0 to 255 divided by 255, "
        f"minus {_numbers(contract.mean)}, divided by {_numbers(contract.std)}"
    )


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
