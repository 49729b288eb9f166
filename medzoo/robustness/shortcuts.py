"""Images without the organ, or without its surroundings: what does a model still know?

What is taken away is filled with one value, the same for all images, so that nothing of it is left. Where it is the
organ that was taken away, a model that still knows the answer reads something else.

Source: Maguolo & Nanni, A critic evaluation of methods for COVID-19 automatic detection from X-ray images, Information
Fusion 76, 2021 (the lungs blanked); DeGrave et al., AI for radiographic COVID-19 detection selects shortcuts over
signal, Nature Machine Intelligence 3, 2021 (marks in the corners).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.core.registry import Registry
from medzoo.robustness.field_of_view import fields_of_view
from medzoo.robustness.image_kind import EYES, GREY

CENTRE = 0.8  # of the side: the organ; 64 % of the area
CORNER = 0.2  # of the side, where marks and letters stand

# uint8 [N, H, W, C] -> bool [N or 1, H, W], the part that is taken away
Mask = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Shortcut:
    """A way to take a part of the image away.

    Attributes:
        name: Its name.
        title: What is left, in words.
        organ: Whether the organ is taken away: then the answer should be unknown.
        removed: The part that is taken away.
        background: Fill with the colour beside the part, not with one value for all.
        kinds: The kinds of images that it fits.
    """

    name: str
    title: str
    organ: bool
    removed: Mask
    background: bool = False
    kinds: tuple[str, ...] = (GREY, EYES)


def _middle(side: int, share: float) -> NDArray[np.bool_]:
    """Return ``bool [side, side]``, true in the middle square."""
    edge = round(side * (1 - share) / 2)
    inside = np.zeros((side, side), bool)
    inside[edge : side - edge, edge : side - edge] = True
    return inside


def corners_of(side: int, share: float = CORNER) -> NDArray[np.bool_]:
    """Return ``bool [side, side]``, true in the four corner squares."""
    near = np.zeros(side, bool)
    width = max(1, round(side * share))
    near[:width] = near[-width:] = True
    return near[:, None] & near


SHORTCUTS: Registry[Shortcut] = Registry(
    "short cut",
    [
        Shortcut(
            "centre",
            "the border alone (the centre blanked)",
            True,
            lambda images: _middle(images.shape[1], CENTRE)[None],
            kinds=(GREY,),
        ),
        Shortcut(
            "field",
            "the frame alone (the field of view filled)",
            True,
            fields_of_view,
            kinds=(EYES,),
        ),
        Shortcut(
            "corners_alone",
            "the corners alone (all else blanked)",
            True,
            lambda images: ~corners_of(images.shape[1])[None],
        ),
        Shortcut(
            "border",
            "the centre alone (the border blanked)",
            False,
            lambda images: ~_middle(images.shape[1], CENTRE)[None],
            kinds=(GREY,),
        ),
        Shortcut(
            "outside",
            "the field of view alone (the frame filled)",
            False,
            lambda images: ~fields_of_view(images),
            kinds=(EYES,),
        ),
        Shortcut(
            "corners",
            "the image without marks in its corners",
            False,
            lambda images: corners_of(images.shape[1])[None],
            background=True,
        ),
    ],
)


def without(pixels: Tensor, images: NDArray[np.uint8], shortcut: Shortcut, fill: Sequence[float]) -> Tensor:
    """Take a part of each image away.

    Args:
        pixels: ``float32 [B, C, S, S]`` in [0, 1].
        images: ``uint8 [B, S, S, C]``, the same images.
        shortcut: What to take away.
        fill: The value of each channel that the part is filled with.

    Returns:
        The same shape as ``pixels``.

    Example:
        >>> images = np.full((1, 32, 32, 3), 255, np.uint8)
        >>> left = without(torch.ones(1, 3, 32, 32), images, SHORTCUTS["centre"], (0, 0, 0))
        >>> left[0, 0, 16, 16].item(), left[0, 0, 0, 0].item()
        (0.0, 1.0)
    """
    if shortcut.background:
        return _smooth_corners(pixels)
    removed = torch.from_numpy(shortcut.removed(images)).to(pixels.device)[:, None]
    return torch.where(removed, pixels.new_tensor(fill)[: pixels.shape[1]].view(1, -1, 1, 1), pixels)


def _smooth_corners(pixels: Tensor) -> Tensor:
    """Fill each corner square with the median colour of the strip around it: marks go, the background stays."""
    width = max(1, round(pixels.shape[-1] * CORNER))
    strip = max(1, width // 2)
    out = pixels.clone()
    for flips in ((), (2,), (3,), (2, 3)):
        turned = out.flip(flips)  # a copy with this corner at the top left
        below, beside = (
            turned[:, :, width : width + strip, : width + strip],
            turned[:, :, :width, width : width + strip],
        )
        around = torch.cat([below.flatten(2), beside.flatten(2)], 2)
        turned[:, :, :width, :width] = around.median(2).values[:, :, None, None]
        out = turned.flip(flips)
    return out


def choose_shortcuts(names: Sequence[str] | None, kind: str) -> list[Shortcut]:
    """Return what to take away.

    Args:
        names: Names in ``SHORTCUTS``; ``None`` for all that fit the images.
        kind: The kind of images.

    Raises:
        UnknownNameError: There is no such short cut.
    """
    if names is None:
        names = [one.name for one in SHORTCUTS.values() if kind in one.kinds]
    return [SHORTCUTS[name] for name in dict.fromkeys(names)]
