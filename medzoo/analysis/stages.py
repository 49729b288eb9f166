"""The stages of a network and their features, all from one forward pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from timm.models.densenet import DenseNet
from torch import Tensor, nn

from medzoo.analysis.compatibility import InapplicableError
from medzoo.models.info import Model


@dataclass(frozen=True)
class Stage:
    """One place in a network where its features are taken.

    Attributes:
        name: ``"stem"`` and ``"block 1"`` to ``"block 4"`` for a DenseNet, else the module's name.
        module: The dotted name of the module whose output it is.
        width: Number of channels there.
    """

    name: str
    module: str
    width: int


def stages_of(model: Model) -> tuple[Stage, ...]:
    """Return the stages where features are taken, from the input on; the last stage, pooled, is what the head sees.

    A dense block is taken after the batch normalisation and ReLU that follow it, as the next layer sees it: pooled,
    that is exactly what the network truncated after this block gives (``create_model(truncate=...)``).

    Raises:
        InapplicableError: timm does not list this architecture's stages.

    Example:
        >>> import timm
        >>> for stage in stages_of(timm.create_model("densenet121", pretrained=False))[1:]:
        ...     print(stage.name, stage.module, stage.width)
        block 1 features.transition1.norm 256
        block 2 features.transition2.norm 512
        block 3 features.transition3.norm 1024
        block 4 features.norm5 1024
    """
    found = getattr(model, "feature_info", None)
    if not isinstance(found, list) or not found:
        raise InapplicableError(f"timm does not list the stages of a {type(model).__name__}")
    if not isinstance(model, DenseNet):
        return tuple(Stage(entry["module"], entry["module"], entry["num_chs"]) for entry in found)
    modules = [re.sub(r"denseblock(\d+)$", r"transition\1.norm", entry["module"]) for entry in found]
    return tuple(
        Stage(f"block {number}" if number else "stem", module, entry["num_chs"])
        for number, (module, entry) in enumerate(zip(modules, found, strict=True))
    )


@contextmanager
def recorded(model: Model, stages: tuple[Stage, ...]) -> Iterator[dict[str, Tensor]]:
    """Record the pooled features of each stage during forward passes.

    Args:
        model: A timm model.
        stages: Its stages, by ``stages_of``.

    Yields:
        A dictionary that every forward pass refills: a stage's name to ``float32 [N, width]``, the mean over all
        positions.
    """
    features: dict[str, Tensor] = {}
    hooks = [model.get_submodule(stage.module).register_forward_hook(_recorder(stage, features)) for stage in stages]
    try:
        yield features
    finally:
        for hook in hooks:
            hook.remove()


def _recorder(stage: Stage, features: dict[str, Tensor]) -> Any:
    def take(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        features[stage.name] = _pooled(output, stage.width).float()

    return take


def _pooled(output: Tensor, width: int) -> Tensor:
    """Return the mean over all positions of feature maps ``[N, C, H, W]``, ``[N, H, W, C]`` or tokens ``[N, T, C]``."""
    if output.ndim == 4 and output.shape[1] == width:
        return output.mean((2, 3))
    return output.flatten(1, -2).mean(1)
