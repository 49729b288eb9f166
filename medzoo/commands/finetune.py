"""The command that fine-tunes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medzoo.commands.options import Device, Json, Size, Zoo, print_json


def finetune(
    weight: Annotated[str, typer.Argument(help="A weight's name, or the folder of a bundle.")],
    data: Annotated[Path, typer.Argument(help="A folder of class folders, or a CSV or Parquet table.")],
    out: Annotated[Path | None, typer.Option(help="Write the model, its card and curves into this folder.")] = None,
    validation: Annotated[float, typer.Option(help="Share of the images held out, by patient where known.")] = 0.2,
    head: Annotated[str, typer.Option(help="mlp (the paper's) or linear.")] = "mlp",
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="found")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 16,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-4,
    augment: Annotated[str, typer.Option(help="none, light, cxr, hwsi or efi.")] = "light",
    class_weights: Annotated[str, typer.Option(help="auto, balanced or none.")] = "auto",
    image_size: Size = None,
    seed: Annotated[int, typer.Option(help="Split, order, augmentation, head.")] = 0,
    device: Device = None,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Leave out images and patients that the weight has seen.")
    ] = False,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Fine-tune a weight on images of your own and measure it on held-out ones."""
    from medzoo.finetuning import finetune as tune
    from medzoo.report import check_free

    if out is not None:
        check_free(out)  # before the work, not after it
    report = tune(
        weight,
        data,
        validation=validation,
        task=task,
        head=head,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        augment=augment,
        class_weights=class_weights,
        image_size=image_size,
        seed=seed,
        device=device,
        zoo=zoo,
        exclude_seen=exclude_seen,
    )
    if as_json:
        print_json(report.to_dict())
    else:
        typer.echo(str(report))
    if out is not None:
        report.save(out)
        sys.stderr.write(f"saved to {out}\n")
