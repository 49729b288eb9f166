"""L2 distance between the values of two networks, block by block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from timm.models import group_parameters
from torch import Tensor

from medzoo.analysis.compatibility import backbone, check_backbones, check_heads, head
from medzoo.models.info import Model


@dataclass(frozen=True)
class BlockDistance:
    """The change of one block.

    Attributes:
        block: ``"stem"``, ``"block 1"`` and so on (a dense block with its transition), ``"end"`` for what follows the
            last block, or ``"head"``.
        parameters: Number of trained values.
        distance: L2 norm of their change.
        relative: The same over the L2 norm of the values before; ``None`` where that is 0.
        statistics: L2 norm of the change of the running means and variances of batch normalisation; ``None`` where
            there are none.
        statistics_relative: The same over their norm before.
    """

    block: str
    parameters: int
    distance: float
    relative: float | None
    statistics: float | None
    statistics_relative: float | None


def block_distances(before: Model, after: Model) -> tuple[BlockDistance, ...]:
    """Compute the L2 distance of two networks, block by block, without their heads.

    Statistics of batch normalisation are apart: they are measured, not trained, and their scale is the images'.

    Returns:
        One entry a block, from the input on.

    Raises:
        InapplicableError: The backbones do not have the same tensors.

    Example:
        >>> from medzoo import create_model
        >>> model = create_model("densenet121_efi_ri", pretrained=False)
        >>> [(found.block, found.distance) for found in block_distances(model, model)][:2]
        [('stem', 0.0), ('block 1', 0.0)]

    Source:
        Neyshabur, Sedghi, Zhang, "What is being transferred in transfer learning?", NeurIPS 2020, section 3.
    """
    check_backbones(before, after)
    first, second = backbone(before), backbone(after)
    # timm's coarse groups in order: the stem, the blocks, then what follows them, the head with it.
    groups = [
        [name for name in names if name in first]
        for names in group_parameters(before, before.group_matcher(coarse=True)).values()
    ]
    labels = ["stem", *(f"block {number}" for number in range(1, len(groups) - 1)), "end"]
    return tuple(_moved(label, names, first, second) for label, names in zip(labels, groups, strict=True) if names)


def head_distance(before: Model, after: Model) -> BlockDistance:
    """Compute the L2 distance of the heads of two networks.

    Args:
        before: A timm model with a head.
        after: One with a head of the same form for the same classes.

    Returns:
        The entry of the block ``"head"``.

    Raises:
        InapplicableError: The heads are not of the same form, or one network has none.
    """
    check_heads(before, after)
    names = [name for name, _ in after.named_parameters() if name in head(after)]
    return _moved("head", names, head(before), head(after))


def _moved(block: str, names: list[str], first: dict[str, Tensor], second: dict[str, Tensor]) -> BlockDistance:
    distance, size = _norms(names, first, second)
    modules = dict.fromkeys(name.rpartition(".")[0] for name in names)
    measured = [f"{m}.{kind}" for m in modules for kind in ("running_mean", "running_var")]
    measured = [name for name in measured if name in first]
    moved, scale = _norms(measured, first, second)
    return BlockDistance(
        block,
        sum(first[name].numel() for name in names),
        distance,
        distance / size if size else None,
        moved if measured else None,
        moved / scale if scale else None,
    )


def _norms(names: Iterable[str], first: dict[str, Tensor], second: dict[str, Tensor]) -> tuple[float, float]:
    """Return the L2 norm of the change of some tensors, and that of their values before."""
    change = size = 0.0
    for name in names:
        old = first[name].cpu().double()
        change += float((second[name].cpu().double() - old).square().sum())
        size += float(old.square().sum())
    return change**0.5, size**0.5
