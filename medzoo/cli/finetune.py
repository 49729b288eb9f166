"""``medzoo finetune``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.options import (
    Columns,
    Device,
    Json,
    LabelColumns,
    LabelSeparator,
    LogWith,
    MaxPixels,
    Page,
    PathColumn,
    PatientColumn,
    Positive,
    Root,
    Size,
    SkipUnreadable,
    SplitColumn,
    Uncertain,
    Zoo,
    data_of,
    print_json,
    validation_of,
)


def finetune(
    weights: Annotated[str, typer.Argument(help="Name of pretrained weights, or the folder of a bundle.")],
    data: Annotated[Path, typer.Argument(help="A folder of class folders, or a CSV or Parquet table.")],
    out: Annotated[Path | None, typer.Option(help="Write the model, its card and curves into this folder.")] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Share of the images to hold out, by patient where known, or a folder or table of other images.",
            show_default="the data's own split, else 0.2",
        ),
    ] = None,
    root: Root = None,
    path_column: PathColumn = "path",
    label_column: LabelColumns = None,
    patient_column: PatientColumn = None,
    split_column: SplitColumn = None,
    label_separator: LabelSeparator = None,
    uncertain: Uncertain = None,
    page: Page = None,
    max_pixels: MaxPixels = None,
    skip_unreadable: SkipUnreadable = False,
    strategy: Annotated[
        str, typer.Option(help="full, linear_probe, lp_ft, gradual, truncated or feature_extraction.")
    ] = "full",
    head: Annotated[str, typer.Option(help="mlp (the paper's) or linear.")] = "mlp",
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, ordinal or multilabel.", show_default="from the labels")
    ] = None,
    positive: Positive = None,
    epochs: Annotated[int, typer.Option(help="Epochs.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 16,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-4,
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
    augment: Annotated[str, typer.Option(help="none, light, cxr, hwsi or efi.")] = "light",
    class_weights: Annotated[str, typer.Option(help="auto, balanced or none.")] = "auto",
    image_size: Size = None,
    truncate: Annotated[
        int | None,
        typer.Option(help="Keep only the first dense blocks, so many.", show_default="2 for truncated, else all"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of split, order, augmentation and head.")] = 0,
    device: Device = None,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Leave out images and patients that were part of pretraining.")
    ] = False,
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
    columns = Columns(root, path_column, label_column, patient_column, split_column, label_separator, uncertain)
    try:
        with muted(as_json):
            report = tune(
                weights,
                data_of(data, columns, task, skip_unreadable),
                validation=validation_of(validation, columns, task, skip_unreadable),
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
                page=page,
                max_pixels=max_pixels,
                skip_unreadable=skip_unreadable,
                zoo=zoo,
                exclude_seen=exclude_seen,
                checkpoints=None if out is None else out.with_name(f"{out.name}.checkpoints"),
                resume=resume,
                log_with=log_with,
            )
    except Stopped:
        if out is not None:
            say("stopped and saved; the same command with --resume continues")
        raise
    if out is not None:  # before anything is printed: a closed pipe must not cost the model
        report.save(out)
        sys.stderr.write(f"saved to {out}\n")
    if as_json:
        print_json(report.to_dict())
    else:
        typer.echo(str(report))
