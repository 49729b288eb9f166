"""AdamW for a plan: no decay on vectors, and perhaps lower learning rates towards the input."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from timm.models import group_parameters
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.engine.schedule import Plan
from medzoo.models.info import Model


def make_optimizer(model: nn.Module, plan: Plan, rates: Mapping[str, float] | None = None) -> torch.optim.Optimizer:
    """AdamW without decay on vectors (norms and biases; Loshchilov and Hutter, ICLR 2019).

    Args:
        model: Its parameters that require gradients are trained.
        plan: Learning rate and decay.
        rates: Learning rate of a parameter by name, as a share of the plan's; 1 for those not named.

    Returns:
        The optimiser; each of its parameter groups says its share under ``"rate"``.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = rates.get(name, 1.0) if rates else 1.0
            groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    # In a fixed order, so that a checkpoint's numbers mean the same parameters.
    chosen = [
        {"params": groups[key], "weight_decay": plan.weight_decay if key[1] else 0.0, "rate": key[0]}
        for key in sorted(groups, reverse=True)
    ]
    return torch.optim.AdamW(chosen, lr=plan.lr, fused=True)


def layer_rates(model: Model, decay: float) -> dict[str, float]:
    """Layer-wise decay of the learning rate: each block learns slower than the one behind it.

    The head, and what stands right before it, has the full rate; the last block ``decay`` times that, and the stem of
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
        >>> rates = layer_rates(timm.create_model("densenet121", pretrained=False), 0.5)
        >>> rates["classifier.weight"], rates["features.denseblock4.denselayer1.conv1.weight"]
        (1.0, 0.5)
        >>> rates["features.conv0.weight"]
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
