"""Strict loading: no tensor missing, none unexpected, and no random values drawn on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

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
from medzoo.models.variant import Variant
from medzoo.zoo.bundle import HEAD, Bundle

_DRAWING = frozenset(
    {
        *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_),
        *(nn.init.normal_, nn.init.uniform_, nn.init.constant_, nn.init.kaiming_uniform_, nn.init.trunc_normal_),
    }
)


_OLD = re.compile(r"\.(norm|relu|conv)\.\d\.")


# What of timm's arguments shapes a network.
MODEL_ARGS = (
    *("init_values", "img_size", "dynamic_img_size", "patch_size", "global_pool", "reg_tokens", "class_token"),
    *("no_embed_class", "pre_norm", "qkv_bias", "mlp_ratio", "num_heads", "depth", "embed_dim", "act_layer"),
)

# Values that a network may have beyond the bytes of its file: those of blocks truncated after it is built.
_SLACK = 100_000_000


class Unfilled(TorchFunctionMode):
    """Create parameters without initial values: drawing them takes half the time of loading.

    Args:
        at_most: How many values may be allocated, so that a file of a few bytes with the config of a huge network does
            not fill the memory; ``None`` for any number.
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


def build(
    arch: str, num_classes: int, at_most: int | None = None, model_args: Mapping[str, Any] | None = None
) -> Model:
    """Build an architecture whose parameters have no values yet, ready for a state dict.

    Args:
        arch: A timm architecture name.
        num_classes: Outputs of its classifier; 0 for none.
        at_most: The most values it may have; ``None`` for any number.
        model_args: What else timm needs to build it, of ``MODEL_ARGS``.

    Raises:
        ZooError: timm has no such architecture, or it is larger than that.
    """
    if not timm.is_model(arch):
        raise ZooError(f"timm {timm.__version__} has no architecture {arch!r}; a newer timm may")
    options = check_model_args(model_args or {})
    try:
        with Unfilled(at_most):
            return cast(Model, timm.create_model(arch, pretrained=False, num_classes=num_classes, **options))
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        if not options:
            raise
        raise ZooError(f"timm cannot build {arch} with {options}: {error}") from error


def check_model_args(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take only those arguments of timm that shape a network: others name files to read or classes to call.

    Raises:
        ZooError: One is another, or no plain value.
    """
    for name, value in given.items():
        plain = isinstance(value, (bool, int, float, str)) or (
            isinstance(value, (list, tuple)) and len(value) < 9 and all(type(one) is int for one in value)
        )
        if name not in MODEL_ARGS or not plain:
            raise ZooError(f"{name}={value!r:.60} is no argument that shapes a network; known: {', '.join(MODEL_ARGS)}")
    return dict(given)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        ZooError: It cannot be read as one.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ZooError(f"{path} cannot be read as safetensors ({_reason(path, error)})") from error


def _reason(path: Path, error: Exception) -> str:
    """Say what a file is that is not safetensors."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as missing:
        return f"{missing.strerror}; check the path"
    if start in (b"PK", b"\x80\x02"):  # torch.save's zip, and its older form
        return (
            "it is a file of torch.save, which may run code when it is read; write its tensors with "
            "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')"
        )
    return f"{error}; fetch it again"


def fill(model: nn.Module, tensors: dict[str, Tensor], origin: Path) -> None:
    """Load a state dict into a model from ``build``: every tensor, each of the right shape, none unexpected.

    Floating-point values of another precision are converted to the model's.

    Raises:
        ZooError: A tensor is missing, unexpected, or of another shape or type; the first few are named.
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
        hint = _hint(list(want), list(have))
        raise ZooError(f"{origin} does not fit {type(model).__name__}: {'; '.join(wrong[:3])}{more}{hint}")
    # Copies, into the model's own memory and type. As they lie in the file they are not aligned, which changes the
    # order of sums and so the last bits of what other libraries compute from the same weights.
    with torch.no_grad():
        for key, tensor in empty.items():
            tensor.copy_(tensors[key])


def _hint(want: list[str], have: list[str]) -> str:
    """Name the two usual reasons for names that do not fit: a wrapper's prefix, and torchvision's old names."""
    prefixes = {name.removesuffix(want[0]) for name in have if name.endswith(f".{want[0]}")}
    if prefixes and want[0] not in have:
        return (
            f". Its names begin with {prefixes.pop()!r:.80}, as those of a wrapper such as DataParallel do: save the "
            "state_dict() of the network inside it"
        )
    if any(_OLD.search(name) for name in have):
        return ". Names such as 'norm.1' are those of torchvision's old files: rename them to 'norm1', or save it again"
    return ""


def load_bundle(bundle: Bundle) -> Model:
    """Load the network of a bundle with its own classifier or head.

    Raises:
        ZooError: Its files do not fit its config.
    """
    blocks, channels = _whole(bundle, "truncate"), bundle.input.channels
    args = _mapping(bundle, "model_args")
    model = build(bundle.arch, bundle.num_classes, bundle.weights.stat().st_size + _SLACK, args)
    if blocks:
        truncate(model, blocks, bundle.num_classes)
    if channels != 3:
        widen_stem(model, channels)
    fill(model, read_tensors(bundle.weights), bundle.weights)
    Variant.from_info(bundle.info).apply(model)
    if bundle.info.get("head") == "mlp":
        _load_mlp(model, bundle)
    return model.eval()


def describe(bundle: Bundle) -> ModelInfo:
    """Describe the model that ``load_bundle`` gives, but for its ledger of tensors."""
    mlp = bundle.info.get("head") == "mlp"
    return ModelInfo(
        weights=bundle.name,
        arch=bundle.arch,
        input=bundle.input,
        classes=bundle.labels if bundle.num_classes or mlp else (),
        task=str(bundle.info.get("task", "")),
        head="mlp" if mlp else "linear" if bundle.num_classes else "none",
        truncate=_whole(bundle, "truncate"),
        positive=str(bundle.info.get("positive", "")),
        variant=Variant.from_info(bundle.info),
        model_args=_mapping(bundle, "model_args"),
    )


def _whole(bundle: Bundle, name: str) -> int:
    value = bundle.info.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ZooError(f"{bundle.folder} says {name} is {value!r}, expected a whole number; fetch or make it again")
    return value


def _mapping(bundle: Bundle, name: str) -> dict[str, Any]:
    value = bundle.info.get(name) or {}
    if not isinstance(value, dict):
        raise ZooError(f"{bundle.folder} says {name} is {value!r:.80}, expected an object; fetch or make it again")
    return value


def _load_mlp(model: Model, bundle: Bundle) -> None:
    with Unfilled((bundle.folder / HEAD).stat().st_size):
        head = MLPHead(
            head_width(model), len(bundle.labels), tuple(bundle.info["head_hidden"]), bundle.info["head_dropout"]
        )
    fill(head, read_tensors(bundle.folder / HEAD), bundle.folder / HEAD)
    put_head(model, head)
    model.num_classes = len(bundle.labels)
