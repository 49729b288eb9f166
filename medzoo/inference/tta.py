"""Test-time augmentation: the views of an image that a prediction is averaged over.

Each set belongs to the augmentation of the same name (``medzoo.engine.augment.AUGMENTS``) and shows a network only what
such images allow: a chest X-ray is never mirrored, tissue may be turned any way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from medzoo.core.registry import Registry
from medzoo.engine.loader import Loader


@dataclass(frozen=True)
class View:
    """One way to look at a square image.

    Attributes:
        transpose: Exchange rows and columns, first; with the mirrorings it makes the quarter turns.
        flip_x: Mirror left and right.
        flip_y: Mirror top and bottom.
        right: Shift to the right, as a share of the side; the border is repeated.
        down: Shift downwards.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False
    right: float = 0.0
    down: float = 0.0

    def of(self, images: Tensor) -> Tensor:
        """Look at a batch this way.

        Args:
            images: ``float32 [B, C, S, S]``.

        Returns:
            The same shape.
        """
        if self.transpose:
            images = images.transpose(2, 3)
        axes = [axis for axis, flip in ((3, self.flip_x), (2, self.flip_y)) if flip]
        images = images.flip(axes) if axes else images
        side = images.shape[-1]
        x, y = round(self.right * side), round(self.down * side)
        if not (x or y):
            return images
        wide = F.pad(images, (max(x, 0), max(-x, 0), max(y, 0), max(-y, 0)), mode="replicate")
        return wide[:, :, max(-y, 0) : max(-y, 0) + side, max(-x, 0) : max(-x, 0) + side]


class Seen:
    """Images as one view shows them.

    Args:
        pool: The images.
        view: The view.
    """

    in_memory = True

    def __init__(self, loader: Loader, view: View) -> None:
        self._pool, self._view = loader, view

    def batch(self, index: Tensor, epoch: Tensor | None = None) -> Tensor:
        """As in ``medzoo.engine.loader.Loader``."""
        return self._view.of(self._pool.batch(index, epoch))


@dataclass(frozen=True)
class Views:
    """A set of views; a prediction is the mean of their probabilities.

    Attributes:
        name: That of the augmentation it belongs to.
        views: The views, the image as it is first.
    """

    name: str
    views: tuple[View, ...]


_AS_IT_IS = (View(),)
_SHIFTED = (*_AS_IT_IS, View(right=0.04), View(right=-0.04), View(down=0.04), View(down=-0.04))
_MIRRORED = tuple(View(flip_x=x, flip_y=y) for y in (False, True) for x in (False, True))
_TURNED = tuple(View(t, view.flip_x, view.flip_y) for t in (False, True) for view in _MIRRORED)

TTA: Registry[Views] = Registry(
    "test-time augmentation",
    [
        Views("none", _AS_IT_IS),
        Views("light", _SHIFTED),
        Views("cxr", _SHIFTED),
        Views("hwsi", _TURNED),
        Views("efi", _MIRRORED),
    ],
)
