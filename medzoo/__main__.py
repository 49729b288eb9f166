"""The ``medzoo`` command line. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from medzoo._version import __version__
from medzoo.commandline import new_app, run
from medzoo.commands import export as export_command
from medzoo.commands import zoo as zoo_commands
from medzoo.weights import WEIGHTS, list_models

app = new_app("Weights pretrained on medical images, and the tool that uses them. Not for diagnosis.")

for command in (zoo_commands.download, zoo_commands.verify, zoo_commands.mirror):
    app.command()(command)

Zoo = Annotated[
    str | None,
    typer.Option(help="A folder zoo, or hf://ORG.", envvar="MEDZOO_ZOO", show_default="the project's, on the Hub"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Size = Annotated[int | None, typer.Option(help="Side of the network's input in pixels.", show_default="the weight's")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda.", show_default="a GPU where there is one")]


app.command()(export_command.export)


def main() -> None:
    """Entry point of the console script."""
    run(app)


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _version(show: bool) -> None:
    if show:
        typer.echo(f"medzoo {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Weights pretrained on medical images, and the tool that uses them. Not for diagnosis."""


@app.command("list")
def list_weights(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, such as '*_in'.")] = "*",
    domain: Annotated[str | None, typer.Option(help="cxr, hwsi, efi or all.")] = None,
    as_json: Json = False,
) -> None:
    """List the weights."""
    names = list_models(pattern, domain)
    if as_json:
        _print([{"name": name, "title": WEIGHTS[name].title} for name in names])
        return
    width = max(map(len, names), default=0)
    for name in names:
        typer.echo(f"{name:<{width}}  {WEIGHTS[name].title}")


@app.command()
def info(name: Annotated[str, typer.Argument(help="A weight's name.")], zoo: Zoo = None, as_json: Json = False) -> None:
    """Show everything known about one weight."""
    from medzoo.catalog import get_weights

    record = asdict(get_weights(name, zoo))
    if as_json:
        _print(record)
        return
    for key, value in record.items():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        typer.echo(f"{key:<11} {'-' if shown in ('', None, {}) else shown}")


@app.command()
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
        _print(report.to_dict())
    else:
        typer.echo(str(report))
    if out is not None:
        report.save(out)
        sys.stderr.write(f"saved to {out}\n")


@app.command()
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
        _print(found.to_dicts())
    else:
        typer.echo(found.to_csv(), nl=False)


@app.command()
def audit(
    data: Annotated[Path, typer.Argument(help="A folder of images, or a CSV or Parquet table.")],
    weight: Annotated[str, typer.Argument(help="A weight's name, or the folder of a bundle.")],
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Find the images, and the patients, that a weight has seen in pretraining."""
    from medzoo.overlap.auditing import audit as find

    found = find(data, weight, zoo=zoo)
    if as_json:
        _print(found.to_dict())
    else:
        typer.echo(str(found))


if __name__ == "__main__":
    main()
