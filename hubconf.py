"""Entry points for ``torch.hub``: one a weight, derived from the table.

``torch.hub.list`` names them, ``torch.hub.help`` says what a weight is and which options it takes.
"""

from __future__ import annotations

from collections.abc import Callable as _Callable
from typing import Any as _Any

from medzoo.models.create import create_model as _create_model
from medzoo.zoo.weights import WEIGHTS as _WEIGHTS
from medzoo.zoo.weights import Weights as _Weights

# By module name, all that is imported on the way to a model.
dependencies = ["filelock", "huggingface_hub", "numpy", "requests", "safetensors", "timm", "torch", "torchvision"]


def _entry(weight: _Weights) -> _Callable[..., _Any]:
    def load(pretrained: bool = True, num_classes: int | None = None, **options: _Any) -> _Any:
        return _create_model(weight.name, pretrained=pretrained, num_classes=num_classes, **options)

    outputs = ", ".join(weight.labels) or "ImageNet-1k's 1,000"
    load.__name__ = weight.name
    load.__doc__ = f"""{weight.title}.

    Not for diagnosis. Images must be normalised as ``model.medzoo.input`` says; ``medzoo.predict`` and
    ``medzoo.finetune`` do so.

    Args:
        pretrained: False leaves the random start.
        num_classes: Outputs of a new head; None keeps the weight's own: {outputs}.
        **options: Of medzoo.create_model: head ("mlp" or "linear"), image_size, in_chans, truncate, features_only,
            freeze, and zoo (a folder, or hf://org; default the environment's MEDZOO_ZOO).
    """
    return load


globals().update({weight.name: _entry(weight) for weight in _WEIGHTS.values()})
