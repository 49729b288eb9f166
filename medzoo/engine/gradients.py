"""Gradients of a step, accumulated over chunks, in as few passes as the device's memory allows."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from medzoo.core.errors import RunError
from medzoo.core.progress import say
from medzoo.engine.devices import empty_cache, is_out_of_memory
from medzoo.engine.losses import Loss
from medzoo.engine.runtime import BatchNormStatistics, Runtime
from medzoo.engine.sampling import BatchIndices
from medzoo.engine.schedule import TrainingConfig


class GradientAccumulator:
    """Forward and backward over this process's chunks of a step.

    Where the device runs out of memory the chunks are halved for the rest of the run and the step is repeated: it still
    takes all of its images, which are normalised in smaller groups.

    Args:
        runtime: Device, precision and the processes that share a step.
        model: The network.
        net: What is called for it: the network, compiled or wrapped.
        targets: ``float32 [N, C]`` on the device.
        weights: ``float32 [N]`` on the device.
        loss_fn: Loss of logits, targets and image weights.
        config: How a step is divided.
        smallest: Images of the smallest step.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: nn.Module,
        net: Any,
        targets: Tensor,
        weights: Tensor,
        loss_fn: Loss,
        config: TrainingConfig,
        smallest: int,
    ) -> None:
        self.runtime, self.model, self.net, self.loss_fn = runtime, model, net, loss_fn
        self.targets, self.weights = targets, weights
        self.chunks, self.smallest = config.chunks, smallest
        self.statistics = BatchNormStatistics(model, runtime)

    def refresh(self) -> None:
        """Find the trained layers again, after some were frozen or unfrozen."""
        self.statistics = BatchNormStatistics(self.model, self.runtime)

    def local_chunks(self, draw: BatchIndices) -> list[BatchIndices]:
        """Return this process's chunks of a step."""
        return draw.split(self.chunks)[self.runtime.process_index :: self.runtime.num_processes]

    def compute(self, draw: BatchIndices, images: Tensor) -> Tensor:
        """Compute the gradients of a step, in the parameters' ``grad``.

        Args:
            draw: The step.
            images: Those of this process's chunks, one after another.

        Returns:
            The step's mean loss, a scalar on the device.

        Raises:
            RunError: The memory does not suffice for two images.
        """
        while True:
            self.model.zero_grad(set_to_none=True)
            self.statistics.begin_step()
            try:
                return self._over_chunks(draw, images)
            except RuntimeError as error:
                if self.runtime.num_processes > 1 or not is_out_of_memory(error):
                    raise  # the others wait for this process's gradients and know nothing of another division
            # Here the exception is gone, and with it what its traceback kept in memory.
            self._make_room(len(draw))

    def _over_chunks(self, draw: BatchIndices, images: Tensor) -> Tensor:
        world, several = self.runtime.num_processes, self.chunks > 1
        total = torch.zeros((), device=self.runtime.device)
        chunks = self.local_chunks(draw)
        parts = images.split([len(chunk) for chunk in chunks])
        for at, (chunk, part) in enumerate(zip(chunks, parts, strict=True)):
            share = len(chunk) / len(draw)
            wait = at < len(chunks) - 1  # gradients meet once a step
            with self.runtime.accelerator.no_sync(self.net) if wait else nullcontext():
                with self.runtime.autocast():
                    logits = self.net(part)
                at_chunk = chunk.index.to(logits.device)
                loss = self.loss_fn(logits.float(), self.targets[at_chunk], self.weights[at_chunk]) * share
                # Several processes' gradients are averaged, and shares add up to 1 over all of them.
                (loss * world).backward()
            total += loss.detach()
            if several:
                self.statistics.add_chunk(share)
        if several:
            self.statistics.end_step()
        return self.runtime.sum(total)

    def _make_room(self, images: int) -> None:
        self.statistics.undo()
        self.model.zero_grad(set_to_none=True)
        empty_cache(self.runtime.device)
        before, self.chunks = self.chunks, min(self.chunks * 2, self.smallest // 2)
        if self.chunks <= before:
            raise RunError(
                f"out of memory on {self.runtime.device} with {math.ceil(images / before)} images at a time, and "
                "batch normalisation needs 2; give a smaller image size, or another device"
            )
        say(
            f"out of memory with {math.ceil(images / before)} images at a time: continuing with "
            f"{math.ceil(images / self.chunks)}, in {self.chunks} passes; a step still takes {images} images"
        )
