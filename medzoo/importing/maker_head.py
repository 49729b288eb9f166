"""What stands on the features in a maker's file: its classifier, told apart by names and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medzoo.importing.unwrap import FlatState, Values


@dataclass(frozen=True, eq=False)
class MakerHead:
    """A maker's classifier as one linear layer.

    Attributes:
        kind: ``"linear"``, ``"linear + sigmoid"``, ``"1x1 convolution"``, ``"regression"`` (one output), ``"none"``
            or ``"unknown"``.
        weight: ``[outputs, features]``; ``None`` for none and unknown.
        bias: ``[outputs]``.
        used: The maker's names of its tensors.
        note: What was found, in words.
    """

    kind: str
    weight: Tensor | None = None
    bias: Tensor | None = None
    used: frozenset[str] = frozenset()
    note: str = ""

    @property
    def outputs(self) -> int:
        """Return how many outputs it has."""
        return 0 if self.weight is None else len(self.weight)


def find_head(
    state: FlatState, left: Mapping[str, Values], features: int, read: Callable[[Values], Tensor]
) -> MakerHead:
    """Find the classifier among the tensors that are none of the backbone's.

    Args:
        state: All tensors, with the classes of a pickled module.
        left: Those that the backbone did not take.
        features: Width of the pooled features.
        read: Reads the values of a tensor.
    """
    found = [name for name, value in left.items() if name.endswith("weight") and _fits(tuple(value.shape), features)]
    if not found:
        return MakerHead("none", note="the file holds no classifier")
    if len(found) > 1:
        return MakerHead(
            "unknown",
            note=f"{len(found)} layers stand on the features ({', '.join(found[:3])}, ...): no single one",
        )
    (name,) = found
    weight, base = read(left[name]).float(), name.removesuffix("weight")
    kind = "1x1 convolution" if weight.ndim == 4 else "linear"
    weight = weight.flatten(1)
    bias = left.get(f"{base}bias")
    if kind == "linear" and _sigmoid_follows(state, base.rstrip(".")):
        kind = "linear + sigmoid"
    if len(weight) == 1:
        kind = "regression"
    return MakerHead(
        kind,
        weight,
        torch.zeros(len(weight)) if bias is None else read(bias).float(),
        frozenset({name} | ({f"{base}bias"} if bias is not None else set())),
        f"the classifier is {name}: {kind}, {len(weight)} outputs" + ("" if bias is not None else ", without bias"),
    )


def _fits(shape: tuple[int, ...], features: int) -> bool:
    return shape[1:] == (features,) or shape[1:] == (features, 1, 1)


def _sigmoid_follows(state: FlatState, layer: str) -> bool:
    """Whether the layer is the first of a Sequential whose next is a sigmoid, or was pickled without saying so."""
    parent, _, place = layer.rpartition(".")
    if not place.isdigit():
        return False
    following = state.classes.get(f"{parent}.{int(place) + 1}")
    return following.endswith(".Sigmoid") if following else not state.classes
