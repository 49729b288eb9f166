"""From files to a network, strictly: no tensor missing, none over, and no random values on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from medzoo.core.errors import ZooError
from medzoo.models.heads import MLPHead, put_head
from medzoo.models.in_channels import widen_stem
from medzoo.models.info import Model, ModelInfo, head_width
from medzoo.models.truncation import truncate
from medzoo.zoo.bundle import HEAD, Bundle

_DRAWING = frozenset(
    {
        *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_),
        *(nn.init.normal_, nn.init.uniform_, nn.init.constant_, nn.init.kaiming_uniform_, nn.init.trunc_normal_),
    }
)


# What a network may have beyond the bytes of its file: the blocks that are cut off after it is built.
_SLACK = 100_000_000


class Unfilled(TorchFunctionMode):
    """Parameters made inside have no values: random ones, replaced at once, are half the time of loading.

    Args:
        at_most: How many values may be made room for, so that a file of a few bytes that claims to be the largest
            network there is does not fill the memory; ``None`` for any number.
    """

    def __init__(self, at_most: int | None = None) -> None:
        super().__init__()
        self._left = at_most

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if func in _DRAWING:
            tensor = args[0] if args else options["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        made = func(*args, **options)
        if func is torch.empty and self._left is not None:
            self._left -= made.numel()
            if self._left < 0:
                raise ZooError(
                    "the weights file is too small for the network that its config names; fetch or make it again"
                )
        return made


def build(arch: str, num_classes: int, at_most: int | None = None) -> Model:
    """An architecture whose parameters have no values yet, ready to be given a state dict.

    Args:
        arch: A timm architecture name.
        num_classes: Outputs of its classifier; 0 for none.
        at_most: How many values it may have; ``None`` for any number.

    Raises:
        ZooError: timm has no such architecture, or it is larger than that.
    """
    if not timm.is_model(arch):
        raise ZooError(f"timm {timm.__version__} has no architecture {arch!r}; a newer timm may")
    with Unfilled(at_most):
        return timm.create_model(arch, pretrained=False, num_classes=num_classes)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        ZooError: It cannot be read as one.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ZooError(f"{path} cannot be read as safetensors ({error}); fetch it again") from error


def fill(model: nn.Module, tensors: dict[str, Tensor], origin: Path) -> None:
    """Give a model from ``build`` its values: every tensor, each of the right shape, nothing over.

    Floating-point values of another precision are converted to the model's.

    Raises:
        ZooError: A tensor is missing, over, or of another shape or kind; the first few are named.
    """
    empty = model.state_dict()
    want = {key: tuple(value.shape) for key, value in empty.items()}
    have = {key: tuple(value.shape) for key, value in tensors.items()}
    both = [key for key in want if key in have]
    wrong = (
        [f"{key} is missing" for key in want if key not in have]
        + [f"{key:.80} is not expected" for key in have if key not in want]
        + [f"{key} is {have[key]}, expected {want[key]}" for key in both if have[key] != want[key]]
        + [
            f"{key} is {tensors[key].dtype}, expected {empty[key].dtype}"
            for key in both
            if tensors[key].dtype != empty[key].dtype
            and not (tensors[key].is_floating_point() and empty[key].is_floating_point())
        ]
    )
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ZooError(f"{origin} does not fit {type(model).__name__}: {'; '.join(wrong[:3])}{more}")
    # Copies, into the model's own memory and type. As they lie in the file they are not aligned, which changes the
    # order of sums and so the last bits of what other libraries compute from the same weights.
    with torch.no_grad():
        for key, tensor in empty.items():
            tensor.copy_(tensors[key])


def load_bundle(bundle: Bundle) -> Model:
    """Load a bundle as it is: its own classifier, or its own head where it has one beside the features.

    Args:
        bundle: The bundle.

    Returns:
        The model, in evaluation mode.

    Raises:
        ZooError: Its files do not fit its config.
    """
    blocks, channels = _whole(bundle, "truncate"), bundle.input.channels
    model = build(bundle.arch, bundle.num_classes, bundle.weights.stat().st_size + _SLACK)
    if blocks:
        truncate(model, blocks, bundle.num_classes)
    if channels != 3:
        widen_stem(model, channels)
    tensors = read_tensors(bundle.weights)
    fill(model, tensors, bundle.weights)
    model.medzoo = ModelInfo(
        weights=bundle.name,
        arch=bundle.arch,
        input=bundle.input,
        classes=bundle.labels if bundle.num_classes else (),
        task=str(bundle.info.get("task", "")),
        head="linear" if bundle.num_classes else "none",
        truncate=blocks,
        loaded=len(tensors),
        positive=str(bundle.info.get("positive", "")),
    )
    if bundle.info.get("head") == "mlp":
        _load_mlp(model, bundle)
    return model.eval()


def _whole(bundle: Bundle, name: str) -> int:
    value = bundle.info.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ZooError(f"{bundle.folder} says {name} is {value!r}, expected a whole number; fetch or make it again")
    return value


def _load_mlp(model: Model, bundle: Bundle) -> None:
    tensors = read_tensors(bundle.folder / HEAD)
    with Unfilled((bundle.folder / HEAD).stat().st_size):
        head = MLPHead(
            head_width(model), len(bundle.labels), tuple(bundle.info["head_hidden"]), bundle.info["head_dropout"]
        )
    fill(head, tensors, bundle.folder / HEAD)
    put_head(model, head)
    model.num_classes = len(bundle.labels)
    info: ModelInfo = model.medzoo
    model.medzoo = replace(info, classes=bundle.labels, head="mlp", loaded=info.loaded + len(tensors))
