"""``medzoo finetune``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from medzoo.cli.options import (
    Augment,
    BatchSize,
    Columns,
    Data,
    Device,
    Epochs,
    ExcludeSeen,
    Json,
    LogWith,
    Lr,
    Positive,
    Reading,
    Seed,
    Sites,
    Size,
    SplitColumns,
    Stress,
    Task,
    Weights,
    Zoo,
    deliver,
)


def finetune(
    weights: Weights,
    data: Data,
    *,
    out: Annotated[Path | None, typer.Option(help="Write the model, its card and curves into this folder.")] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Share of the images to hold out, by patient where known; a folder or table of other images; or "
            "leave-one-site-out.",
            show_default="the data's own split, else 0.2",
        ),
    ] = None,
    columns: SplitColumns,
    reading: Reading,
    groups: Sites,
    strategy: Annotated[
        str, typer.Option(help="full, linear_probe, lp_ft, gradual, truncated or feature_extraction.")
    ] = "full",
    head: Annotated[str, typer.Option(help="mlp (the paper's) or linear.")] = "mlp",
    task: Task = None,
    positive: Positive = None,
    epochs: Epochs = 20,
    batch_size: BatchSize = 16,
    lr: Lr = 3e-4,
    weight_decay: Annotated[float, typer.Option(help="Weight decay; none on norms and biases.")] = 0.01,
    layer_decay: Annotated[
        float, typer.Option(help="Factor of the learning rate from each block to the one before it.")
    ] = 1.0,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs without improvement on a part of the training images; keep the best.",
            show_default="no early stopping",
        ),
    ] = None,
    augment: Augment = "light",
    class_weights: Annotated[str, typer.Option(help="auto, balanced or none.")] = "auto",
    image_size: Size = None,
    truncate: Annotated[
        int | None,
        typer.Option(help="Keep only the first dense blocks, so many.", show_default="2 for truncated, else all"),
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    exclude_seen: ExcludeSeen = False,
    stress: Stress = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the same interrupted command.")] = False,
    log_with: LogWith = None,
    zoo: Zoo = None,
    as_json: Json = False,
) -> None:
    """Fine-tune pretrained weights on your own images and evaluate on held-out ones."""
    from medzoo.core.errors import MedzooError
    from medzoo.core.output import check_output
    from medzoo.core.progress import muted, say
    from medzoo.engine.interrupts import Stopped
    from medzoo.finetuning.finetune import finetune as tune
    from medzoo.models.saving import check_free

    if out is not None:
        check_free(out)  # before the work, not after it
        check_output(out)
    elif resume:
        raise MedzooError("--resume continues a run that was given --out; name the same folder")
    logging.getLogger("medzoo").setLevel(logging.INFO)  # which strategy, which head, which class weights
    try:
        with muted(as_json):
            report = tune(
                weights,
                columns.open(data, task, reading.skip_unreadable, groups.names),
                validation=validation_of(validation, columns, task, reading.skip_unreadable, groups.names),
                task=task,
                positive=positive,
                strategy=strategy,
                head=head,
                epochs=epochs,
                batch_size=batch_size,
                lr=lr,
                weight_decay=weight_decay,
                layer_decay=layer_decay,
                patience=patience,
                augment=augment,
                class_weights=class_weights,
                image_size=image_size,
                truncate=truncate,
                seed=seed,
                device=device,
                log_with=log_with,
                zoo=zoo,
                exclude_seen=exclude_seen,
                stress=stress,
                checkpoints=None if out is None else out.with_name(f"{out.name}.checkpoints"),
                resume=resume,
                **groups.options(),
                **vars(reading),
            )
    except Stopped:
        if out is not None:
            say("stopped and saved; the same command with --resume continues")
        raise
    deliver(report, as_json, out)


def validation_of(
    text: str | None,
    columns: Columns,
    task: str | None = None,
    skip_unreadable: bool = False,
    further: Sequence[str] = (),
) -> Any:
    """Parse ``--validation``: nothing, a share, leave-one-site-out, or a data set with the columns of the other one.

    Args:
        text: A number, a folder or a table.
        columns: The table's columns; not used for a folder.
        task: As in ``Columns.open``.
        skip_unreadable: As in ``Columns.open``.
        further: As in ``Columns.open``.

    Raises:
        DataError: As in ``Columns.open``.
    """
    if text is None or text == "leave-one-site-out":
        return text
    try:
        return float(text)
    except ValueError:
        return Path(text) if Path(text).is_dir() else columns.open(Path(text), task, skip_unreadable, further)
