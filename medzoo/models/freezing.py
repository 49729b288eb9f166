"""Freezing: neither the parameters nor the batch-norm statistics of a part change in training."""

from __future__ import annotations

from typing import Any

from timm.layers import BatchNormAct2d
from timm.models import group_parameters
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.models.info import Model, classifier_name

ALL = "all"


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that stays in evaluation mode."""

    def train(self, mode: bool = True) -> FrozenBatchNorm2d:
        """Stay in evaluation mode."""
        super().train(False)
        return self


class FrozenBatchNormAct2d(BatchNormAct2d):
    """timm's batch normalisation with activation, staying in evaluation mode."""

    def train(self, mode: bool = True) -> FrozenBatchNormAct2d:
        """Stay in evaluation mode."""
        super().train(False)
        return self


# A frozen layer is its own kind with another ``train``: the same tensors under the same names, so that a state dict
# fits timm and torchvision as before (timm.utils.freeze puts layers in place that have one tensor less).
_FROZEN: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: FrozenBatchNorm2d,
    BatchNormAct2d: FrozenBatchNormAct2d,
}
_THAWED = {frozen: plain for plain, frozen in _FROZEN.items()}


def freeze(model: Model, what: str | int | None) -> str:
    """Freeze a part of a network, batch-norm statistics included; the rest is trained.

    Args:
        model: A timm model; ``requires_grad`` of all its parameters is set.
        what: ``"all"`` for all but the head, the number of first blocks (the stem goes with them; 0 is the stem
            alone), or ``None`` to train everything.

    Returns:
        The frozen part in words; empty for none.

    Raises:
        MedzooError: There is no such part, or it has a layer that cannot be frozen.

    Example:
        >>> import timm
        >>> model = timm.create_model("densenet121", pretrained=False)
        >>> freeze(model, 2)
        'stem and 2 blocks'
        >>> model.train().features.denseblock1.denselayer1.norm1.training
        False
    """
    frozen = _chosen(model, what)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            _set_norm(name, module, f"{name}.weight" in frozen)
    if what is None:
        return ""
    return ALL if what == ALL else "stem" + (f" and {what} block{'s' if int(what) > 1 else ''}" if what else "")


def blocks_of(model: Model) -> int:
    """Count the blocks of a timm network, as ``freeze`` does.

    Raises:
        MedzooError: The network is not timm's, or is not divided into blocks.
    """
    return len(_groups(model)) - 2


def _groups(model: Model) -> list[list[str]]:
    """Return timm's coarse groups of parameters: stem, blocks (each with its transition), last normalisation, head."""
    if not hasattr(model, "group_matcher"):
        raise MedzooError(f"{type(model).__name__} is no timm network, and its blocks are not known; freeze nothing")
    return list(group_parameters(model, model.group_matcher(coarse=True)).values())


def _chosen(model: Model, what: str | int | None) -> set[str]:
    """Return the names of the parameters to freeze."""
    if what is None:
        return set()
    head = f"{classifier_name(model)}."
    backbone = [name for name, _ in model.named_parameters() if not name.startswith(head)]
    if what == ALL:
        return set(backbone)
    groups, blocks = _groups(model), blocks_of(model)
    if isinstance(what, (str, bool)) or not 0 <= what <= blocks:
        raise MedzooError(f"freeze={what!r} is not possible; give 'all', 0 (the stem) to {blocks} blocks, or None")
    return {name for number in range(what + 1) for name in groups[number]} & set(backbone)


def _set_norm(name: str, module: Any, frozen: bool) -> None:
    kinds = _FROZEN if frozen else _THAWED
    if frozen and type(module) not in kinds and type(module) not in _THAWED:
        raise MedzooError(f"{name}, a {type(module).__name__}, cannot be frozen; freeze less, or nothing")
    module.__class__ = kinds.get(type(module), type(module))
    if frozen:
        module.eval()
