"""Images that a fine-tuned model may have been trained on, by its record and their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medzoo.data.dataset import ImageDataset
from medzoo.zoo.resolve import resolve


def training_notes(model: Any, data: ImageDataset[Any], zoo: str | Path | None) -> tuple[str, ...]:
    """Note where a model was fine-tuned on a data set of this name and not all of these images were held out.

    Args:
        model: What the user gave; a network in memory has no record.
        data: The images to measure on.
        zoo: As in ``create_model``.
    """
    record = resolve(model, zoo).run if isinstance(model, (str, Path)) else {}
    if record.get("kind") != "finetune" or record.get("data", {}).get("name") != data.name:
        return ()
    others = len(set(data.ids) - set(record.get("held_out") or ()))
    if not others:
        return ()
    return (
        f"The model was fine-tuned on a data set of this name, and {others:,} of these {len(data):,} images are not "
        "among those that were held out: they may have trained it, and then the metrics are too good. Give other "
        "images, or the held-out ones alone.",
    )
