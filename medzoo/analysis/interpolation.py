"""Linear interpolation between two networks: is there a barrier, or are they in one basin?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from medzoo.analysis.compatibility import InapplicableError, check_backbones, check_heads, head
from medzoo.models.info import Model


@dataclass(frozen=True)
class Interpolation:
    """Scores of the networks ``(1 - a) before + a after``.

    Attributes:
        metric: The metric of the scores.
        shares: The a of each point, from 0 (before) to 1 (after).
        scores: The metric at each point; ``None`` where it is undefined.
        losses: The loss at each point.
        recalibrated: Whether the statistics of batch normalisation were measured again at each point, the ends too;
            else they are interpolated as the other values.
        both_heads: Whether both networks have this task's head, which is interpolated too; else every point has
            after's head, and "before" is a network that nobody trained: its features under a head made for others.
    """

    metric: str
    shares: tuple[float, ...]
    scores: tuple[float | None, ...]
    losses: tuple[float, ...]
    recalibrated: bool
    both_heads: bool

    @property
    def loss_barrier(self) -> float | None:
        """Return how far the loss rises above the line between its values at the ends; ``None`` without both heads.

        Source: Entezari et al., "The Role of Permutation Invariance in Linear Mode Connectivity of Neural Networks",
        ICLR 2022, definition 2.1.
        """
        return _largest(self.losses, self.shares, 1) if self.both_heads else None

    @property
    def score_barrier(self) -> float | None:
        """Return how far the score falls below the line between its values at the ends; ``None`` without both heads."""
        return _largest(self.scores, self.shares, -1) if self.both_heads else None


def _largest(values: Sequence[float | None], shares: Sequence[float], sign: int) -> float | None:
    """Return the largest rise (sign 1) or fall (-1) of values beyond the line between their ends."""
    defined = [value for value in values if value is not None]
    if len(defined) < len(values):
        return None
    first, last = defined[0], defined[-1]
    return max(sign * (value - ((1 - a) * first + a * last)) for a, value in zip(shares, defined, strict=True))


def has_both_heads(before: Model, after: Model) -> bool:
    """Return whether both networks have heads of one form for the same classes, so that heads can be interpolated."""
    try:
        check_heads(before, after)
    except InapplicableError:
        return False
    return True


def points(before: Model, after: Model, shares: Iterable[float]) -> Iterator[Model]:
    """Yield networks on the straight line between two.

    Statistics of batch normalisation are interpolated as all other values are (``recalibrate`` measures them). Where
    before has no head like after's, every point has after's.

    Args:
        before: A timm model.
        after: One with the same backbone; neither is changed.
        shares: The a of ``(1 - a) before + a after`` for each point.

    Yields:
        A network in evaluation mode: one and the same, with new values each time.

    Raises:
        InapplicableError: The backbones do not have the same tensors.
    """
    check_backbones(before, after)
    start, end = before.state_dict(), after.state_dict()
    fixed = set() if has_both_heads(before, after) else set(head(after))
    between = deepcopy(after).eval()
    values = between.state_dict()
    for share in shares:
        with torch.no_grad():
            for key, value in values.items():
                # Counts of batches are whole numbers, and nothing is computed from them.
                if value.is_floating_point() and key not in fixed:
                    value.copy_((1 - share) * start[key] + share * end[key])
        yield between


@torch.no_grad()
def recalibrate(model: Model, batches: Iterable[Tensor]) -> None:
    """Measure the statistics of batch normalisation on images, in place; nothing else changes.

    The variance of activations shrinks between two networks, so that interpolated statistics alone make a barrier:
    a barrier that is left with measured ones is in the weights. Labels are not used. Each batch counts alike, so
    they should be of about one size, at least 2 images, and of mixed classes.

    Args:
        model: A network.
        batches: Normalised images ``[B, C, H, W]``.

    Source:
        Jordan et al., "REPAIR: REnormalizing Permuted Activations for Interpolation Repair", ICLR 2023, section 4.
    """
    # A frozen layer has a train() that does nothing, so the flag itself is set; dropout stays off.
    norms = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    with _measuring([norm for norm in norms if norm.track_running_stats]):
        for batch in batches:
            model(batch)


@contextmanager
def _measuring(norms: list[Any]) -> Iterator[None]:
    """Let layers average their statistics over all batches to come, each alike."""
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.training, norm.momentum = True, None
    try:
        yield
    finally:
        for norm, (training, momentum) in zip(norms, before, strict=True):
            norm.training, norm.momentum = training, momentum
