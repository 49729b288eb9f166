"""``create_model``: a pretrained backbone with the input and head that a task needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import timm
from timm.models import FeatureListNet
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.data.input_spec import InputContract
from medzoo.models.freezing import freeze as freeze_part
from medzoo.models.heads import check_head, replace_head
from medzoo.models.in_channels import convert_channels
from medzoo.models.info import Model, ModelInfo
from medzoo.models.ledger import account, tensors_of
from medzoo.models.loading import describe, load_bundle
from medzoo.models.truncation import truncate as truncate_blocks
from medzoo.zoo.resolve import resolve
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import find


def create_model(
    weights: str | Path,
    *,
    num_classes: int | None = None,
    head: str | nn.Module | None = "mlp",
    pretrained: bool = True,
    image_size: int | None = None,
    in_chans: int | None = None,
    truncate: int | None = None,
    features_only: bool = False,
    freeze: str | int | None = None,
    zoo: str | Path | None = None,
) -> Model:
    """Create a network with pretrained weights of the zoo, and the input and head for the task.

    Args:
        weights: A name of ``medzoo.list_models()``, or the folder of a bundle.
        num_classes: Outputs of the new head. ``None`` keeps the pretrained classifier; 0 gives the
            pooled features.
        head: The kind of a new head: ``"mlp"`` (the paper's: fully connected, batch-norm, ReLU and
            dropout blocks), ``"linear"``, your own module that takes ``[N, features]``, or
            ``None`` for no head (pooled features, as ``num_classes=0``).
        pretrained: ``False`` leaves the random initial values of the architecture.
        image_size: Another input size than in pretraining, in pixels (32 or more).
        in_chans: Another number of input channels, such as 1 for grey images. The first layer and the input contract
            are converted so that outputs for grey images stay the same (``medzoo.models.in_channels``).
        truncate: Keep only so many of the first dense blocks, 1 to 3 of DenseNet-121's 4
            (``medzoo.models.truncation``).
        features_only: Return the feature maps of each scale instead, for segmentation and
            detection: of DenseNet-121 64, 256, 512, 1024 and 1024 channels at strides 2 to 32.
        freeze: The part that training does not change, batch-norm statistics included: ``"all"`` but the head, or the
            number of first blocks (0 for the stem alone).
        zoo: A folder zoo or ``hf://org``; default ``MEDZOO_ZOO``, else the project's zoo on the Hub, else the
            preview weights of a checkout (with a warning).

    Returns:
        A timm model in evaluation mode that maps normalised ``float32 [N, C, H, W]`` (C is 3, or ``in_chans``) to
        logits ``[N, num_classes]``; ``model.medzoo`` (a ``ModelInfo``) lists what was loaded, converted, dropped
        and new, and how images must be prepared.

    Raises:
        UnknownNameError: No weights or head have that name.
        ZooError: The weights cannot be found, downloaded or verified.
        MedzooError: Options are impossible, or do not go together.

    Example:
        >>> import torch
        >>> model = create_model("densenet121_all_in", num_classes=4, in_chans=1, truncate=2, pretrained=False)
        >>> model(torch.zeros(1, 1, 64, 64)).shape
        torch.Size([1, 4])
    """
    _check(num_classes, head, truncate, features_only)
    if pretrained:
        bundle = resolve(weights, zoo)
        model, info = load_bundle(bundle), describe(bundle)
    else:
        model, info = _random(str(weights))
    loaded = tensors_of(model) if pretrained else {}
    converted: tuple[str, ...] = ()
    if image_size is not None:
        info = replace(info, input=info.input.resized(image_size))
    if in_chans is not None:
        contract, converted = convert_channels(model, info.input, in_chans)
        info = replace(info, input=contract)
    if truncate is not None:
        truncate_blocks(model, truncate)
        info = replace(info, truncate=truncate, head="none", classes=(), task="", positive="")
    if features_only or isinstance(head, nn.Module) or head is None or num_classes is not None:
        kind = replace_head(model, None if features_only else head, num_classes)
        info = replace(info, head=kind, classes=(), task="", positive="")
    if freeze is not None:
        info = replace(info, frozen=freeze_part(model, freeze))
    info = account(info, model, loaded, converted)
    # timm.data.resolve_model_data_config reads this, so that timm's own transforms follow too.
    config = {key: tuple(x) if isinstance(x, list) else x for key, x in info.input.to_config().items()}
    model.pretrained_cfg = {**model.pretrained_cfg, **config, "test_input_size": None, "test_crop_pct": None}
    if features_only:
        model, info = _feature_maps(model), replace(info, head="features")
    model.medzoo = info
    return model.eval()


def _check(num_classes: int | None, head: str | nn.Module | None, truncate: int | None, features_only: bool) -> None:
    """Refuse impossible options before anything is downloaded."""
    if num_classes is not None and num_classes < 0:
        raise MedzooError(
            f"num_classes is {num_classes}; give 1 or more, 0 for features, or None for the pretrained classifier"
        )
    check_head(head)
    new_head = num_classes is not None or head is None or isinstance(head, nn.Module)
    if features_only and (num_classes or isinstance(head, nn.Module)):
        raise MedzooError(
            "features_only=True gives feature maps, which have no classes; leave num_classes and head out"
        )
    if truncate is not None and not (new_head or features_only):
        raise MedzooError("the pretrained classifier does not fit truncated features; give num_classes (0 for none)")


def _random(name: str) -> tuple[Model, ModelInfo]:
    """Create the architecture of pretrained weights with random values."""
    entry = find(name)
    source = SOURCES[entry.source] if entry.source else None
    info = ModelInfo(
        weights=f"{name} (random)",
        arch=entry.arch,
        input=InputContract(crop=source.crop) if source else InputContract(),
        classes=entry.labels,
        task=source.task if source else "",
    )
    return cast(Model, timm.create_model(entry.arch, pretrained=False, num_classes=len(entry.labels) or 1000)), info


def _feature_maps(model: Model) -> Model:
    """Move the layers into a network that gives the list of feature maps, under timm's names for them."""
    maps = cast(Model, FeatureListNet(model, tuple(range(len(model.feature_info))), flatten_sequential=True))
    maps.pretrained_cfg, maps.num_classes = model.pretrained_cfg, 0
    return maps
