"""A model's probabilities for many forms of the same images, in one pass over the files and in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.core.progress import bar
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.input_spec import InputContract
from medzoo.engine.loader import forward_batches, normalize, predict_logits
from medzoo.engine.losses import probabilities
from medzoo.engine.runtime import best_device, channels_last, flush_denormals
from medzoo.inference.image_stream import decode_chunks
from medzoo.models.info import Model, ModelInfo, pooled_features
from medzoo.robustness.damage import Damage, damaged
from medzoo.robustness.shortcuts import Shortcut, without

# (pixels float32 [B, C, S, S] in [0, 1], the same images uint8 [B, S, S, C], int64 [B] image numbers) -> pixels
Form = Callable[[Tensor, NDArray[np.uint8], Tensor], Tensor]


def clean(pixels: Tensor, images: NDArray[np.uint8], numbers: Tensor) -> Tensor:
    """Return the images as they are."""
    return pixels


def damage_form(damage: Damage, strength: float, seed: int) -> Form:
    """Return the form of a damage at one strength."""
    return lambda pixels, images, numbers: damaged(pixels, damage, strength, seed, numbers)


def shortcut_form(shortcut: Shortcut, fill: Sequence[float]) -> Form:
    """Return the form of images without a part."""
    return lambda pixels, images, numbers: without(pixels, images, shortcut, fill)


@dataclass(eq=False)
class FormedBatches:
    """Batches of some images in one form.

    Attributes:
        images: ``uint8 [N, S, S, C]``.
        numbers: ``int64 [N]``, a number for each image.
        contract: The network's input.
        device: Where batches are made.
        form: The form.
    """

    images: NDArray[np.uint8]
    numbers: Tensor
    contract: InputContract
    device: torch.device
    form: Form
    in_memory = True

    def pixels(self, index: Tensor) -> Tensor:
        """Return ``float32 [B, C, S, S]`` in [0, 1], before normalisation."""
        images = self.images[index.numpy()]
        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        return self.form(pixels, images, self.numbers[index].to(self.device))

    def batch(self, index: Tensor, epoch: Tensor | None = None) -> Tensor:
        """Return a batch, as ``Loader.batch``."""
        return normalize(self.contract, self.pixels(index))


@dataclass(frozen=True, eq=False)
class FormPredictions:
    """A model's outputs for every form of some images.

    Attributes:
        probabilities: ``float32 [forms, n, C]`` of the n images that can be read.
        unreadable: (row, reason) of the others.
        features: ``float32 [n, F]`` of the first form; ``None`` where they were not asked for.
    """

    probabilities: NDArray[np.float32]
    unreadable: list[tuple[int, str]]
    features: NDArray[np.float32] | None


def image_numbers(names: Sequence[str]) -> Tensor:
    """Return ``int64 [N]``: a number for each image, which depends on its name alone."""
    return torch.tensor([zlib.crc32(name.encode()) for name in names], dtype=torch.int64)


def predict_forms(
    model: Model,
    data: ImageDataset[Images],
    forms: Sequence[Form],
    *,
    batch_size: int,
    device: str | None,
    features: bool = False,
) -> FormPredictions:
    """Predict every form of every image.

    Args:
        model: A classifier.
        data: The images; labels are not used.
        forms: The forms.
        batch_size: Images at a time.
        device: As in ``evaluate``.
        features: Compute the features of the first form too.

    Raises:
        UnreadableError: As in ``evaluate``.
    """
    info: ModelInfo = model.medzoo
    where, numbers = best_device(device), image_numbers(data.ids)
    parts: list[NDArray[np.float32]] = []
    pooled: list[NDArray[np.float32]] = []
    unreadable: list[tuple[int, str]] = []
    with channels_last(model, where), flush_denormals(), bar("stress", len(data) * len(forms)) as advance:
        for chunk in decode_chunks(data.ids, data.images, info.input.geometry, reading=data.reading):
            unreadable += chunk.unreadable
            make = partial(FormedBatches, chunk.images, numbers[chunk.rows], info.input, where)
            rows, found = torch.arange(len(chunk.rows)), []
            for form in forms:
                found.append(probabilities(predict_logits(model, make(form), rows, batch_size), info.task))
                advance(len(rows), "")
            parts.append(np.stack(found))
            if features:
                outputs = forward_batches(partial(pooled_features, model), make(forms[0]), rows, batch_size)
                pooled += [part.numpy() for part in outputs]
    return FormPredictions(np.concatenate(parts, 1), unreadable, np.concatenate(pooled) if features else None)


def render_forms(images: NDArray[np.uint8], names: Sequence[str], forms: Sequence[Form], contract: Any) -> NDArray[Any]:
    """Return some images in every form, as the network gets them but for the normalisation.

    Args:
        images: ``uint8 [n, S, S, C]``.
        names: Of the images.
        forms: The forms.
        contract: The network's input.

    Returns:
        ``uint8 [forms, n, S, S, C]``.
    """
    made = []
    for form in forms:
        batches = FormedBatches(images, image_numbers(names), contract, torch.device("cpu"), form)
        pixels = batches.pixels(torch.arange(len(images)))
        made.append((pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.stack(made)
