"""Images that trained a fine-tuned model, and those that it held out, by its record and their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medzoo.data.dataset import ImageDataset
from medzoo.zoo.resolve import resolve


def held_out_ids(model: Any, data: ImageDataset[Any], zoo: str | Path | None) -> frozenset[str] | None:
    """Return the ids that a model's fine-tuning held out; ``None`` where it was on no data set of this name.

    Args:
        model: What the user gave; a network in memory has no record.
        data: The images to measure on.
        zoo: As in ``create_model``.
    """
    record = resolve(model, zoo).run if isinstance(model, (str, Path)) else {}
    if record.get("kind") != "finetune" or record.get("data", {}).get("name") != data.name:
        return None
    return frozenset(record.get("held_out") or ())


def training_notes(model: Any, data: ImageDataset[Any], zoo: str | Path | None) -> tuple[str, ...]:
    """Note where a model was fine-tuned on a data set of this name and not all of these images were held out."""
    held_out = held_out_ids(model, data, zoo)
    others = 0 if held_out is None else len(set(data.ids) - held_out)
    if not others:
        return ()
    return (
        f"The model was fine-tuned on a data set of this name, and {others:,} of these {len(data):,} images are not "
        "among those that were held out: they may have trained it, and then the metrics are too good. Give other "
        "images, or the held-out ones alone.",
    )
