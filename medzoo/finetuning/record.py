"""What a run record says of a fine-tuning: its options, resolved, and its data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medzoo._version import __version__
from medzoo.data.dataset import Examples
from medzoo.finetuning.run import FinetuneRun
from medzoo.finetuning.strategies import STRATEGIES
from medzoo.metrics import primary


def run_config(run: FinetuneRun, left_out: dict[str, int] | None) -> dict[str, Any]:
    """Return what the run record says before training."""
    info = run.model.medzoo
    described = {"kind": "finetune", "medzoo": __version__, "weights": info.weights, "head": info.head}
    return {
        **described,
        "settings": settings_record(run),
        "data": {**data_record(run, left_out), "notes": [*run.examples.notes]},
    }


def data_record(run: FinetuneRun, left_out: dict[str, int] | None) -> dict[str, Any]:
    """Return the data's counts and split."""
    examples, split = run.examples, run.split
    return {
        "name": examples.name,
        "task": examples.task,
        "train": _counted(examples, split.train),
        "valid": _counted(examples, split.test),
        **({"selection": _counted(examples, split.val)} if len(split.val) else {}),
        "left_out": left_out,
        "split": "by patient" if examples.patients is not None else "by image: no patients are known",
    }


def settings_record(run: FinetuneRun) -> dict[str, Any]:
    """Return the options in effect, resolved."""
    options, trained = run.options, {}
    if STRATEGIES[options.strategy].epochs:
        trained = {**vars(options.training), "optimizer": "adamw", "augment": options.augment}
    if options.layer_decay != 1:
        trained["layer_decay"] = options.layer_decay
    if options.patience is not None:
        trained["patience"] = options.patience
    return {
        "strategy": options.strategy,
        **trained,
        "class_weights": formatted(run.class_weights),
        "image_size": run.model.medzoo.input.size,
        "truncate": run.model.medzoo.truncate,
        "seed": options.seed,
        "device": str(run.loader.device),
    }


def formatted(weights: NDArray[np.float32] | None) -> list[float] | None:
    """Return class weights as they are recorded; ``None`` where there are none."""
    return None if weights is None else [round(float(weight), 4) for weight in weights]


def _counted(examples: Examples, rows: Tensor) -> dict[str, Any]:
    return {"images": len(rows), "counts": examples.counts(rows.numpy())}


def epoch_kept(history: list[dict[str, Any]]) -> int:
    """Return the epoch that early stopping kept."""
    return next(int(record["epoch"]) for record in history if record.get("kept"))


def selection_note(run: FinetuneRun, history: list[dict[str, Any]]) -> list[str]:
    """Return a note on the images that chose the epoch, where there was early stopping."""
    if run.options.patience is None:
        return []
    return [
        f"{len(run.split.val):,} of the training images chose epoch {epoch_kept(history)} of {len(history)}, by "
        f"{primary(run.examples.task)}; the held-out images chose nothing."
    ]
