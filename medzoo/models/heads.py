"""What is put on the pooled features: the paper's MLP, one linear layer, or anything of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from medzoo.core.errors import MedzooError, UnknownNameError
from medzoo.core.registry import unknown
from medzoo.models.info import Model, ModelInfo, classifier_name, head_width

HEADS = ("mlp", "linear")


class MLPHead(nn.Sequential):
    """Blocks of fully connected layer, batch normalisation, ReLU and dropout, then one output a class.

    The paper describes this form and prints no widths; two blocks of 512 and 128 are ours, equal
    for every start. Source: doi:10.18280/ts.400123, section on transfer.

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
    """Refuse a head that is none, before anything is fetched.

    Raises:
        UnknownNameError: No head has that name.
    """
    if head is not None and not isinstance(head, nn.Module) and head not in HEADS:
        raise UnknownNameError(unknown("head", head, HEADS) + "; or give a torch module, or None for features")


def make_head(head: str | nn.Module, features: int, num_classes: int) -> nn.Module:
    """Build a head by name, or take the user's own module as it is.

    Args:
        head: ``"mlp"``, ``"linear"`` or a module that maps ``[N, features]`` to ``[N, num_classes]``.
        features: Width of the pooled features.
        num_classes: Number of outputs.

    Returns:
        The module.

    Raises:
        UnknownNameError: No head has that name.
    """
    check_head(head)
    if isinstance(head, nn.Module):
        return head
    return MLPHead(features, num_classes) if head == "mlp" else nn.Linear(features, num_classes)


@torch.no_grad()
def outputs_of(head: nn.Module, features: int) -> int:
    """How many outputs a head has, by trying it; it is left in evaluation mode.

    Args:
        head: The head.
        features: Width of the pooled features.

    Returns:
        The width of what it gives.

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


def set_head(model: Model, head: str | nn.Module | None, num_classes: int | None) -> None:
    """Replace a model's classifier in place and say so in ``model.medzoo``.

    Args:
        model: A model made by ``create_model``.
        head: As in ``create_model``.
        num_classes: Outputs of the new head; not needed for a module of your own.

    Raises:
        MedzooError: The model gives feature maps and takes no head, or a module of your own does not take
            ``[N, features]``.
    """
    if model.medzoo.head == "features":
        raise MedzooError("a model made with features_only=True takes no head; make it without")
    path = classifier_name(model)
    old = tuple(f"{path}.{key}" for key in model.get_submodule(path).state_dict())
    if head is None or (num_classes == 0 and not isinstance(head, nn.Module)):
        module: nn.Module = nn.Identity()
        kind, model.num_classes = "none", 0
    else:
        module = make_head(head, head_width(model), num_classes or 0)
        kind = head if isinstance(head, str) else "custom"
        model.num_classes = outputs_of(module, head_width(model))
    put_head(model, module)
    info: ModelInfo = model.medzoo
    was_loaded = [key for key in old if key not in info.new]
    model.medzoo = replace(
        info,
        classes=(),
        positive="",
        task="",
        head=kind,
        loaded=info.loaded - len(was_loaded) if info.loaded else 0,
        new=tuple(k for k in info.new if k not in old) + tuple(f"{path}.{key}" for key in module.state_dict()),
        dropped=info.dropped + tuple(was_loaded if info.loaded else ()),
    )


def put_head(model: Model, head: nn.Module) -> None:
    """Put a module where the architecture's classifier stands."""
    parent, _, leaf = classifier_name(model).rpartition(".")
    setattr(model.get_submodule(parent), leaf, head)
