"""The type of a model made by ``create_model``, and its description ``model.medzoo``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from medzoo.data.input_spec import InputContract
from medzoo.models.variant import Variant


@dataclass(frozen=True)
class ModelInfo:
    """The description of a model: ``model.medzoo``.

    Attributes:
        weights: The name of its pretrained weights, with ``" (random)"`` where none were loaded.
        arch: The timm architecture.
        input: The input contract.
        classes: Names of the outputs; empty where they have none yet.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``; empty where unknown.
        head: ``"mlp"``, ``"linear"``, ``"none"``, ``"custom"``, or ``"features"`` for a network that gives a list of
            feature maps.
        truncate: How many dense blocks were kept; 0 for all.
        frozen: The part that training does not change: ``""``, ``"all"`` (all but the head) or such as ``"2 blocks"``.
        loaded: Number of pretrained tensors used as they are.
        converted: Names of the tensors computed from pretrained ones, and how.
        new: Names of the tensors with random initial values.
        dropped: Names of the pretrained tensors that are not used.
        positive: The positive class of a ``binary`` task; empty for other tasks, and in bundles made before it was
            recorded, whose positive class is the last.
        variant: Where the network computes otherwise than timm's of the same tensors.
        model_args: What else timm needs to build the architecture.
    """

    weights: str
    arch: str
    input: InputContract
    classes: tuple[str, ...] = ()
    task: str = ""
    head: str = "linear"
    truncate: int = 0
    frozen: str = ""
    loaded: int = 0
    converted: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    positive: str = ""
    variant: Variant = field(default_factory=Variant)
    model_args: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.weights}: {self.loaded} tensors loaded, {_counted(self.converted, 'converted')}, "
            f"{_counted(self.new, 'new')}, {_counted(self.dropped, 'dropped')}"
            + (f"; frozen: {self.frozen}" if self.frozen else "")
        )


class Model(nn.Module):
    """A network of timm or torchvision with ``medzoo``, as the type checker sees it.

    ``nn.Module`` types every attribute as a tensor or a module, so those that medzoo uses are named here. It is a type
    alone: networks stay of their own classes.
    """

    medzoo: ModelInfo
    pretrained_cfg: dict[str, Any]
    feature_info: list[dict[str, Any]]
    num_classes: int
    num_features: int
    in_chans: int
    forward_features: Callable[[Tensor], Tensor]
    forward_head: Callable[..., Tensor]
    group_matcher: Callable[..., dict[str, Any]]


def _counted(names: tuple[str, ...], what: str) -> str:
    if not names:
        return f"0 {what}"
    return f"{len(names)} {what} ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"


def classifier_name(model: Model) -> str:
    """Return the dotted name of a model's classifier, for example ``"classifier"``."""
    return str(model.pretrained_cfg["classifier"])


def head_width(model: Model) -> int:
    """Return the width of the features that a head takes: more than ``num_features`` in some architectures."""
    return int(getattr(model, "head_hidden_size", None) or model.num_features)


def pooled_features(model: Model, images: Tensor) -> Tensor:
    """Compute the features that a head takes.

    Args:
        model: A model made by ``create_model``.
        images: Normalised ``float32 [N, C, H, W]``, C as its input contract says.

    Returns:
        ``float32 [N, F]``, F as ``head_width`` says.
    """
    return model.forward_head(model.forward_features(images), pre_logits=True)
