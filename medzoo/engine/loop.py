"""The one training loop, shared by pretraining and fine-tuning."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from medzoo.core.errors import RunError
from medzoo.core.progress import bar
from medzoo.engine.checkpoints import Checkpoints, Position
from medzoo.engine.gradients import Gradients
from medzoo.engine.interrupts import Stop, Stopped, stoppable
from medzoo.engine.loader import Images
from medzoo.engine.losses import Loss
from medzoo.engine.optimizers import make_optimizer
from medzoo.engine.runtime import Execution, flush_denormals, seeded, shared, tuned_kernels
from medzoo.engine.sampling import Draw, Sampler
from medzoo.engine.schedule import Plan

# On a GPU a look at the loss waits for all work under way, so it is taken only every so many steps.
LOOK_EVERY = {"cpu": 1, "cuda": 20}

# show(n, loss): n more images are done.
Show = Callable[[int, float], None]


def fit(
    model: Any,
    loader: Images,
    targets: Tensor,
    sampler: Sampler,
    loss_of: Loss,
    plan: Plan,
    *,
    weights: Tensor | None = None,
    execution: Execution | None = None,
    seed: int = 0,
    title: str = "training",
    rates: Mapping[str, float] | None = None,
    before_epoch: Callable[[list[dict[str, Any]]], None] | None = None,
    after_epoch: Callable[[dict[str, Any]], str | None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[dict[str, Any]]:
    """Train a model in place.

    Args:
        model: Maps ``[B, 3, S, S]`` to logits ``[B, C]``.
        pool: The images.
        targets: ``float32 [N, C]`` over all images of the pool.
        sampler: Which images each step takes.
        loss_of: Loss of logits, targets and image weights.
        plan: Epochs, batch size, learning rate and so on.
        weights: ``float32 [N]`` how much each image counts; default all alike.
        execution: Device, precision, compilation.
        seed: Seed of dropout.
        title: What the progress bar says.
        rates: As in ``medzoo.engine.optimizers.make_optimizer``.
        before_epoch: Called with the records of the epochs done, to freeze or thaw some of the parameters that
            require gradients now.
        after_epoch: Called with the epoch's record, to evaluate and add to it; ``record["last"] = True`` ends the run.
            What it returns stands behind the progress bar from then on.
        checkpoints: Where the run is saved, and goes on from; ``None`` for a run too short to be worth it.

    Returns:
        One record an epoch: epoch, loss, lr, images_per_second, and what ``after_epoch`` added.

    Raises:
        RunError: There is too little to train on, the loss is not finite, or a checkpoint cannot be used.
        Stopped: SIGTERM or Ctrl-C; the run is saved.
    """
    if sampler.total < 2:
        raise RunError(f"{sampler.total} training images are too few; give at least 2")
    counts = torch.ones(len(targets)) if weights is None else weights
    smallest = sampler.total // len(sampler) // plan.chunks
    if smallest < 2:
        raise RunError(
            f"{sampler.total} training images in {len(sampler)} steps of {plan.chunks} chunks leave {smallest} to a "
            "chunk, and batch normalisation needs 2; give more images or another batch size"
        )
    loop = _Loop(model, loader, targets, counts, sampler, loss_of, plan, execution or Execution(), rates)
    with closing(loop), seeded(seed), flush_denormals(), tuned_kernels(), stoppable() as stop:
        position = checkpoints.restore(model, loop.optimizer) if checkpoints else Position()
        with bar(title, sampler.total * plan.epochs) as advance:
            measured = ""

            def show(images: int, loss: float) -> None:
                advance(images, f"epoch {position.epoch + 1}/{plan.epochs}, loss {loss:.3f}{measured}")

            advance(position.epoch * sampler.total + position.step * plan.batch_size, "")
            while position.epoch < plan.epochs and not position.ended:
                if before_epoch is not None:
                    before_epoch(position.history)
                    loop.gradients.refresh()
                loop.epoch(position, checkpoints, stop, show, title)
                record = loop.record(position)
                model.eval()
                if after_epoch is not None and (found := after_epoch(record)):
                    measured = f", {found}"
                position = Position(epoch=position.epoch + 1, history=[*position.history, record])
                if checkpoints and checkpoints.rested() and loop.accelerator.is_main_process:
                    checkpoints.save(model, loop.optimizer, position)
    return position.history


@dataclass(frozen=True)
class _Seen:
    """What a step left on the device, to be looked at later."""

    step: int
    loss: Tensor
    norm: Tensor
    images: int


class _Loop:
    """The parts of one run that do not change while it goes on."""

    def __init__(
        self,
        model: Any,
        loader: Images,
        targets: Tensor,
        weights: Tensor,
        sampler: Sampler,
        loss_of: Loss,
        plan: Plan,
        execution: Execution,
        rates: Mapping[str, float] | None,
    ) -> None:
        self.accelerator: Accelerator = execution.accelerator()
        self.model, self.loader, self.sampler, self.plan = model, loader, sampler, plan
        if plan.chunks % self.accelerator.num_processes:
            raise RunError(
                f"{self.accelerator.num_processes} processes cannot share {plan.chunks} chunks of a batch of "
                f"{plan.batch_size}; use a number of processes that divides {plan.chunks}, or another chunk size"
            )
        device = self.accelerator.device
        model.to(device, memory_format=torch.channels_last)  # a fifth faster on a CPU too
        self.optimizer = make_optimizer(model, plan, rates)
        # Steps differ by one image: two sizes compiled each for itself run faster than one for any size.
        self.net = torch.compile(model, dynamic=False) if execution.compile else model
        if self.accelerator.num_processes > 1:  # accelerate also wraps the forward pass, which one process needs not
            self.net = self.accelerator.prepare_model(self.net)
        smallest = sampler.total // len(sampler)
        self.gradients = Gradients(
            self.accelerator, model, self.net, targets.to(device), weights.to(device), loss_of, plan, smallest
        )

    def close(self) -> None:
        """Give the model back as it came: nothing around its forward pass, its values in the usual order."""
        if self.net is not self.model:
            self.accelerator.unwrap_model(self.net, keep_fp32_wrapper=False)
        self.model.to(memory_format=torch.contiguous_format)

    def epoch(self, position: Position, checkpoints: Checkpoints | None, stop: Stop, show: Show, title: str) -> None:
        """Go through the rest of an epoch."""
        draws = self.sampler.epoch(position.epoch)
        steps = len(draws) * self.plan.epochs
        look = LOOK_EVERY[self.accelerator.device.type]
        waiting: list[_Seen] = []
        self.model.train()
        started = time.perf_counter()
        first = position.step
        for number, images in enumerate(self._images(draws[first:]), start=first):
            for group in self.optimizer.param_groups:
                group["lr"] = self.plan.lr_at(position.epoch * len(draws) + number, steps) * group["rate"]
            waiting.append(self._step(number, draws[number], images))
            asked = self._asked(stop, number)
            due = checkpoints is not None and (asked or checkpoints.due())
            if len(waiting) >= look or due or number == len(draws) - 1:
                loss = self._look(waiting, position, title)
                show(sum(seen.images for seen in waiting), loss)
                waiting = []
            position.step = number + 1
            if asked or due:
                position.seconds += time.perf_counter() - started
                started = time.perf_counter()
                if checkpoints is not None and self.accelerator.is_main_process:
                    checkpoints.save(self.model, self.optimizer, position)
                if asked:
                    raise Stopped("stopped as asked; the same command goes on")
        position.seconds += time.perf_counter() - started

    def _asked(self, stop: Stop, number: int) -> bool:
        """Whether any process was asked to stop: all leave after the same step, or none."""
        if self.accelerator.num_processes == 1:
            return bool(stop)
        if number % LOOK_EVERY[self.accelerator.device.type]:
            return False  # the answer waits for all work under way, as a look at the loss does
        flag = torch.tensor(float(bool(stop)), device=self.accelerator.device)
        return bool(shared(self.accelerator, flag) > 0)

    def _images(self, draws: list[Draw]) -> Iterator[Tensor]:
        """This process's images of every step; read ahead where they do not lie on the device."""

        def images(draw: Draw) -> Tensor:
            mine = self.gradients.mine(draw)
            return self.loader.batch(torch.cat([c.index for c in mine]), torch.cat([c.epoch for c in mine]))

        if self.loader.in_memory:
            yield from map(images, draws)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = [reader.submit(images, draw) for draw in draws[:2]]
            for following in range(2, len(draws) + 2):
                yield ahead.pop(0).result()
                if following < len(draws):
                    ahead.append(reader.submit(images, draws[following]))

    def _step(self, number: int, draw: Draw, images: Tensor) -> _Seen:
        """One optimiser step over everybody's gradients."""
        loss = self.gradients.compute(draw, images)
        norm = self._clip()
        self.optimizer.step()
        return _Seen(number, loss, norm.detach(), len(draw))

    def _clip(self) -> Tensor:
        """Shorten the gradients where they are too long; their norm as it was."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        # On a GPU the question would wait for all work under way; multiplying by 1 is cheaper there.
        if norm.device.type != "cpu" or not norm <= self.plan.clip:
            nn.utils.clip_grads_with_norm_(parameters, self.plan.clip, norm)
        return norm

    def _look(self, waiting: list[_Seen], position: Position, title: str) -> float:
        """Add up the losses of the last steps.

        Raises:
            RunError: One of them, or a gradient, is not finite.
        """
        losses = torch.stack([seen.loss for seen in waiting]).tolist()
        norms = torch.stack([seen.norm for seen in waiting]).tolist()
        for seen, loss, norm in zip(waiting, losses, norms, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise RunError(
                    f"{title}: the loss is {loss} and the gradient norm {norm} at step {seen.step + 1} of epoch "
                    f"{position.epoch + 1} (lr {self.plan.lr:g}, batch {self.plan.batch_size}); try a lower learning "
                    "rate or a longer warm-up, or fp32"
                )
            position.loss += loss * seen.images
        return losses[-1]

    def record(self, position: Position) -> dict[str, Any]:
        """What an epoch was like."""
        steps = len(self.sampler)
        return {
            "epoch": position.epoch + 1,
            "loss": position.loss / self.sampler.total,
            "lr": self.plan.lr_at((position.epoch + 1) * steps - 1, self.plan.epochs * steps),
            "seconds": round(position.seconds, 2),
            "images_per_second": round(self.sampler.total / position.seconds, 1),
        }
