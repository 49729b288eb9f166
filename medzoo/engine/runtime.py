"""Where and how a network computes: device, precision, several processes, random state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import is_initialized
from torch import Tensor, nn

from medzoo.core.errors import RunError
from medzoo.engine.devices import accelerator, best_device, memory_format, supports_bf16


@dataclass(frozen=True)
class Execution:
    """The choices that change speed, not results beyond rounding.

    Attributes:
        device: As in ``medzoo.engine.devices.best_device``.
        precision: ``"bf16"`` or ``"fp32"``; default bf16 on a GPU that has it, fp32 elsewhere (on a CPU without bf16
            units it is ten times slower).
        compile: Compile the network; worth minutes only on runs of hours.
    """

    device: str | None = None
    precision: str | None = None
    compile: bool = False

    def start(self) -> Runtime:
        """Return the device, precision and processes of a run.

        Raises:
            RunError: The device or precision is unknown or absent.
        """
        device = best_device(self.device)
        precision = self.precision or ("bf16" if supports_bf16(device) else "fp32")
        if precision not in ("bf16", "fp32"):
            raise RunError(f"precision {precision!r} is unknown; use bf16 or fp32")
        if device.type != "cpu" and device.index is not None:
            torch.accelerator.set_device_index(device)
        # The first Accelerator of a process fixes how its processes communicate; device and precision are the run's.
        accelerator = Accelerator() if is_initialized() else Accelerator(cpu=device.type == "cpu")
        if accelerator.num_processes == 1:
            return Runtime(accelerator, device, precision)
        if accelerator.device.type != device.type:
            raise RunError(
                f"these {accelerator.num_processes} processes communicate on {accelerator.device.type} and cannot run "
                f"on {device.type}; start them anew"
            )
        return Runtime(accelerator, accelerator.device, precision)


@dataclass(frozen=True, eq=False)
class Runtime:
    """Where a run computes, and the processes that share its steps.

    Attributes:
        accelerator: The processes. Its own device and precision are those of the process's first run.
        device: The device of this process.
        precision: ``"bf16"`` or ``"fp32"``.
    """

    accelerator: Accelerator
    device: torch.device
    precision: str

    @property
    def num_processes(self) -> int:
        """The number of processes."""
        return int(self.accelerator.num_processes)

    @property
    def process_index(self) -> int:
        """The number of this process, from 0."""
        return int(self.accelerator.process_index)

    @property
    def is_main_process(self) -> bool:
        """True in the process that writes files."""
        return self.process_index == 0

    def autocast(self) -> torch.autocast:
        """Return a context that computes in the run's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes; the tensor itself where there is one."""
        return self.accelerator.reduce(values, "sum") if self.num_processes > 1 else values


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch (initial values, dropout), and restore the caller's random state afterwards."""
    found = accelerator()
    # The current GPU alone: by default torch warns where there are several.
    devices = [torch.accelerator.current_device_index()] if found else []
    with torch.random.fork_rng(devices, device_type=found.type if found else "cuda"):
        torch.manual_seed(seed)
        yield


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Count denormal numbers as 0, and restore the process's setting afterwards.

    Some 28 denormal numbers in ImageNet weights slow a pass several times.
    """
    was = bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was)


@contextmanager
def channels_last(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Move a network to a device with channels-last weights, and restore the usual memory format afterwards.

    ``channels_last`` is a fifth to a third faster on a CPU too.
    """
    placed: Any = model
    placed.to(device, memory_format=memory_format(device))
    try:
        yield
    finally:
        placed.to(memory_format=torch.contiguous_format)


@contextmanager
def tuned_kernels() -> Iterator[None]:
    """Let cuDNN benchmark its convolution algorithms once for each input shape and keep the fastest."""
    was = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = was


def _is_updated(norm: Any) -> bool:
    """Return true for a layer whose running statistics training changes; a frozen one keeps them to the last bit."""
    return bool(norm.track_running_stats) and any(p.requires_grad for p in norm.parameters())


class BatchNormStatistics:
    """Running statistics of batch normalisation that do not depend on which process computed which chunk.

    Each chunk updates the statistics of the step's start; the step ends with the mean of these updates, over all
    chunks of all devices, and counts as one batch.

    Args:
        model: The network.
        runtime: The processes that share a step.
    """

    def __init__(self, model: nn.Module, runtime: Runtime) -> None:
        self.runtime = runtime
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and _is_updated(m)]
        self.buffers: list[Any] = [b for norm in norms for b in (norm.running_mean, norm.running_var)]
        self.counts: list[Any] = [norm.num_batches_tracked for norm in norms]
        self.base = [buffer.clone() for buffer in self.buffers]
        self.counted = [count.clone() for count in self.counts]
        self.sum = [torch.zeros_like(buffer) for buffer in self.buffers]

    def begin_step(self) -> None:
        """Copy the statistics at a step's start."""
        if self.buffers:  # few calls over all tensors at once: there are hundreds
            torch._foreach_copy_(self.base, self.buffers)
            torch._foreach_copy_(self.counted, self.counts)
            torch._foreach_zero_(self.sum)

    def undo(self) -> None:
        """Restore the statistics of the step's start."""
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.base)
            torch._foreach_copy_(self.counts, self.counted)

    def add_chunk(self, share: float) -> None:
        """Add the statistics after one chunk, weighted by its share of the step, and restore those of the start."""
        if self.buffers:
            torch._foreach_add_(self.sum, self.buffers, alpha=share)
            self.undo()

    def end_step(self) -> None:
        """Set the statistics to the weighted mean over all chunks."""
        if not self.buffers:
            return
        if self.runtime.num_processes > 1:
            flat = self.runtime.sum(torch.cat([part.flatten() for part in self.sum]))
            parts = flat.split([buffer.numel() for buffer in self.buffers])
            torch._foreach_copy_(self.sum, [part.view_as(b) for part, b in zip(parts, self.buffers, strict=True)])
        torch._foreach_copy_(self.buffers, self.sum)
        torch._foreach_add_(self.counts, 1)
