"""Heads on the pooled features: the paper's MLP, one linear layer, or a module of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from medzoo.core.errors import MedzooError, UnknownNameError
from medzoo.core.registry import unknown
from medzoo.models.info import Model, classifier_name, head_width
from medzoo.models.ledger import account, tensors_of

HEADS = ("mlp", "linear")


class MLPHead(nn.Sequential):
    """Blocks of fully connected layer, batch normalisation, ReLU and dropout, then one output per class.

    The paper describes this form and prints no widths; two blocks of 512 and 128 are ours, the same
    for all pretrained weights. Source: doi:10.18280/ts.400123, section on transfer.

    Args:
        features: Width of the pooled features (1,024 for DenseNet-121).
        num_classes: Number of outputs.
        hidden: Width of each block.
        dropout: Share of values dropped in each block.

    Example:
        >>> import torch
        >>> MLPHead(1024, 4)(torch.zeros(2, 1024)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, features: int, num_classes: int, hidden: Sequence[int] = (512, 128), dropout: float = 0.3
    ) -> None:
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
            features = width
        super().__init__(*layers, nn.Linear(features, num_classes))
        self.hidden = tuple(hidden)
        self.dropout = dropout


def check_head(head: str | nn.Module | None) -> None:
    """Refuse an unknown head before anything is downloaded.

    Raises:
        UnknownNameError: No head has that name.
    """
    if head is not None and not isinstance(head, nn.Module) and head not in HEADS:
        raise UnknownNameError(unknown("head", head, HEADS) + "; or give a torch module, or None for features")


def make_head(head: str | nn.Module, features: int, num_classes: int) -> nn.Module:
    """Build a head by name, or return the user's own module.

    Args:
        head: ``"mlp"``, ``"linear"`` or a module that maps ``[N, features]`` to ``[N, num_classes]``.
        features: Width of the pooled features.
        num_classes: Number of outputs.

    Raises:
        UnknownNameError: No head has that name.
    """
    check_head(head)
    if isinstance(head, nn.Module):
        return head
    return MLPHead(features, num_classes) if head == "mlp" else nn.Linear(features, num_classes)


@torch.no_grad()
def outputs_of(head: nn.Module, features: int) -> int:
    """Count the outputs of a head by a forward pass; it is left in evaluation mode.

    Raises:
        MedzooError: It does not map ``[N, features]`` to ``[N, outputs]``.

    Example:
        >>> outputs_of(nn.Linear(1024, 4), 1024)
        4
    """
    try:
        out = head.eval()(torch.zeros(2, features))
    except RuntimeError as error:
        raise MedzooError(f"the head cannot take features [N, {features}]: {error}") from error
    if out.ndim != 2 or len(out) != 2:
        raise MedzooError(f"the head maps features [2, {features}] to {list(out.shape)}; it must give [2, classes]")
    return int(out.shape[1])


def replace_head(model: Model, head: str | nn.Module | None, num_classes: int | None) -> str:
    """Replace a model's classifier in place.

    Args:
        model: A network of timm or torchvision.
        head: As in ``create_model``.
        num_classes: Outputs of the new head; not needed for a module of the user's own.

    Returns:
        The kind of head, as in ``ModelInfo.head``.

    Raises:
        MedzooError: A module of the user's own does not take ``[N, features]``.
    """
    if head is None or (num_classes == 0 and not isinstance(head, nn.Module)):
        put_head(model, nn.Identity())
        model.num_classes = 0
        return "none"
    module = make_head(head, head_width(model), num_classes or 0)
    model.num_classes = outputs_of(module, head_width(model))
    put_head(model, module)
    return head if isinstance(head, str) else "custom"


def set_head(model: Model, head: str | nn.Module | None, num_classes: int | None) -> None:
    """Replace the head of a model made by ``create_model``, and update ``model.medzoo``.

    Args:
        model: The model.
        head: As in ``create_model``.
        num_classes: As in ``replace_head``.

    Raises:
        MedzooError: The model gives feature maps and takes no head, or a module of the user's own does not take
            ``[N, features]``.
    """
    info = model.medzoo
    if info.head == "features":
        raise MedzooError("a model made with features_only=True takes no head; make it without")
    loaded = {name: tensor for name, tensor in tensors_of(model).items() if name not in info.new}
    kind = replace_head(model, head, num_classes)
    model.medzoo = account(replace(info, head=kind, classes=(), task="", positive=""), model, loaded, info.converted)


def put_head(model: Model, head: nn.Module) -> None:
    """Put a module in the place of the architecture's classifier."""
    parent, _, leaf = classifier_name(model).rpartition(".")
    setattr(model.get_submodule(parent), leaf, head)
