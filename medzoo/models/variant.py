"""Where a maker's network computes otherwise than timm's network of the same tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timm.layers import BatchNormAct2d
from torch import nn

from medzoo.core.errors import ZooError


@dataclass(frozen=True)
class Variant:
    """What a network needs beyond its tensors to compute what its maker computed.

    Attributes:
        final_activation: Whether the last normalisation's output passes its ReLU before it is pooled, as in timm and
            torchvision; KimiaNet, TIAToolbox and mtdp pool without it.
        norm_eps: What batch normalisation adds to variances; ``None`` for torch's 1e-5, Keras has 1.001e-5.

    Example:
        >>> Variant(final_activation=False).to_info()
        {'final_activation': False}
    """

    final_activation: bool = True
    norm_eps: float | None = None

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> Variant:
        """Read it from a bundle's own block of its config.

        Raises:
            ZooError: It is not one.
        """
        given = info.get("variant") or {}
        try:
            found = cls(**given)
        except TypeError as error:
            raise ZooError(
                f"the config's variant {given!r:.80} is not known here; a newer medzoo may read it"
            ) from error
        eps = found.norm_eps
        if type(found.final_activation) is not bool or not (eps is None or (type(eps) is float and 0 < eps < 1)):
            raise ZooError(f"the config's variant {given!r:.80} is not one; fetch or make the bundle again")
        return found

    def to_info(self) -> dict[str, Any]:
        """Return what differs from timm's network, for the bundle's config."""
        eps = {} if self.norm_eps is None else {"norm_eps": self.norm_eps}
        return eps if self.final_activation else {"final_activation": False, **eps}

    def apply(self, model: nn.Module) -> None:
        """Make a network compute so, in place.

        Raises:
            ZooError: It is of a kind that cannot.
        """
        if not self.final_activation:
            last = getattr(getattr(model, "features", None), "norm5", None)
            if not isinstance(last, BatchNormAct2d):
                raise ZooError(f"{type(model).__name__} has no activation behind its last normalisation to leave out")
            last.act = nn.Identity()
        if self.norm_eps is not None:
            for module in model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eps = self.norm_eps

    def __str__(self) -> str:
        parts = [] if self.final_activation else ["no ReLU between the last normalisation and the pooling"]
        parts += [] if self.norm_eps is None else [f"batch-norm epsilon {self.norm_eps:g}"]
        return "; ".join(parts)
