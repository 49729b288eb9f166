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
from torch import Tensor, nn

from medzoo.core.errors import RunError
from medzoo.core.progress import bar
from medzoo.engine.checkpoints import Checkpoints, TrainingProgress
from medzoo.engine.devices import memory_format
from medzoo.engine.gradients import GradientAccumulator
from medzoo.engine.interrupts import Stopped, StopRequest, stoppable
from medzoo.engine.loader import BatchSource
from medzoo.engine.losses import Loss
from medzoo.engine.optimizers import make_optimizer
from medzoo.engine.runtime import Execution, Runtime, flush_denormals, seeded, tuned_kernels
from medzoo.engine.sampling import BatchIndices, Sampler
from medzoo.engine.schedule import TrainingConfig

# Steps between two reads of the loss on an accelerator, where a read waits for all queued work.
SYNC_EVERY = 20

# report(n, loss): n more images are done.
ReportProgress = Callable[[int, float], None]


def fit(
    model: Any,
    loader: BatchSource,
    targets: Tensor,
    sampler: Sampler,
    loss_fn: Loss,
    config: TrainingConfig,
    *,
    weights: Tensor | None = None,
    execution: Execution | None = None,
    seed: int = 0,
    title: str = "training",
    lr_scales: Mapping[str, float] | None = None,
    before_epoch: Callable[[list[dict[str, Any]]], None] | None = None,
    after_epoch: Callable[[dict[str, Any]], str | None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[dict[str, Any]]:
    """Train a model in place.

    Args:
        model: Maps ``[B, 3, S, S]`` to logits ``[B, C]``.
        loader: The images.
        targets: ``float32 [N, C]`` over all images of the loader.
        sampler: Which images each step takes.
        loss_fn: Loss of logits, targets and image weights.
        config: Epochs, batch size, learning rate and so on.
        weights: ``float32 [N]`` how much each image counts; default all alike.
        execution: Device, precision, compilation.
        seed: Seed of dropout.
        title: What the progress bar says.
        lr_scales: As in ``medzoo.engine.optimizers.make_optimizer``.
        before_epoch: Called with the records of the completed epochs, to freeze or unfreeze some of the parameters that
            require gradients now.
        after_epoch: Called with the epoch's record, to evaluate and add to it; ``record["last"] = True`` ends the run.
            What it returns stands behind the progress bar from then on.
        checkpoints: Where the run is saved and resumed from; ``None`` for none.

    Returns:
        One record an epoch: epoch, loss, lr, images_per_second, and what ``after_epoch`` added.

    Raises:
        RunError: There is too little to train on, the loss is not finite, or a checkpoint cannot be used.
        Stopped: SIGTERM or Ctrl-C; the run is saved.
    """
    if sampler.total < 2:
        raise RunError(f"{sampler.total} training images are too few; give at least 2")
    counts = torch.ones(len(targets)) if weights is None else weights
    smallest = sampler.total // len(sampler) // config.chunks
    if smallest < 2:
        raise RunError(
            f"{sampler.total} training images in {len(sampler)} steps of {config.chunks} chunks leave {smallest} to a "
            "chunk, and batch normalisation needs 2; give more images or another batch size"
        )
    loop = _Loop(model, loader, targets, counts, sampler, loss_fn, config, execution or Execution(), lr_scales)
    with closing(loop), seeded(seed), flush_denormals(), tuned_kernels(), stoppable() as stop:
        progress = checkpoints.restore(model, loop.optimizer) if checkpoints else TrainingProgress()
        with bar(title, sampler.total * config.epochs) as advance:
            metric = ""

            def report(images: int, loss: float) -> None:
                advance(images, f"epoch {progress.epoch + 1}/{config.epochs}, loss {loss:.3f}{metric}")

            advance(progress.epoch * sampler.total + progress.step * config.batch_size, "")
            while progress.epoch < config.epochs and not progress.ended:
                if before_epoch is not None:
                    before_epoch(progress.history)
                    loop.gradients.refresh()
                loop.epoch(progress, checkpoints, stop, report, title)
                record = loop.record(progress)
                model.eval()
                if after_epoch is not None and (found := after_epoch(record)):
                    metric = f", {found}"
                progress = TrainingProgress(epoch=progress.epoch + 1, history=[*progress.history, record])
                if checkpoints and checkpoints.is_due_after_epoch() and loop.runtime.is_main_process:
                    checkpoints.save(model, loop.optimizer, progress)
    return progress.history


@dataclass(frozen=True)
class _StepResult:
    """Loss and gradient norm of a step, on the device until they are read."""

    step: int
    loss: Tensor
    norm: Tensor
    images: int


class _Loop:
    """The parts of one run that do not change during it."""

    def __init__(
        self,
        model: Any,
        loader: BatchSource,
        targets: Tensor,
        weights: Tensor,
        sampler: Sampler,
        loss_fn: Loss,
        config: TrainingConfig,
        execution: Execution,
        lr_scales: Mapping[str, float] | None,
    ) -> None:
        self.runtime: Runtime = execution.start()
        self.model, self.loader, self.sampler, self.config = model, loader, sampler, config
        if config.chunks % self.runtime.num_processes:
            raise RunError(
                f"{self.runtime.num_processes} processes cannot share {config.chunks} chunks of a batch of "
                f"{config.batch_size}; use a number of processes that divides {config.chunks}, or another chunk size"
            )
        device = self.runtime.device
        model.to(device, memory_format=memory_format(device))
        self.optimizer = make_optimizer(model, config, lr_scales)
        # Steps differ by one image: two sizes compiled each for itself run faster than one for any size.
        self.net = torch.compile(model, dynamic=False) if execution.compile else model
        if self.runtime.num_processes > 1:  # accelerate also wraps the forward pass, which one process needs not
            self.net = self.runtime.accelerator.prepare_model(self.net)
        smallest = sampler.total // len(sampler)
        self.gradients = GradientAccumulator(
            self.runtime, model, self.net, targets.to(device), weights.to(device), loss_fn, config, smallest
        )

    def close(self) -> None:
        """Unwrap the model and restore its usual memory format."""
        if self.net is not self.model:
            self.runtime.accelerator.unwrap_model(self.net, keep_fp32_wrapper=False)
        self.model.to(memory_format=torch.contiguous_format)

    def epoch(
        self,
        progress: TrainingProgress,
        checkpoints: Checkpoints | None,
        stop: StopRequest,
        report: ReportProgress,
        title: str,
    ) -> None:
        """Run the rest of an epoch."""
        draws = self.sampler.epoch(progress.epoch)
        steps = len(draws) * self.config.epochs
        sync_every = self._sync_every
        pending: list[_StepResult] = []
        self.model.train()
        started = time.perf_counter()
        first = progress.step
        for number, images in enumerate(self._images(draws[first:]), start=first):
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.lr_at(progress.epoch * len(draws) + number, steps) * group["lr_scale"]
            pending.append(self._step(number, draws[number], images))
            stop_now = self._stop_requested(stop, number)
            due = checkpoints is not None and (stop_now or checkpoints.is_due())
            if len(pending) >= sync_every or due or number == len(draws) - 1:
                loss = self._read_losses(pending, progress, title)
                report(sum(result.images for result in pending), loss)
                pending = []
            progress.step = number + 1
            if stop_now or due:
                progress.seconds += time.perf_counter() - started
                started = time.perf_counter()
                if checkpoints is not None and self.runtime.is_main_process:
                    checkpoints.save(self.model, self.optimizer, progress)
                if stop_now:
                    raise Stopped("stopped as requested; the same command resumes it")
        progress.seconds += time.perf_counter() - started

    @property
    def _sync_every(self) -> int:
        return 1 if self.runtime.device.type == "cpu" else SYNC_EVERY

    def _stop_requested(self, stop: StopRequest, number: int) -> bool:
        """Return true where any process was asked to stop: all leave after the same step, or none."""
        if self.runtime.num_processes == 1:
            return bool(stop)
        if number % self._sync_every:
            return False  # the answer waits for all queued work, as reading the loss does
        flag = torch.tensor(float(bool(stop)), device=self.runtime.device)
        return bool(self.runtime.sum(flag) > 0)

    def _images(self, draws: list[BatchIndices]) -> Iterator[Tensor]:
        """Yield this process's images of every step; read ahead where they are not in memory."""

        def images(draw: BatchIndices) -> Tensor:
            chunks = self.gradients.local_chunks(draw)
            return self.loader.batch(torch.cat([c.index for c in chunks]), torch.cat([c.epoch for c in chunks]))

        if self.loader.in_memory:
            yield from map(images, draws)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = [reader.submit(images, draw) for draw in draws[:2]]
            for following in range(2, len(draws) + 2):
                yield ahead.pop(0).result()
                if following < len(draws):
                    ahead.append(reader.submit(images, draws[following]))

    def _step(self, number: int, draw: BatchIndices, images: Tensor) -> _StepResult:
        """Take one optimizer step on the gradients of all processes."""
        loss = self.gradients.compute(draw, images)
        norm = self._clip()
        self.optimizer.step()
        return _StepResult(number, loss, norm.detach(), len(draw))

    def _clip(self) -> Tensor:
        """Clip the gradients and return their norm before."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        # On a GPU the question would wait for all work under way; multiplying by 1 is cheaper there.
        if norm.device.type != "cpu" or not norm <= self.config.clip:
            nn.utils.clip_grads_with_norm_(parameters, self.config.clip, norm)
        return norm

    def _read_losses(self, pending: list[_StepResult], progress: TrainingProgress, title: str) -> float:
        """Add up the losses of the last steps, and return the last one.

        Raises:
            RunError: One of them, or a gradient, is not finite.
        """
        losses = torch.stack([result.loss for result in pending]).tolist()
        norms = torch.stack([result.norm for result in pending]).tolist()
        for result, loss, norm in zip(pending, losses, norms, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise RunError(
                    f"{title}: the loss is {loss} and the gradient norm {norm} at step {result.step + 1} of epoch "
                    f"{progress.epoch + 1} (lr {self.config.lr:g}, batch {self.config.batch_size}); try a lower "
                    "learning rate or a longer warm-up, or fp32"
                )
            progress.loss += loss * result.images
        return losses[-1]

    def record(self, progress: TrainingProgress) -> dict[str, Any]:
        """Return the record of an epoch."""
        steps = len(self.sampler)
        return {
            "epoch": progress.epoch + 1,
            "loss": progress.loss / self.sampler.total,
            "lr": self.config.lr_at((progress.epoch + 1) * steps - 1, self.config.epochs * steps),
            "seconds": round(progress.seconds, 2),
            "images_per_second": round(self.sampler.total / progress.seconds, 1),
        }
