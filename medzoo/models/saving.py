"""Saving a model as a bundle, which ``medzoo.create_model`` and timm's ``local-dir:`` load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from safetensors.torch import save_file
from torch import nn

from medzoo._version import __version__
from medzoo.core.atomic import write_json
from medzoo.core.errors import MedzooError
from medzoo.models.heads import MLPHead
from medzoo.models.info import Model, ModelInfo, classifier_name
from medzoo.models.truncation import block_config
from medzoo.zoo.bundle import CONFIG, HEAD, MODEL, make_config


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but a saved model.

    Args:
        folder: Where a model is to be saved.

    Raises:
        MedzooError: It is a file, or a folder of other files.
    """
    if folder.is_dir():
        there = {path.name for path in folder.iterdir()}
        if there and not {CONFIG, MODEL} <= there:
            raise MedzooError(
                f"{folder} holds files and is not a saved model, which may be replaced; give another folder"
            )
    elif folder.exists():
        raise MedzooError(f"{folder} is a file; give another folder to save the model in")


def check_savable(model: Model) -> None:
    """Refuse a model that a bundle cannot rebuild.

    Raises:
        MedzooError: Its head is the user's own module, or its network is not timm's.
    """
    if not timm.is_model(model.medzoo.arch):
        raise MedzooError(
            f"a bundle holds a timm network, and {model.medzoo.arch} is not one; save its state_dict() with safetensors"
        )
    if model.medzoo.head == "custom":
        raise MedzooError(
            "a head of your own cannot be rebuilt from a bundle; save model.state_dict() with safetensors instead"
        )


def save_trained(model: Model, folder: Path) -> None:
    """Write the weights and config of a fine-tuned model.

    Args:
        model: The model.
        folder: An existing folder.
    """
    info: ModelInfo = model.medzoo
    head = head_of(model)
    form = {"head_hidden": list(head.hidden), "head_dropout": head.dropout} if isinstance(head, MLPHead) else {}
    save_model(model, folder)
    own = {"version": __version__, "init": info.weights, "task": info.task, "head": info.head, **form}
    if info.positive:
        own["positive"] = info.positive
    write_json(folder / CONFIG, config_of(model, own))


def head_of(model: Model) -> nn.Module:
    """Return the module in the place of the architecture's classifier."""
    return model.get_submodule(classifier_name(model))


def save_model(model: Model, folder: Path) -> None:
    """Write ``model.safetensors``; an MLP head, which timm cannot read, goes into a file of its own."""
    prefix = f"{classifier_name(model)}."
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if model.medzoo.head == "mlp":
        head = {key.removeprefix(prefix): tensors.pop(key) for key in list(tensors) if key.startswith(prefix)}
        _save(head, folder / HEAD)
    _save(tensors, folder / MODEL)


def _save(tensors: dict[str, Any], path: Path) -> None:
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors makes files that only their owner can read


def config_of(model: Model, info: dict[str, Any]) -> dict[str, Any]:
    """Return the ``config.json`` of a model with the given block of our own."""
    facts: ModelInfo = model.medzoo
    shape: dict[str, Any] = dict(facts.model_args)
    if facts.input.channels != 3:
        shape["in_chans"] = facts.input.channels
    if facts.model_args:
        info = {**info, "model_args": dict(facts.model_args)}
    if variant := facts.variant.to_info():
        info = {**info, "variant": variant}
    if facts.truncate:
        info = {**info, "truncate": facts.truncate}
        shape["block_config"] = block_config(model)
    if facts.input.channels != 3:
        info = {**info, "channels": "grey" if facts.input.channels == 1 else f"{facts.input.channels}, in your order"}
    config = make_config(
        facts.arch,
        facts.classes,
        facts.input,
        num_features=model.num_features,
        classifier=classifier_name(model),
        first_conv=str(model.pretrained_cfg["first_conv"]),
        info=info,
        with_classifier=facts.head == "linear",
    )
    return {**config, "model_args": shape} if shape else config  # what timm needs to build the same
