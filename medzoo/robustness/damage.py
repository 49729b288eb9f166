"""Damage to images: nine kinds at five strengths, whole batches at a time, seeded per (seed, image).

An image's random numbers are the same at all strengths of a kind, so that a curve shows the strength alone. Lengths are
shares of the image's side: the damage is the same to the eye at 64 and at 512 pixels.

Source of the design (kinds x five strengths, one mean over all): Hendrycks & Dietterich, Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations, ICLR 2019. The strengths are milder than theirs, as in Di Salvo et
al., MedMNIST-C, 2024: what another device or archive does to a medical image.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchvision.transforms.v2.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from medzoo.core.registry import Registry
from medzoo.engine.augment import uniform
from medzoo.robustness.image_kind import TISSUE
from medzoo.robustness.stain import shift_stains

# (images float32 [B, C, S, S] in [0, 1], strength, draws) -> the same shape, in [0, 1]
Change = Callable[[Tensor, float, "Draws"], Tensor]


@dataclass(frozen=True)
class Draws:
    """Random numbers of a batch, which depend on the seed, the kind of damage and each image alone.

    Attributes:
        seed: The run's seed.
        purpose: Number of the kind of damage.
        images: ``int64 [B]``, a number for each image.
    """

    seed: int
    purpose: int
    images: Tensor

    def uniform(self, count: int) -> Tensor:
        """Return ``float32 [B, count]`` in [0, 1)."""
        return uniform(self.seed, self.purpose, self.images, count)

    def up(self, number: int = 0) -> Tensor:
        """Return ``bool [B]``: which way an image is changed, up or down, each half of the time."""
        return self.uniform(number + 1)[:, number] < 0.5


@dataclass(frozen=True)
class Damage:
    """A kind of damage.

    Attributes:
        name: Its name.
        unit: What a strength says.
        strengths: Five, from barely seen to severe.
        change: Damages a batch.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    change: Change


def _either_way(
    images: Tensor, draws: Draws, change: Callable[[Tensor, float], Tensor], up: float, down: float
) -> Tensor:
    """Change some images one way and the others the other way."""
    way = draws.up()
    out = torch.empty_like(images)
    for rows, amount in ((way, up), (~way, down)):
        if rows.any():
            out[rows] = change(images[rows], amount)
    return out


def _blur(images: Tensor, strength: float, draws: Draws) -> Tensor:
    sigma = strength * images.shape[-1]
    return F.gaussian_blur(images, [2 * math.ceil(3 * sigma) + 1] * 2, [sigma] * 2)


def _noise(images: Tensor, strength: float, draws: Draws) -> Tensor:
    """Add Gaussian noise; a grey image stays grey.

    torchvision's draws from the process's generator, which knows neither seed nor image.
    """
    size, channels = images[0, 0].numel(), images.shape[1]
    drawn = draws.uniform(size * channels).clamp_(min=2**-25)
    noise = torch.special.ndtri(drawn).view_as(images)
    grey = (images == images[:, :1]).flatten(1).all(1)
    noise = torch.where(grey.view(-1, 1, 1, 1), noise[:, :1], noise)
    return (images + strength * noise).clamp_(0, 1)


