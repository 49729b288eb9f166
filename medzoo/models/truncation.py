"""Truncated networks: the first dense blocks alone, as transfer often needs no more."""

from __future__ import annotations

from typing import Any

from timm.layers import create_classifier
from timm.models.densenet import DenseNet
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.models.info import Model, classifier_name


def truncate(model: Model, blocks: int, num_classes: int = 0) -> None:
    """Keep the first dense blocks of a DenseNet, in place.

    The batch normalisation at the beginning of the next transition becomes the network's last normalisation: no tensor
    of the truncated network is new.

    Args:
        model: A timm DenseNet, with or without values.
        blocks: Dense blocks to keep, from 1 to one less than the network has.
        num_classes: Outputs of an empty linear classifier; 0 for the pooled features.

    Raises:
        MedzooError: The network is no DenseNet, or has no such number of blocks.

    Example:
        >>> import timm
        >>> model = timm.create_model("densenet121", pretrained=False)
        >>> truncate(model, 2)
        >>> model.num_features
        512

    Source:
        Peng et al., "Rethinking Transfer Learning for Medical Image Classification", arXiv:2106.05152 (TruncatedTL).
    """
    if not isinstance(model, DenseNet):
        raise MedzooError(f"truncate= keeps dense blocks, and {type(model).__name__} has none; leave it out")
    network: Any = model  # torch types every attribute as a tensor or a module
    layers: dict[str, Any] = dict(model.features.named_children())
    there = sum(name.startswith("denseblock") for name in layers)
    if not 1 <= blocks < there:
        raise MedzooError(f"truncate={blocks}: give 1 to {there - 1} of {there} dense blocks, or leave it out for all")
    kept: dict[str, Any] = {}
    for name, layer in layers.items():
        if name == f"transition{blocks}":
            break
        kept[name] = layer
    kept["norm5"] = norm = layers[f"transition{blocks}"].norm
    network.features = nn.Sequential()
    for name, layer in kept.items():
        network.features.add_module(name, layer)
    network.num_features = network.head_hidden_size = norm.num_features
    # timm's own list of where features are taken: the block's output itself is now its normalised form.
    reduction = network.feature_info[blocks]["reduction"]
    last = {"num_chs": norm.num_features, "reduction": reduction, "module": "features.norm5"}
    network.feature_info = [*network.feature_info[:blocks], last]
    names = list(kept)
    network.feature_ends = [names.index(entry["module"].partition(".")[2]) for entry in network.feature_info]
    network.num_classes = num_classes
    network.pretrained_cfg = {**network.pretrained_cfg, "num_classes": num_classes}
    parameter = next(network.parameters())
    _, classifier = create_classifier(norm.num_features, num_classes, pool_type=network.global_pool.pool_type)
    setattr(network, classifier_name(model), classifier.to(parameter.device))


def block_config(model: Model) -> list[int]:
    """Count the layers of each dense block of a DenseNet, which timm needs to build a truncated one."""
    network: Any = model
    return [len(layer) for name, layer in network.features.named_children() if name.startswith("denseblock")]
