"""The network to fine-tune, with a head for the classes of the data set."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.data.dataset import Examples
from medzoo.engine.runtime import seeded
from medzoo.models.create import create_model
from medzoo.models.external import adopt
from medzoo.models.heads import set_head
from medzoo.models.info import Model, ModelInfo

_LOG = logging.getLogger(__name__)


def load_backbone(
    model: str | Path | nn.Module, image_size: int | None, truncate: int | None, zoo: str | Path | None
) -> Model:
    """Load or adopt the network to train.

    Args:
        model: As in ``medzoo.finetune``.
        image_size: Another input size, in pixels.
        truncate: How many of the first dense blocks to keep; ``None`` for all.
        zoo: As in ``medzoo.create_model``.

    Returns:
        A network with ``.medzoo``.

    Raises:
        MedzooError: The weight cannot be loaded, the network cannot be taken, or does not go with the options.
    """
    if isinstance(model, (str, Path)):
        classes = None if truncate is None else 0
        return create_model(model, num_classes=classes, image_size=image_size, truncate=truncate, zoo=zoo)
    network = adopt(model)
    info: ModelInfo = network.medzoo
    if truncate is not None and info.truncate != truncate:
        raise MedzooError(
            f"a network cannot be truncated after it was made, here to {truncate} blocks; give the weight's name, or "
            f"create_model(..., truncate={truncate})"
        )
    if image_size is not None and image_size != info.input.size:
        if getattr(network, "pretrained_cfg", {}).get("fixed_input_size"):
            raise MedzooError(f"{info.arch} takes images of {info.input.size} pixels alone; leave image_size out")
        network.medzoo = replace(info, input=info.input.resized(image_size))
    return network


def match_head(model: Model, examples: Examples, head: str, seed: int, only: str = "") -> None:
    """Replace the head of a model whose outputs are not the data set's classes, and log it.

    Args:
        model: The network.
        examples: The data set.
        head: The form of a new head.
        seed: Seed of its values.
        only: The only form that the strategy allows; empty for any.
    """
    info: ModelInfo = model.medzoo
    # A head of the right width that names no classes yet was made for this data.
    fits = info.classes in ((), examples.classes) and model.num_classes == len(examples.classes) and info.head != "none"
    if not fits or (only and info.head != only):
        form = only or head
        with seeded(seed):
            set_head(model, form, len(examples.classes))
        had = "none" if info.head == "none" else f"one for {len(info.classes) or 'other'} classes"
        _LOG.info("%s: new %s head for %d classes (it had %s)", info.weights, form, len(examples.classes), had)
    model.medzoo = replace(model.medzoo, classes=examples.classes, task=examples.task)
