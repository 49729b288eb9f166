"""Test-time augmentation: the transforms of an image that a prediction is averaged over.

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
class TTATransform:
    """A flip, transposition or shift of a square image.

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

    def __call__(self, images: Tensor) -> Tensor:
        """Transform a batch.

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


class TransformedBatches:
    """Batches after a transform.

    Args:
        loader: The images.
        transform: The transform.
    """

    in_memory = True

    def __init__(self, loader: Loader, transform: TTATransform) -> None:
        self._loader, self._transform, self.device = loader, transform, loader.device

    def batch(self, index: Tensor, epoch: Tensor | None = None) -> Tensor:
        """Return a batch, as ``Loader.batch``."""
        return self._transform(self._loader.batch(index, epoch))


@dataclass(frozen=True)
class TTATransforms:
    """A set of transforms; a prediction is the mean of their probabilities.

    Attributes:
        name: That of the augmentation it belongs to.
        transforms: The transforms, the image as it is first.
    """

    name: str
    transforms: tuple[TTATransform, ...]


_IDENTITY = (TTATransform(),)
_SHIFTED = (
    *_IDENTITY,
    TTATransform(right=0.04),
    TTATransform(right=-0.04),
    TTATransform(down=0.04),
    TTATransform(down=-0.04),
)
_FLIPPED = tuple(TTATransform(flip_x=x, flip_y=y) for y in (False, True) for x in (False, True))
_DIHEDRAL = tuple(TTATransform(t, flip.flip_x, flip.flip_y) for t in (False, True) for flip in _FLIPPED)

TTA: Registry[TTATransforms] = Registry(
    "test-time augmentation",
    [
        TTATransforms("none", _IDENTITY),
        TTATransforms("light", _SHIFTED),
        TTATransforms("cxr", _SHIFTED),
        TTATransforms("hwsi", _DIHEDRAL),
        TTATransforms("efi", _FLIPPED),
    ],
)
