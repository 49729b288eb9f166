"""Augmentation of whole batches on the device, seeded per (seed, epoch, image).

The random numbers of an image depend on these three alone: not on the order of the batches, the batch size or the
number of devices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medzoo.core.registry import Registry


@dataclass(frozen=True)
class Augment:
    """The largest changes of a training image; 0 or false for none.

    Attributes:
        name: The name of this augmentation.
        flip_x: Mirror left and right, half of the time.
        flip_y: Mirror top and bottom, half of the time.
        degrees: Largest rotation either way.
        zoom: Largest relative change of scale either way.
        shift: Largest shift either way, as a share of the side.
        brightness: Largest change added, as a share of the value range.
        contrast: Largest relative change of contrast either way.
    """

    name: str
    flip_x: bool = False
    flip_y: bool = False
    degrees: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0


AUGMENTS: Registry[Augment] = Registry(
    "augmentation",
    [
        Augment("none"),
        # For images whose left and right must not be exchanged, or of which nothing is known.
        Augment("light", degrees=7, zoom=0.1, shift=0.05, brightness=0.05, contrast=0.1),
        # A heart has a side: a chest X-ray is never mirrored.
        Augment("cxr", degrees=7, zoom=0.1, shift=0.05, brightness=0.05, contrast=0.1),
        # Tissue has no up; stain strength varies between laboratories.
        Augment("hwsi", flip_x=True, flip_y=True, degrees=10, zoom=0.1, brightness=0.1, contrast=0.2),
        # The other eye is the mirror image.
        Augment("efi", flip_x=True, flip_y=True, degrees=15, zoom=0.1, brightness=0.1, contrast=0.2),
    ],
)

# Which draw serves which purpose; a new purpose gets a new number, so that old runs stay repeatable.
_CROP_Y, _CROP_X, _FLIP_X, _FLIP_Y, _ANGLE, _ZOOM, _SHIFT_Y, _SHIFT_X, _BRIGHTNESS, _CONTRAST, _DRAWS = range(11)


def _mix(x: Tensor) -> Tensor:
    """One splitmix64 step on int64, which wraps as uint64 does (Steele et al., OOPSLA 2014, figure 17)."""

    def right(value: Tensor, bits: int) -> Tensor:
        return (value >> bits) & ((1 << (64 - bits)) - 1)

    def wrap(value: int) -> int:
        return value - (1 << 64) if value >= 1 << 63 else value

    x = x + wrap(0x9E3779B97F4A7C15)
    x = (x ^ right(x, 30)) * wrap(0xBF58476D1CE4E5B9)
    x = (x ^ right(x, 27)) * wrap(0x94D049BB133111EB)
    return x ^ right(x, 31)


def uniform(seed: int, epoch: int | Tensor, index: Tensor, draws: int = _DRAWS) -> Tensor:
    """Return uniform random numbers that depend on seed, epoch and image alone.

    Args:
        seed: The run's seed.
        epoch: How often the image was drawn before (the epoch, where every image is drawn once an epoch): one
            number, or ``int64 [B]``.
        index: ``int64 [B]`` image numbers.
        draws: How many numbers an image needs.

    Returns:
        ``float32 [B, draws]`` in [0, 1).

    Example:
        >>> bool((uniform(0, 1, torch.tensor([7])) == uniform(0, 1, torch.tensor([3, 7]))[1:]).all())
        True
    """
    start = _mix(_mix(torch.tensor(seed)) + epoch)  # a CPU scalar, which goes to a GPU without a wait
    state = _mix(_mix(start + index)[:, None] + torch.arange(draws, device=index.device))
    return ((state >> 40) & 0xFFFFFF).float() / (1 << 24)


def crop(images: Tensor, rows: Tensor, size: int, augment: Augment | None, draws: Tensor | None) -> Tensor:
    """Crop a ``size`` x ``size`` window of each image, flipped where drawn, in one gather.

    Args:
        images: ``uint8 [N, H, W, C]``.
        rows: ``int64 [B]`` which images.
        size: Side of the window.
        augment: Which mirrorings are allowed; ``None`` takes the centre as it is.
        draws: ``float32 [B, draws]`` from ``uniform``; needed with ``augment``.

    Returns:
        ``uint8 [B, C, size, size]``.
    """
    height, width = images.shape[1:3]
    offsets = torch.arange(size, device=rows.device)
    top = torch.full_like(rows, (height - size) // 2)
    left = torch.full_like(rows, (width - size) // 2)
    y, x = offsets.expand(len(rows), -1), offsets.expand(len(rows), -1)
    if augment is not None and draws is not None:
        top = (draws[:, _CROP_Y] * (height - size + 1)).long()
        left = (draws[:, _CROP_X] * (width - size + 1)).long()
        if augment.flip_y:
            y = torch.where(draws[:, _FLIP_Y, None] < 0.5, size - 1 - y, y)
        if augment.flip_x:
            x = torch.where(draws[:, _FLIP_X, None] < 0.5, size - 1 - x, x)
    y, x = y + top[:, None], x + left[:, None]
    return images[rows[:, None, None], y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def augment_batch(images: Tensor, augment: Augment, draws: Tensor) -> Tensor:
    """Rotate, zoom, shift, brighten and change the contrast of a batch.

    Args:
        images: ``float32 [B, C, H, W]`` in [0, 1].
        augment: How far.
        draws: ``float32 [B, draws]`` from ``uniform``.

    Returns:
        ``float32 [B, C, H, W]`` in [0, 1].
    """
    span = draws * 2 - 1
    if augment.degrees or augment.zoom or augment.shift:
        angle = span[:, _ANGLE] * math.radians(augment.degrees)
        scale = 1 / (1 + span[:, _ZOOM] * augment.zoom)
        shift = torch.stack([span[:, _SHIFT_X], span[:, _SHIFT_Y]], 1) * 2 * augment.shift
        grid = _affine_grid(angle, scale, shift, images.shape[2], images.shape[3])
        images = _sample(images, grid)
    if augment.brightness or augment.contrast:
        gain = (1 + span[:, _CONTRAST] * augment.contrast).view(-1, 1, 1, 1)
        offset = (span[:, _BRIGHTNESS] * augment.brightness).view(-1, 1, 1, 1)
        mean = images.mean((1, 2, 3), keepdim=True)
        images = ((images - mean) * gain + mean + offset).clamp_(0, 1)
    return images


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    """Sample images bilinearly at a grid, with their border's values outside."""
    if images.device.type != "mps":
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return F.grid_sample(images, clamp_to_border(grid, *images.shape[2:]), align_corners=False)


def clamp_to_border(grid: Tensor, height: int, width: int) -> Tensor:
    """Return a grid whose points outside lie on the border: torch has border padding on Apple's GPUs from 2.13 on."""
    ends = grid.new_tensor([1 - 1 / width, 1 - 1 / height])
    return torch.minimum(torch.maximum(grid, -ends), ends)


def _affine_grid(angle: Tensor, scale: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """Return the sampling grid ``[B, H, W, 2]`` that ``F.affine_grid`` gives, in half the time.

    Args:
        angle: ``[B]`` in radians.
        scale: ``[B]``.
        shift: ``[B, 2]`` along x and y, the image reaching from -1 to 1.
        height: H.
        width: W.
    """
    across = (torch.arange(width, device=angle.device) * 2 + 1) / width - 1
    down = ((torch.arange(height, device=angle.device) * 2 + 1) / height - 1)[:, None]
    cos, sin = ((f(angle) * scale)[:, None, None] for f in (torch.cos, torch.sin))
    x, y = shift[:, :, None, None].unbind(1)
    return torch.stack([cos * across - sin * down + x, sin * across + cos * down + y], 3)
