"""The command line ``python -m training``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.app import new_app, run
from medzoo.cli.options import BATCH_SIZE, EPOCHS, LR, Debug, Device, FixedSize, LogWith, Seed
from medzoo.cli.parsing import grouped
from training.commands import cards, publishing
from training.commands import data as data_commands
from training.commands import study as study_command
from training.commands.options import DataFolder, ImageNet, Limit, Partial, Rejected, Work, existing

app = new_app("Make, check and publish the weights of medzoo, and run its study.")

for command in (data_commands.download, data_commands.check, data_commands.prepare, publishing.publish, cards.card):
    app.command()(command)


@app.callback()
def options(debug: Debug = False) -> None:
    """Make, check and publish the weights of medzoo, and run its study."""


@app.command()
def pretrain(
    name: Annotated[str, typer.Argument(help="One of the eight names that are trained.")],
    data: DataFolder = None,
    work: Work = Path("work"),
    recipe: Annotated[str, typer.Option(help="paper or medzoo.")] = "paper",
    image_size: FixedSize = 224,
    epochs: Annotated[int | None, typer.Option(help=EPOCHS, show_default="the recipe's")] = None,
    batch_size: Annotated[int | None, typer.Option(help=BATCH_SIZE, show_default="the recipe's")] = None,
    lr: Annotated[float | None, typer.Option(help=LR, show_default="the recipe's, by the batch's square root")] = None,
    limit: Limit = None,
    allow_partial: Partial = False,
    imagenet_weights: ImageNet = None,
    random: Annotated[
        str,
        typer.Option(help="Initialization of the ri names: plain or meanvar (of ImageNet's layers)."),
    ] = "plain",
    use: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE=SET+SET", help="Other data sets for a source; recorded as such; repeat for several."
        ),
    ] = None,
    max_rejected: Rejected = 0,
    seed: Seed = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Start over instead of resuming.")] = False,
    log_with: LogWith = None,
    checkpoint_every: Annotated[float, typer.Option(help="Seconds between two checkpoints.")] = 300.0,
    device: Device = None,
    precision: Annotated[str | None, typer.Option(help="bf16 or fp32.", show_default="bf16 if supported")] = None,
    compile_network: Annotated[bool, typer.Option("--compile", help="Compile the network; for runs of hours.")] = False,
) -> None:
    """Pretrain a weight, or resume an interrupted run; missing caches are made.

    Several GPUs: torchrun --nproc-per-node N -m training pretrain NAME ...
    """
    from medzoo.engine.runtime import Execution
    from training.pretraining.options import PretrainOptions, parse_sets
    from training.pretraining.pretrain import pretrain as run_pretraining

    folder = run_pretraining(
        name,
        existing(data),
        work,
        PretrainOptions(
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
            log_with=log_with,
            checkpoint_every=checkpoint_every,
            execution=Execution(device, precision, compile_network),
        ),
    )
    typer.echo(f"run and bundle are in {folder}")


app.command()(grouped(study_command.study))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Write everything into this folder.")] = Path("demo"),
    images: Annotated[int, typer.Option(help="Synthetic images of each data set of pretraining.")] = 120,
    image_size: FixedSize = 32,
    imagenet_weights: ImageNet = None,
) -> None:
    """Run the whole pipeline: pretrain and publish on synthetic images; fine-tune and report on real tissue tiles."""
    from training.commands.demo import demo as run_demo

    run_demo(out, images=images, image_size=image_size, imagenet_weights=imagenet_weights)


def main() -> None:
    """Entry point."""
    run(app)


if __name__ == "__main__":
    main()
