"""Which architecture a table of tensors is of, by names and shapes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from medzoo.core.errors import ZooError

# timm's names, by layers in each dense block and the width of the stem.
_DENSENETS: dict[tuple[int, ...], str] = {
    (6, 12, 24, 16, 64): "densenet121",
    (6, 12, 32, 32, 64): "densenet169",
    (6, 12, 48, 32, 64): "densenet201",
    (6, 12, 36, 24, 96): "densenet161",
}
# By blocks in each layer, and whether a block has three convolutions.
_RESNETS: dict[tuple[int, ...], str] = {
    (2, 2, 2, 2, False): "resnet18",
    (3, 4, 6, 3, False): "resnet34",
    (3, 4, 6, 3, True): "resnet50",
    (3, 4, 23, 3, True): "resnet101",
    (3, 8, 36, 3, True): "resnet152",
}
_DENSE_LAYER = re.compile(r"denseblock(\d+)\.denselayer(\d+)\.conv\.?1\.weight$")
_RES_BLOCK = re.compile(r"(?:^|\.)layer(\d)\.(\d+)\.conv1\.weight$")


def guess_architecture(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Name the timm architecture of a state dict.

    Args:
        shapes: The shape of each tensor by name, whatever stands before the architecture's own names.

    Returns:
        timm's name.

    Raises:
        ZooError: It is none of those that names and shapes tell apart; the error says what was seen.

    Example:
        >>> layers = {f"layer{n}.{m}.conv1.weight": (64, 64, 3, 3) for n in (1, 2, 3, 4) for m in (0, 1)}
        >>> guess_architecture(layers)
        'resnet18'
    """
    dense = {match.groups() for key in shapes if (match := _DENSE_LAYER.search(key))}
    if dense:
        blocks = Counter(block for block, _ in dense)
        layers = tuple(blocks[block] for block in sorted(blocks, key=int))
        stem = next((shape[0] for key, shape in shapes.items() if key.endswith("conv0.weight")), 0)
        if (*layers, stem) not in _DENSENETS:
            raise ZooError(
                f"a DenseNet with {'-'.join(map(str, layers))} layers in its blocks is none that timm names; "
                "give its architecture"
            )
        return _DENSENETS[(*layers, stem)]
    res = {match.groups() for key in shapes if (match := _RES_BLOCK.search(key))}
    if res:
        counts = Counter(layer for layer, _ in res)
        three = any(re.search(r"layer1\.0\.conv3\.weight$", key) for key in shapes)
        found = _RESNETS.get((*(counts[layer] for layer in sorted(counts)), three))
        if found:
            return found
    patch = next((shape for key, shape in shapes.items() if key.endswith("patch_embed.proj.weight")), None)
    if patch:
        depth = len(
            {m.group(1) for key in shapes if (m := re.search(r"(?:^|\.)blocks\.(\d+)\.attn\.qkv\.weight$", key))}
        )
        raise ZooError(
            f"this is a vision transformer of width {patch[0]}, {depth} blocks and patches of {patch[-1]} pixels, as "
            "several of timm's are; give its architecture (--arch, for example vit_small_patch14_reg4_dinov2) and what "
            "else timm needs to build it (--model-arg init_values=1e-5)"
        )
    first = ", ".join(f"{key:.60} {list(shape)}" for key, shape in list(shapes.items())[:3])
    raise ZooError(f"no architecture is known by these tensors ({first}, ...); give its timm name (--arch)")
