"""Features of a comparison's images: computed once for each of the weights, not once for each run."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from medzoo.data.dataset import Examples
from medzoo.features.extract import Features, extract_features
from medzoo.finetuning.backbone import load_backbone

# What a process keeps for the runs to come: 20,000 images with 1,024 features are 80 MB.
KEPT_BYTES = 1 << 29
_KEPT: OrderedDict[tuple[str, ...], Features] = OrderedDict()


def features_once(
    key: tuple[str, ...],
    folder: Path,
    examples: Examples,
    image_size: int,
    truncate: int | None = None,
    device: str | None = None,
) -> Features:
    """Return the features of a data set by pretrained weights, computed at the first call of this process.

    Always of the whole data set, whatever part of it a run uses: its outcome then does not depend on which runs its
    process had before.

    Args:
        key: Names weights and data set by their digests.
        folder: The bundle.
        examples: The whole data set.
        image_size: As in ``finetune``.
        truncate: As in ``finetune``.
        device: As in ``finetune``.
    """
    key = (*key, str(image_size), str(truncate), str(device))
    if key not in _KEPT:
        _KEPT[key] = extract_features(load_backbone(folder, image_size, truncate, None), examples, device=device)
    _KEPT.move_to_end(key)
    while len(_KEPT) > 1 and sum(one.values.nbytes for one in _KEPT.values()) > KEPT_BYTES:
        _KEPT.popitem(last=False)
    return _KEPT[key]
