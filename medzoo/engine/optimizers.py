"""AdamW without weight decay on vectors, and layer-wise learning-rate decay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from timm.models import group_parameters
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.engine.schedule import TrainingConfig
from medzoo.models.info import Model


def make_optimizer(
    model: nn.Module, config: TrainingConfig, lr_scales: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Make an AdamW optimizer without decay on vectors (norms and biases; Loshchilov and Hutter, ICLR 2019).

    Args:
        model: Its parameters that require gradients are trained.
        config: Learning rate and decay.
        lr_scales: Learning rate of a parameter by name, as a share of the config's; 1 for those not named.

    Returns:
        The optimizer; each of its parameter groups has its share under ``"lr_scale"``.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            scale = lr_scales.get(name, 1.0) if lr_scales else 1.0
            groups.setdefault((scale, parameter.ndim > 1), []).append(parameter)
    # In a fixed order, so that a checkpoint's numbers mean the same parameters.
    chosen = [
        {"params": groups[key], "weight_decay": config.weight_decay if key[1] else 0.0, "lr_scale": key[0]}
        for key in sorted(groups, reverse=True)
    ]
    # On other accelerators torch chooses: the fused kernel of Apple's GPUs was not tried.
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters()) or None
    return torch.optim.AdamW(chosen, lr=config.lr, fused=fused)


def layer_lr_scales(model: Model, decay: float) -> dict[str, float]:
    """Return learning-rate scales that decay from the head to the stem, as timm's ``layer_decay`` does.

    The head and the layers right before it have the full rate; the last block ``decay`` times that, and the stem of
    a network of B blocks ``decay ** (B + 1)``.

    Args:
        model: A timm model; its blocks are timm's coarse groups.
        decay: In (0, 1]; 1 for the same rate everywhere.

    Returns:
        A share of the learning rate for each parameter, by name; empty for a decay of 1.

    Raises:
        MedzooError: The decay is out of range, or the network is not timm's and has no groups.

    Example:
        >>> import timm
        >>> scales = layer_lr_scales(timm.create_model("densenet121", pretrained=False), 0.5)
        >>> scales["classifier.weight"], scales["features.denseblock4.denselayer1.conv1.weight"]
        (1.0, 0.5)
        >>> scales["features.conv0.weight"]
        0.03125

    Source:
        Clark et al., "ELECTRA", ICLR 2020; for images Bao et al., "BEiT", ICLR 2022.
    """
    if not 0 < decay <= 1:
        raise MedzooError(f"layer_decay is {decay}; give a number above 0 up to 1 (1 for the same rate in every layer)")
    if decay == 1:
        return {}
    if not hasattr(model, "group_matcher"):
        raise MedzooError(f"layer_decay needs the blocks of a timm network; {type(model).__name__} has none: give 1")
    groups = group_parameters(model, model.group_matcher(coarse=True))
    last = max(groups)
    return {name: decay ** (last - number) for number, names in groups.items() for name in names}
