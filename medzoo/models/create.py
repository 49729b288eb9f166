"""``create_model``: a pretrained backbone with the input and the head that a task needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import timm
from timm.models import FeatureListNet
from torch import nn

from medzoo.core.errors import MedzooError
from medzoo.data.input_spec import InputContract
from medzoo.models.freezing import freeze as freeze_part
from medzoo.models.heads import check_head, set_head
from medzoo.models.in_channels import convert_channels
from medzoo.models.info import Model, ModelInfo
from medzoo.models.loading import load_bundle
from medzoo.models.truncation import truncate as cut
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
    """Make a network from a weight of the zoo, with the input and the head for the task at hand.

    Args:
        weights: A weight's name (``medzoo.list_models()``), or the folder of a bundle.
        num_classes: Outputs of the new head. ``None`` keeps the weight's own classifier; 0 gives the
            pooled features.
        head: The form of a new head: ``"mlp"`` (the paper's: fully connected, batch-norm, ReLU and
            dropout blocks), ``"linear"``, a module of your own that takes ``[N, features]``, or
            ``None`` for no head (pooled features, as ``num_classes=0``).
        pretrained: ``False`` leaves the random start of the architecture.
        image_size: Another input size than the weight's, in pixels (32 or more).
        in_chans: Another number of input channels: 1 for grey images, or that of your own channels. The first layer and
            the input contract are converted so that grey images give what they gave (``medzoo.models.in_channels``).
        truncate: Keep only so many of the first dense blocks, 1 to 3 of DenseNet-121's 4
            (``medzoo.models.truncation``).
        features_only: A network that gives the list of feature maps of each scale instead, for segmentation and
            detection: of DenseNet-121 64, 256, 512, 1024 and 1024 channels at strides 2 to 32.
        freeze: What training leaves as it is, batch-norm statistics too: ``"all"`` but the head, or the
            number of first blocks (0 for the stem alone).
        zoo: A folder zoo or ``hf://org``; default ``MEDZOO_ZOO``, else the project's zoo on the Hub.

    Returns:
        A timm model in evaluation mode that maps normalised ``float32 [N, C, H, W]`` (C is 3, or ``in_chans``) to
        logits ``[N, num_classes]``; ``model.medzoo`` (a ``ModelInfo``) says what was loaded, converted, dropped
        and new, and how images must be prepared.

    Raises:
        UnknownNameError: No weight or head has that name.
        ZooError: The weight cannot be found, fetched or trusted.
        MedzooError: Options are impossible, or do not go together.

    Example:
        >>> import torch
        >>> model = create_model("densenet121_all_in", num_classes=4, in_chans=1, truncate=2, pretrained=False)
        >>> model(torch.zeros(1, 1, 64, 64)).shape
        torch.Size([1, 4])
    """
    _check(num_classes, head, truncate, features_only)
    model = load_bundle(resolve(weights, zoo)) if pretrained else _random(str(weights))
    if image_size is not None:
        model.medzoo = replace(model.medzoo, input=model.medzoo.input.resized(image_size))
    if in_chans is not None:
        _convert(model, in_chans)
    if truncate is not None:
        _truncate(model, truncate)
    if features_only or isinstance(head, nn.Module) or head is None or num_classes is not None:
        set_head(model, None if features_only else head, num_classes)
    frozen = freeze_part(model, freeze) if freeze is not None else ""
    info: ModelInfo = replace(model.medzoo, frozen=frozen)
    # timm.data.resolve_model_data_config reads this, so that timm's own transforms follow too.
    config = {key: tuple(x) if isinstance(x, list) else x for key, x in info.input.to_config().items()}
    config = {**model.pretrained_cfg, **config, "test_input_size": None, "test_crop_pct": None}
    model.pretrained_cfg = config
    if features_only:
        # The layers move into a new module, under timm's names for them.
        maps: Model = FeatureListNet(model, tuple(range(len(model.feature_info))), flatten_sequential=True)
        maps.pretrained_cfg, maps.num_classes, model = config, 0, maps
        info = replace(info, head="features")
    model.medzoo = info
    return model.eval()


def _check(num_classes: int | None, head: str | nn.Module | None, truncate: int | None, features_only: bool) -> None:
    """Refuse what cannot be meant, before anything is fetched."""
    if num_classes is not None and num_classes < 0:
        raise MedzooError(f"num_classes is {num_classes}; give 1 or more, 0 for features, or None for the weight's own")
    check_head(head)
    new_head = num_classes is not None or head is None or isinstance(head, nn.Module)
    if features_only and (num_classes or isinstance(head, nn.Module)):
        raise MedzooError(
            "features_only=True gives feature maps, which have no classes; leave num_classes and head out"
        )
    if truncate is not None and not (new_head or features_only):
        raise MedzooError("the weight's own classifier does not fit truncated features; give num_classes (0 for none)")


def _random(name: str) -> Model:
    entry = find(name)
    source = SOURCES[entry.source] if entry.source else None
    model: Model = timm.create_model(entry.arch, pretrained=False, num_classes=len(entry.labels) or 1000)
    model.medzoo = ModelInfo(
        weights=f"{name} (random)",
        arch=entry.arch,
        input=InputContract(crop=source.crop) if source else InputContract(),
        classes=entry.labels,
        task=source.task if source else "",
        new=tuple(model.state_dict()),
    )
    return model


def _convert(model: Model, channels: int) -> None:
    """Change the number of input channels, and say so."""
    info: ModelInfo = model.medzoo
    contract, converted = convert_channels(model, info.input, channels)
    if info.loaded:
        info = replace(info, loaded=info.loaded - len(converted), converted=info.converted + converted)
    model.medzoo = replace(info, input=contract)


def _truncate(model: Model, blocks: int) -> None:
    """Keep the first dense blocks, and say so."""
    info: ModelInfo = model.medzoo
    before = set(model.state_dict())
    renamed = cut(model, blocks)
    # By the names of the weight: the last normalisation's values come from a transition's.
    gone = before - set(model.state_dict()) - set(renamed.values()) | set(renamed)
    if info.loaded:
        moved = tuple(f"{new} (was {old})" for new, old in renamed.items())
        info = replace(
            info,
            loaded=info.loaded - len(gone) - len(moved),
            converted=info.converted + moved,
            dropped=info.dropped + tuple(sorted(gone)),
        )
    else:
        info = replace(info, new=tuple(model.state_dict()))
    model.medzoo = replace(info, truncate=blocks, head="none", classes=(), task="", positive="")
    model.pretrained_cfg = {**model.pretrained_cfg, "num_classes": 0}
    model.num_classes = 0
