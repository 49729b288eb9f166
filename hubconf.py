"""Entry points for ``torch.hub``, one for each of the pretrained weights, derived from their table."""

from __future__ import annotations

from collections.abc import Callable as _Callable
from typing import Any as _Any

from medzoo.models.create import create_model as _create_model
from medzoo.models.info import Model as _Model
from medzoo.zoo.weights import WEIGHTS as _WEIGHTS
from medzoo.zoo.weights import Weights as _Weights

# The modules that creating a model imports.
dependencies = ["filelock", "huggingface_hub", "numpy", "requests", "safetensors", "timm", "torch", "torchvision"]


def _entry(weights: _Weights) -> _Callable[..., _Model]:
    def load(pretrained: bool = True, num_classes: int | None = None, **options: _Any) -> _Model:
        return _create_model(weights.name, pretrained=pretrained, num_classes=num_classes, **options)

    outputs = ", ".join(weights.labels) or "ImageNet-1k's 1,000"
    load.__name__ = weights.name
    load.__doc__ = f"""{weights.title}.

    Not for diagnosis. Images must be normalised according to ``model.medzoo.input``, as ``medzoo.predict`` and
    ``medzoo.finetune`` do.

    Args:
        pretrained: False leaves random initial values.
        num_classes: Outputs of a new head; None keeps the pretrained ones: {outputs}.
        **options: Of medzoo.create_model: head ("mlp" or "linear"), image_size, in_chans, truncate, features_only,
            freeze, and zoo (a folder, or hf://org; default the environment's MEDZOO_ZOO, else the Hub, else preview/).
    """
    return load


globals().update({weights.name: _entry(weights) for weights in _WEIGHTS.values()})
