"""Networks from outside the zoo: classifiers of timm and torchvision with the attributes that medzoo uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from timm.data import resolve_model_data_config
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.data.geometry import FITS
from medzoo.data.input_spec import InputContract
from medzoo.models.heads import outputs_of
from medzoo.models.info import Model, ModelInfo, head_width
from medzoo.models.loading import build

# torchvision networks that timm has too, with the same names for the same tensors.
_TWINS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"),
    *("resnext50_32x4d", "resnext101_32x8d", "densenet121", "densenet161", "densenet169", "densenet201"),
)
# Where torchvision's other families keep their last linear layer.
_HEADS = ("fc", "classifier", "head", "heads")


def adopt(model: nn.Module) -> Model:
    """Give a classifier of timm or torchvision the attribute ``medzoo``: its input contract and the names of its parts.

    Args:
        model: A classifier of timm, of torchvision, or one that medzoo made, which stays as it is.

    Returns:
        The same network with ``model.medzoo``; for a torchvision network that timm has too, timm's form of it with
        copies of its values.

    Raises:
        MedzooError: It is another module, or its classifier cannot be replaced.

    Example:
        >>> import timm
        >>> info = adopt(timm.create_model("resnet18", pretrained=False, num_classes=3)).medzoo
        >>> info.weights, info.head, info.input.size
        ('resnet18', 'linear', 224)
    """
    network = cast(Model, model)
    if isinstance(getattr(model, "medzoo", None), ModelInfo):
        return network
    if hasattr(model, "pretrained_cfg") and hasattr(model, "forward_head"):
        network.medzoo = _describe_timm(network)
        return network
    if type(model).__module__.startswith("torchvision.models."):
        twin = _twin(model)
        if twin is not None:
            return adopt(twin)
        network.medzoo = _describe_torchvision(network)
        return network
    raise MedzooError(
        f"a model of type {type(model).__name__} cannot be fine-tuned; give the name of pretrained weights, a "
        "bundle's folder, or a classifier made by medzoo.create_model, timm or torchvision"
    )


def _describe_timm(model: Model) -> ModelInfo:
    config = model.pretrained_cfg
    if not isinstance(config.get("classifier"), str):
        raise MedzooError(f"{config.get('architecture')} has several classifiers or none; give one with a single head")
    return ModelInfo(
        weights=str(config["architecture"]),
        arch=str(config["architecture"]),
        input=_contract(model),
        head=_kind(model, config["classifier"]),
        loaded=len(model.state_dict()),
    )


def _contract(model: Model) -> InputContract:
    config = resolve_model_data_config(model)
    mean, std, crop = tuple(config["mean"]), tuple(config["std"]), config["crop_mode"]
    first = model.pretrained_cfg.get("first_conv")
    channels = getattr(model.get_submodule(first), "in_channels", len(mean)) if isinstance(first, str) else len(mean)
    if channels != len(mean):  # made with in_chans=, which timm's config does not say
        mean, std = (sum(mean) / len(mean),) * channels, (sum(std) / len(std),) * channels
    kept = float(config.get("crop_pct") or 1.0), str(config.get("interpolation") or "bilinear")
    return InputContract(int(config["input_size"][-1]), crop if crop in FITS else "center", mean, std, *kept)


def _kind(model: Model, classifier: str) -> str:
    """Return the kind of a network's head; the outputs of a user's own are counted."""
    head = model.get_submodule(classifier)
    if isinstance(head, nn.Linear):
        return "linear"
    if isinstance(head, nn.Identity):
        return "none"
    model.num_classes = outputs_of(head, head_width(model))
    return "custom"


def _twin(model: nn.Module) -> Model | None:
    """Return timm's form of a torchvision network, with its values; ``None`` where timm has none."""
    values = model.state_dict()
    shapes = {key: value.shape for key, value in values.items()}
    for arch in _TWINS:
        if type(model).__name__.lower() in arch or arch.startswith(("wide_resnet", "resnext")):
            width = next(reversed(values.values())).shape[0]
            twin = build(arch, width)
            if {key: value.shape for key, value in twin.state_dict().items()} == shapes:
                twin.load_state_dict(values)
                return twin
    return None


def _describe_torchvision(model: Model) -> ModelInfo:
    name = type(model).__name__
    linear = [path for path, part in model.named_modules() if isinstance(part, nn.Linear)]
    if not linear or linear[-1].partition(".")[0] not in _HEADS or getattr(model, "aux_logits", False):
        raise MedzooError(
            f"torchvision's {name} does not end in one linear layer, or has auxiliary outputs; make it with "
            "aux_logits=False, or take timm's form of it"
        )
    head: Any = model.get_submodule(linear[-1])
    model.pretrained_cfg = {"classifier": linear[-1]}
    model.num_features, model.num_classes = head.in_features, head.out_features
    return ModelInfo(
        weights=f"torchvision {name}",
        arch=f"torchvision {name}",
        input=replace(InputContract(), size=int(getattr(model, "image_size", 224))),
        loaded=len(model.state_dict()),
    )
