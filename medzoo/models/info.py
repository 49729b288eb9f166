"""What a model made by ``create_model`` says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from medzoo.data.input_spec import InputContract

# A timm model whose attribute ``medzoo`` is a ModelInfo. ``nn.Module`` itself types every attribute as
# a tensor or a module, so the alias is loose on purpose.
Model: TypeAlias = Any


@dataclass(frozen=True)
class ModelInfo:
    """What a model made by ``create_model`` is; found as ``model.medzoo``.

    Attributes:
        weights: The name of the weight it started from, with ``" (random)"`` where none was loaded.
        arch: The timm architecture.
        input: The input contract.
        classes: Names of the outputs; empty where nobody has named them yet.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``; empty where unknown.
        head: ``"mlp"``, ``"linear"``, ``"none"``, ``"custom"``, or ``"features"`` for a network that gives a list of
            feature maps.
        truncate: How many dense blocks were kept; 0 for all.
        frozen: What training leaves as it is: ``""``, ``"all"`` (all but the head) or for example ``"2 blocks"``.
        loaded: Number of tensors taken from the weight as they are.
        converted: Names of the tensors computed from the weight's, and how.
        new: Names of the tensors that are fresh.
        dropped: Names of the weight's tensors that were not used.
        positive: The positive class of a ``binary`` task; empty for other tasks, and in bundles made before it was
            recorded, whose positive class is the last.
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

    def __str__(self) -> str:
        return (
            f"{self.weights}: {self.loaded} tensors loaded, {_counted(self.converted, 'converted')}, "
            f"{_counted(self.new, 'new')}, {_counted(self.dropped, 'dropped')}"
            + (f"; frozen: {self.frozen}" if self.frozen else "")
        )


def _counted(names: tuple[str, ...], what: str) -> str:
    if not names:
        return f"0 {what}"
    return f"{len(names)} {what} ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"


def classifier_name(model: Model) -> str:
    """The dotted name of a timm model's classifier, for example ``"classifier"``."""
    return str(model.pretrained_cfg["classifier"])


def head_width(model: Model) -> int:
    """How many features a head is put on: for some architectures more than ``num_features``, which are then widened."""
    return int(getattr(model, "head_hidden_size", None) or model.num_features)


def pooled_features(model: Model, images: Any) -> Any:
    """The features a head is put on.

    Args:
        model: A model made by ``create_model``.
        images: Normalised ``float32 [N, C, H, W]``, C as its input contract says.

    Returns:
        ``float32 [N, F]``, F as ``head_width`` says.
    """
    return model.forward_head(model.forward_features(images), pre_logits=True)