def _jpeg(images: Tensor, strength: float, draws: Draws) -> Tensor:
    """Write JPEGs and read them, by Pillow: torchvision 0.29 says that its encoder will go."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    read = torch.from_numpy(np.stack([_jpeg_read(image, round(strength)) for image in pixels]))
    return read.to(images.device).permute(0, 3, 1, 2).float().div_(255)


def _jpeg_read(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    written = io.BytesIO()
    Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(written, "JPEG", quality=quality)
    return np.asarray(Image.open(written)).reshape(image.shape)


def _brightness(images: Tensor, strength: float, draws: Draws) -> Tensor:
    return _either_way(images, draws, F.adjust_brightness, strength, 1 / strength)


def _contrast(images: Tensor, strength: float, draws: Draws) -> Tensor:
    return _either_way(images, draws, F.adjust_contrast, strength, 1 / strength)


def _gamma(images: Tensor, strength: float, draws: Draws) -> Tensor:
    return _either_way(images, draws, F.adjust_gamma, strength, 1 / strength)


def _resolution(images: Tensor, strength: float, draws: Draws) -> Tensor:
    side = images.shape[-1]
    small = F.resize(images, [max(1, round(side * strength))] * 2, antialias=True)
    return F.resize(small, [side, side], antialias=True)


def _rotation(images: Tensor, strength: float, draws: Draws) -> Tensor:
    """Rotate about the centre; the border is repeated where the frame turns out of the image."""
    side, angle = images.shape[-1], math.radians(strength)
    room = math.ceil(side * (math.cos(angle) + math.sin(angle) - 1) / 2) + 1
    wide = F.pad(images, [room], padding_mode="edge")
    turned = _either_way(
        wide, draws, lambda some, by: F.rotate(some, by, F.InterpolationMode.BILINEAR), strength, -strength
    )
    return F.center_crop(turned, [side, side])


def _stain(images: Tensor, strength: float, draws: Draws) -> Tensor:
    """Make haematoxylin and eosin stronger or weaker, each by itself."""
    amounts = [torch.where(draws.up(number), strength, 1 / strength) for number in range(2)]
    return shift_stains(images, torch.stack(amounts, 1))


DAMAGES: Registry[Damage] = Registry(
    "damage",
    [
        Damage("blur", "Gaussian, sigma as a share of the side", (0.004, 0.007, 0.01, 0.015, 0.02), _blur),
        Damage("noise", "Gaussian, standard deviation as a share of the range", (0.02, 0.04, 0.08, 0.12, 0.18), _noise),
        Damage("jpeg", "quality", (80, 60, 40, 20, 10), _jpeg),
        Damage("brightness", "factor or its inverse", (1.1, 1.2, 1.35, 1.5, 1.75), _brightness),
        Damage("contrast", "factor or its inverse", (1.1, 1.25, 1.5, 1.75, 2.0), _contrast),
        Damage("gamma", "exponent or its inverse", (1.1, 1.25, 1.5, 1.75, 2.0), _gamma),
        Damage("resolution", "share of the pixels along a side", (0.75, 0.5, 0.375, 0.25, 0.125), _resolution),
        Damage("rotation", "degrees either way", (2, 4, 7, 10, 15), _rotation),
        Damage("stain", "factor or its inverse, of each stain", (1.1, 1.25, 1.5, 1.75, 2.0), _stain),
    ],
)
TISSUE_ONLY = ("stain",)


def damaged(images: Tensor, damage: Damage, strength: float, seed: int, numbers: Tensor) -> Tensor:
    """Damage a batch.

    Args:
        images: ``float32 [B, C, S, S]`` in [0, 1], C 1 or 3; ``stain`` needs 3.
        damage: The kind.
        strength: In the kind's unit.
        seed: The run's seed.
        numbers: ``int64 [B]``, a number for each image, on the device of ``images``.

    Returns:
        The same shape, in [0, 1].

    Example:
        >>> images, numbers = torch.rand(2, 3, 32, 32), torch.tensor([7, 8])
        >>> both = damaged(images, DAMAGES["noise"], 0.1, 0, numbers)
        >>> bool((both[1:] == damaged(images[1:], DAMAGES["noise"], 0.1, 0, numbers[1:])).all())
        True
    """
    draws = Draws(seed, zlib.crc32(damage.name.encode()), numbers)
    return damage.change(images, strength, draws).clamp(0, 1)


def choose_damages(names: Sequence[str] | None, kind: str) -> list[Damage]:
    """Return the kinds of damage to measure.

    Args:
        names: Names in ``DAMAGES``; ``None`` for all that fit the images.
        kind: The kind of images.

    Raises:
        UnknownNameError: There is no such damage.
    """
    if names is None:
        names = [name for name in DAMAGES if kind == TISSUE or name not in TISSUE_ONLY]
    return [DAMAGES[name] for name in dict.fromkeys(names)]
