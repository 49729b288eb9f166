"""Decoded images -> normalised batches on the device, without per-image Python work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.core.errors import DataError, InputError
from medzoo.data.input_spec import InputContract
from medzoo.engine.augment import Augment, augment_batch, crop, uniform
from medzoo.engine.devices import empty_cache, is_out_of_memory


@dataclass(frozen=True)
class ImageArray:
    """Images of one geometry, and their augmentation.

    Attributes:
        images: ``uint8 [N, H, W, C]``, C 1 or 3; may be memory-mapped.
        augment: Augmentation of these images in training.
    """

    images: NDArray[np.uint8]
    augment: Augment


class BatchSource(Protocol):
    """A source of batches: numbered images, or their features.

    Attributes:
        device: Where batches are made.
        in_memory: True where a batch is made without reading files; else batches are read ahead.
    """

    device: torch.device
    in_memory: bool

    def batch(self, index: Tensor, epoch: Tensor | None = None) -> Tensor:
        """Return a batch, as ``Loader.batch``."""
        ...


class Loader:
    """All images of a run, numbered through over its parts.

    Args:
        parts: The parts; image numbers run through them in order.
        contract: The input contract of the network.
        device: Where batches are made.
        seed: Seed of the augmentation.
        resident: Keep all images on the device; else batches are gathered on the CPU and sent. By default, images
            move to a GPU that has room for them.
    """

    def __init__(
        self,
        parts: Sequence[ImageArray],
        contract: InputContract,
        device: torch.device | str = "cpu",
        seed: int = 0,
        resident: bool | None = None,
    ) -> None:
        for part in parts:
            if part.images.dtype != np.uint8 or part.images.ndim != 4 or part.images.shape[3] not in (1, 3):
                raise DataError(f"expected uint8 [N, H, W, 1 or 3], got {part.images.dtype} {part.images.shape}")
            if min(part.images.shape[1:3]) < contract.size:
                raise DataError(
                    f"images of {part.images.shape[1]}x{part.images.shape[2]} are smaller than the network's "
                    f"{contract.size}; prepare them at that size or set the image size lower"
                )
        self.contract = contract
        self.device = torch.device(device)
        self.seed = seed
        self.augments = [part.augment for part in parts]
        if resident is None:
            resident = _fits_on(sum(part.images.nbytes for part in parts), self.device)
        # Apple's GPU is used by one thread alone, which reads ahead no more than the CPU does.
        self.in_memory = resident or self.device.type in ("cpu", "mps")
        home = self.device if resident else torch.device("cpu")
        self.images = [torch.from_numpy(part.images).to(home) for part in parts]
        self.starts = torch.tensor(np.cumsum([0] + [len(part.images) for part in parts]))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def batch(self, index: Tensor, epoch: Tensor | None = None) -> Tensor:
        """Return normalised images.

        Args:
            index: ``int64 [B]`` image numbers, on the CPU.
            epoch: ``int64 [B]`` how often each image was drawn before, for training (it seeds the augmentation);
                ``None`` gives the centre of each image as it is.

        Returns:
            ``float32 [B, C, S, S]`` on the device, in the order of ``index``.
        """
        if len(self.images) == 1:
            return self._of_part(0, self.images[0], index, epoch)
        out = torch.empty(
            len(index), self.contract.channels, self.contract.size, self.contract.size, device=self.device
        )
        part_of = torch.bucketize(index, self.starts[1:], right=True)
        for number, images in enumerate(self.images):
            mine = (part_of == number).nonzero().squeeze(1)
            if len(mine):
                epochs = None if epoch is None else epoch[mine]
                out[_to_device(mine, self.device)] = self._of_part(number, images, index[mine], epochs)
        return out

    def _of_part(self, number: int, images: Tensor, index: Tensor, epoch: Tensor | None) -> Tensor:
        home, size = images.device, self.contract.size
        rows = _to_device(index - self.starts[number], home)
        if epoch is None:
            return normalize(self.contract, _to_device(crop(images, rows, size, None, None), self.device))
        augment = self.augments[number]
        draws = uniform(self.seed, _to_device(epoch, home), _to_device(index, home))
        pixels = _to_device(crop(images, rows, size, augment, draws), self.device).float().div_(255)
        return normalize(self.contract, augment_batch(pixels, augment, _to_device(draws, self.device)))


def _to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy values to a device; to CUDA's from pinned memory, so that Python never waits for the GPU."""
    if values.device.type == device.type:  # "cuda" and "cuda:0" may mean the same
        return values
    if device.type != "cuda":  # to Apple's GPU, a copy that nobody waits for may read memory that is freed meanwhile
        return values.to(device)
    return values.contiguous().pin_memory().to(device, non_blocking=True)


