"""The ``python -m training`` command line: makes, checks and publishes weights, and runs the study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.commandline import new_app, run
from training.commands import cards, publishing
from training.commands import data as data_commands
from training.commands.options import DataFolder, Device, ImageNet, Limit, Partial, Rejected, Size, Work, Zoo, existing

app = new_app("Make, check and publish the weights of medzoo, and run its study.")

for command in (data_commands.download, data_commands.check, data_commands.prepare, publishing.publish, cards.card):
    app.command()(command)


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Make, check and publish the weights of medzoo, and run its study."""


@app.command()
def pretrain(
    name: Annotated[str, typer.Argument(help="One of the eight names that are trained.")],
    data: DataFolder = None,
    work: Work = Path("work"),
    recipe: Annotated[str, typer.Option(help="paper or medzoo.")] = "paper",
    image_size: Size = 224,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images.", show_default="the recipe's")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.", show_default="the recipe's")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate.", show_default="the recipe's, by the batch's square root")
    ] = None,
    limit: Limit = None,
    allow_partial: Partial = False,
    imagenet_weights: ImageNet = None,
    random: Annotated[
        str, typer.Option(help="Start of the ri names: plain or meanvar (at ImageNet's scale).")
    ] = "plain",
    use: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=SET+SET", help="Other data sets for a source; recorded as such."),
    ] = None,
    max_rejected: Rejected = 0,
    seed: Annotated[int, typer.Option(help="Split, initial values, order, augmentation.")] = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, not from the last checkpoint.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's event files too.")] = False,
    checkpoint_every: Annotated[float, typer.Option(help="Seconds between two checkpoints.")] = 300.0,
    device: Device = None,
    precision: Annotated[str | None, typer.Option(help="bf16 or fp32.", show_default="what the device has")] = None,
    compile_network: Annotated[bool, typer.Option("--compile", help="Compile the network; for runs of hours.")] = False,
) -> None:
    """Pretrain a weight, or go on where it was interrupted; caches are made where missing.

    Several GPUs: torchrun --nproc-per-node N -m training pretrain NAME ...
    """
    from medzoo.execution import Execution
    from training.options import Options, parse_sets
    from training.pretrain import pretrain as start

    folder = start(
        name,
        existing(data),
        work,
        Options(
            recipe=recipe,
            image_size=image_size,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            limit=limit,
            allow_partial=allow_partial,
            imagenet_weights=imagenet_weights,
            max_rejected=max_rejected,
            sets=parse_sets(use or []),
            random=random,
            seed=seed,
            restart=restart,
            tensorboard=tensorboard,
            checkpoint_every=checkpoint_every,
            execution=Execution(device, precision, compile_network),
        ),
    )
    typer.echo(f"run and bundle are in {folder}")


@app.command()
def study(
    data: DataFolder = None,
    work: Work = Path("work"),
    zoo: Zoo = None,
    targets: Annotated[
        str | None, typer.Option(help="Names, with commas between.", show_default="all there are")
    ] = None,
    arms: Annotated[
        str | None, typer.Option(help="Arms, with commas between.", show_default="all with weights")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds, each with its own split.")] = 1,
    image_size: Size = 224,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 16,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-4,
    limit: Limit = None,
    allow_partial: Partial = False,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Leave out what any arm of a target has seen, for all its arms.")
    ] = False,
    device: Device = None,
) -> None:
    """Fine-tune every start on every target; table, curves and report."""
    from training.study import Options
    from training.study import study as start
    from training.study_report import markdown, write_report

    chosen = Options(image_size, epochs, batch_size, lr, 0.2, seeds, limit, allow_partial, device, exclude_seen)
    rows = start(existing(data), work, zoo, chosen, targets=_names(targets), only=_names(arms))
    page = write_report(rows, work / "study")
    typer.echo(markdown(rows), nl=False)
    typer.echo(f"report: {page}")


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text else None


@app.command()
def demo(
    work: Annotated[Path, typer.Option(help="Everything goes here.")] = Path("demo"),
    images: Annotated[int, typer.Option(help="Drawings a data set.")] = 120,
    image_size: Size = 32,
    imagenet_weights: ImageNet = None,
) -> None:
    """Run the whole chain on small drawings: prepare, pretrain, publish, fine-tune, report."""
    from training.demo import demo as start

    start(work, images=images, image_size=image_size, imagenet_weights=imagenet_weights)


def main() -> None:
    """Entry point."""
    run(app)


if __name__ == "__main__":
    main()
