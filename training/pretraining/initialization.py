"""Initialize a network: random, random with ImageNet's mean and variance, or ImageNet's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from medzoo.core.errors import UnknownNameError
from medzoo.core.registry import unknown
from medzoo.engine.runtime import seeded
from medzoo.models.create import create_model
from medzoo.models.heads import set_head
from medzoo.models.info import Model
from medzoo.models.loading import load_bundle
from medzoo.zoo.resolve import resolve
from medzoo.zoo.weights import Weights
from training.pretraining.imagenet import import_imagenet

INITIALIZATIONS = ("plain", "meanvar")


def initialize(entry: Weights, seed: int, random: str, imagenet_weights: Path | None, work: Path) -> Model:
    """Make the initial network of a run.

    Args:
        entry: The weight to pretrain.
        seed: Of the random values.
        random: For the ``ri`` names, ``"plain"`` or ``"meanvar"``.
        imagenet_weights: A safetensors file; default the zoo's or the Hub's.
        work: The folder in which an imported file becomes a bundle.

    Returns:
        A network with a classifier for the entry's labels.

    Raises:
        UnknownNameError: There is no such random initialization.
        ZooError: The ImageNet weights are needed and not available.
    """
    if random not in INITIALIZATIONS:
        raise UnknownNameError(unknown("random initialization", random, INITIALIZATIONS))
    baseline: str | Path = f"{entry.arch}_in"
    if imagenet_weights is not None and (entry.init == "in" or random == "meanvar"):
        baseline = import_imagenet(imagenet_weights, work, entry.arch) / "bundle"
    with seeded(seed):
        if entry.init == "in":
            model = create_model(baseline)
            set_head(model, "linear", len(entry.labels))
            return model
        model = create_model(entry.name, pretrained=False)
        if random == "meanvar":
            scale_to(model, load_bundle(resolve(baseline)).state_dict())
    return model


def scale_to(model: Model, reference: dict[str, Tensor]) -> None:
    """Sample every parameter from a normal distribution with the reference tensor's mean and variance.

    Source: Raghu et al., "Transfusion:
    Understanding Transfer Learning for Medical Imaging", NeurIPS 2019, section 5 ("Mean Var Init").

    Args:
        model: The network, changed in place; tensors of another shape (the classifier) stay as they are.
        reference: The pretrained state dict.
    """
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            known = reference.get(key)
            if known is not None and known.shape == parameter.shape:
                parameter.normal_(known.mean().item(), known.std(correction=0).item())
