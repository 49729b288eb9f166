"""A step's gradients, chunk by chunk, in as few passes as the device's memory allows."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from medzoo.core.errors import RunError
from medzoo.core.progress import say
from medzoo.engine.losses import Loss
from medzoo.engine.runtime import Statistics, shared
from medzoo.engine.sampling import Draw
from medzoo.engine.schedule import Plan


class Gradients:
    """Forward and backward over this process's chunks of a step.

    Where the device runs out of memory the chunks are halved, once and for all, and the step begins anew: it still
    takes all of its images, which are normalised in smaller groups.

    Args:
        accelerator: The processes that share a step.
        model: The network.
        net: What is called for it: the network, compiled or wrapped.
        targets: ``float32 [N, C]`` on the device.
        weights: ``float32 [N]`` on the device.
        loss_of: Loss of logits, targets and image weights.
        plan: How a step is divided.
        smallest: Images of the smallest step.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        net: Any,
        targets: Tensor,
        weights: Tensor,
        loss_of: Loss,
        plan: Plan,
        smallest: int,
    ) -> None:
        self.accelerator, self.model, self.net, self.loss_of = accelerator, model, net, loss_of
        self.targets, self.weights = targets, weights
        self.chunks, self.smallest = plan.chunks, smallest
        self.statistics = Statistics(model, accelerator)

    def refresh(self) -> None:
        """Look again at which layers are trained, after some were frozen or thawed."""
        self.statistics = Statistics(self.model, self.accelerator)

    def mine(self, draw: Draw) -> list[Draw]:
        """This process's chunks of a step."""
        return draw.split(self.chunks)[self.accelerator.process_index :: self.accelerator.num_processes]

    def compute(self, draw: Draw, images: Tensor) -> Tensor:
        """Leave the gradients of a step in the parameters.

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
            self.statistics.begin()
            try:
                return self._over_chunks(draw, images)
            except torch.OutOfMemoryError:
                if self.accelerator.num_processes > 1:
                    raise  # the others wait for this process's gradients and know nothing of another division
            # Here the exception is gone, and with it what its traceback kept in memory.
            self._make_room(len(draw))

    def _over_chunks(self, draw: Draw, images: Tensor) -> Tensor:
        world, several = self.accelerator.num_processes, self.chunks > 1
        total = torch.zeros((), device=self.accelerator.device)
        chunks = self.mine(draw)
        parts = images.split([len(chunk) for chunk in chunks])
        for at, (chunk, part) in enumerate(zip(chunks, parts, strict=True)):
            share = len(chunk) / len(draw)
            wait = at < len(chunks) - 1  # gradients meet once a step
            with self.accelerator.no_sync(self.net) if wait else nullcontext():
                with self.accelerator.autocast():
                    logits = self.net(part)
                at_chunk = chunk.index.to(logits.device)
                loss = self.loss_of(logits.float(), self.targets[at_chunk], self.weights[at_chunk]) * share
                # Several processes' gradients are averaged, and shares add up to 1 over all of them.
                self.accelerator.backward(loss * world)
            total += loss.detach()
            if several:
                self.statistics.take(share)
        if several:
            self.statistics.end()
        return shared(self.accelerator, total)

    def _make_room(self, images: int) -> None:
        self.statistics.undo()
        self.model.zero_grad(set_to_none=True)
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
        before, self.chunks = self.chunks, min(self.chunks * 2, self.smallest // 2)
        if self.chunks <= before:
            raise RunError(
                f"out of memory on {self.accelerator.device} with {math.ceil(images / before)} images at a time, and "
                "batch normalisation needs 2; give a smaller image size, or another device"
            )
        say(
            f"out of memory with {math.ceil(images / before)} images at a time: going on with "
            f"{math.ceil(images / self.chunks)}, in {self.chunks} passes; a step still takes {images} images"
        )