def _fits_on(size: int, device: torch.device) -> bool:
    """Return true where images fit into half of a GPU's free memory, as far as torch tells; the rest is the network's.

    Apple's GPU has no memory of its own.
    """
    if device.type == "cpu":
        return True
    memory = getattr(torch.get_device_module(device), "mem_get_info", None)
    return memory is not None and size < memory(device)[0] / 2


def normalize(contract: InputContract, images: Tensor) -> Tensor:
    """Scale and normalise a batch as a network expects it.

    Args:
        contract: The network's input contract.
        images: ``uint8 [N, C, H, W]`` or float in [0, 1]; one channel is repeated to as many as the network takes.

    Returns:
        ``float32 [N, C, H, W]``, C as the network takes.

    Raises:
        InputError: Another type or shape.

    Example:
        >>> normalize(InputContract(), torch.zeros(2, 1, 32, 32, dtype=torch.uint8)).shape
        torch.Size([2, 3, 32, 32])
    """
    if images.ndim != 4 or images.shape[1] not in (1, contract.channels):
        raise InputError(f"expected images [N, 1 or {contract.channels}, H, W], got {list(images.shape)}")
    if images.dtype == torch.uint8:
        images = images.float().div_(255)
    elif not images.is_floating_point():
        raise InputError(f"expected uint8 or float images, got {images.dtype}")
    mean, std = (
        _to_device(torch.tensor(three), images.device).view(1, -1, 1, 1) for three in (contract.mean, contract.std)
    )
    return (images - mean).div_(std)  # one channel broadcasts against all means: the grey channel is repeated


def batch_slices(count: int, batch_size: int) -> Iterator[slice]:
    """Yield slices of ``batch_size`` over ``count`` items."""
    for start in range(0, count, batch_size):
        yield slice(start, min(start + batch_size, count))


def predict_logits(model: Any, loader: BatchSource, rows: Tensor, batch_size: int = 64) -> Tensor:
    """Return the logits of a model in evaluation mode; batches get smaller where the device runs out of memory.

    Args:
        model: Maps normalised images to logits.
        loader: The images.
        rows: ``int64 [n]`` image numbers, on the CPU.
        batch_size: Images at a time, at most.

    Returns:
        ``float32 [n, C]`` on the CPU.
    """
    was_training = model.training
    model.eval()
    try:
        return torch.cat(list(forward_batches(model, loader, rows, batch_size)))
    finally:
        model.train(was_training)


@torch.inference_mode()
def forward_batches(
    forward: Callable[[Tensor], Tensor], loader: BatchSource, rows: Tensor, batch_size: int
) -> Iterator[Tensor]:
    """Yield a network's outputs batch by batch; batches get smaller where the device runs out of memory.

    Args:
        forward: Maps normalised images to a tensor with a row for each.
        loader: The images.
        rows: ``int64 [n]`` image numbers, on the CPU.
        batch_size: Images at a time, at most.

    Yields:
        ``float32 [B, ...]`` on the CPU, in the order of ``rows``.
    """
    done = 0
    while done < len(rows):
        try:
            found = forward(loader.batch(rows[done : done + batch_size])).float().cpu()
        except RuntimeError as error:
            if batch_size == 1 or not is_out_of_memory(error):
                raise
            batch_size //= 2
            empty_cache(loader.device)
        else:
            done += len(found)
            yield found
