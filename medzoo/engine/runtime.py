"""Where and how a network computes: device, precision, several processes, repeatable draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor, nn

from medzoo.core.errors import RunError


@dataclass(frozen=True)
class Execution:
    """The choices that change speed, not results beyond rounding.

    Attributes:
        device: ``"cpu"``, ``"cuda"``; default a GPU where there is one.
        precision: ``"bf16"`` or ``"fp32"``; default bf16 on a GPU that has it, fp32 elsewhere (on a CPU without bf16
            units it is ten times slower).
        compile: Compile the network; worth minutes only on runs of hours.
    """

    device: str | None = None
    precision: str | None = None
    compile: bool = False

    def accelerator(self) -> Accelerator:
        """The process's handle on its device and on the other processes.

        Raises:
            RunError: The device is unknown or absent.
        """
        device = best_device(self.device)
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        precision = self.precision or ("bf16" if fast else "fp32")
        if precision not in ("bf16", "fp32"):
            raise RunError(f"precision {precision!r} is unknown; use bf16 or fp32")
        if device.index is not None:
            torch.cuda.set_device(device)
        _forget_other(device, precision)
        return Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if precision == "bf16" else "no")


def _forget_other(device: torch.device, precision: str) -> None:
    """Let one process use a CPU now and a GPU later: accelerate keeps its first choice unless told otherwise."""
    if PartialState._shared_state and not PartialState().use_distributed:
        state = AcceleratorState()
        if (state.device.type, state.mixed_precision) != (device.type, "bf16" if precision == "bf16" else "no"):
            AcceleratorState._reset_state(reset_partial_state=True)


def best_device(device: str | None = None) -> torch.device:
    """The device asked for, else a CUDA GPU where there is one, else the CPU.

    Raises:
        RunError: The device is unknown or absent.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise RunError(f"device {device!r} is unknown; use 'cpu', 'cuda' or 'cuda:1'") from error
    if found.type not in ("cpu", "cuda"):
        raise RunError(f"device {device!r} is not supported; use 'cpu' or 'cuda'")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise RunError(f"device {device!r} is asked for, but torch {torch.__version__} sees no CUDA GPU; use 'cpu'")
    return found


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make torch's own draws (initial values, dropout) repeatable, and leave the caller's as they were."""
    # The current GPU alone: by default torch warns where there are several.
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Count denormal numbers as 0, and leave the process as it was; some 28 in ImageNet's weights slow a pass several
    times.
    """
    was = bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was)


@contextmanager
def channels_last(model: nn.Module, device: torch.device) -> Iterator[None]:
    """A network on a device with its values in the order that convolutions are fastest with, and back in the usual one.

    ``channels_last`` is a fifth to a third faster on a CPU too.
    """
    placed: Any = model
    placed.to(device, memory_format=torch.channels_last)
    try:
        yield
    finally:
        placed.to(memory_format=torch.contiguous_format)


@contextmanager
def tuned_kernels() -> Iterator[None]:
    """Let cuDNN try its ways of a convolution once for each shape and keep the fastest; for shapes that come again."""
    was = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = was


def shared(accelerator: Accelerator, values: Tensor) -> Tensor:
    """The sum of a tensor over all processes; the tensor itself where there is one."""
    return accelerator.reduce(values, "sum") if accelerator.num_processes > 1 else values


def _moves(norm: Any) -> bool:
    """Whether training changes a layer's running statistics; those of a frozen one stay to the last bit."""
    return bool(norm.track_running_stats) and any(p.requires_grad for p in norm.parameters())


class Statistics:
    """Running statistics of batch normalisation that do not depend on who computed which chunk.

    Each chunk of a step moves the statistics of the step's start; the step ends with the mean of these moves, over all
    chunks of all devices, and counts as one batch.

    Args:
        model: The network.
        accelerator: The processes that share a step.
    """

    def __init__(self, model: nn.Module, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and _moves(m)]
        self.buffers: list[Any] = [b for norm in norms for b in (norm.running_mean, norm.running_var)]
        self.counts: list[Any] = [norm.num_batches_tracked for norm in norms]
        self.base = [buffer.clone() for buffer in self.buffers]
        self.counted = [count.clone() for count in self.counts]
        self.sum = [torch.zeros_like(buffer) for buffer in self.buffers]

    def begin(self) -> None:
        """Remember the statistics at a step's start."""
        if self.buffers:  # few calls over all tensors at once: there are hundreds
            torch._foreach_copy_(self.base, self.buffers)
            torch._foreach_copy_(self.counted, self.counts)
            torch._foreach_zero_(self.sum)

    def undo(self) -> None:
        """Go back to the step's start."""
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.base)
            torch._foreach_copy_(self.counts, self.counted)

    def take(self, share: float) -> None:
        """Note what one chunk, a share of the step, made of them, and go back to the start."""
        if self.buffers:
            torch._foreach_add_(self.sum, self.buffers, alpha=share)
            self.undo()

    def end(self) -> None:
        """Put the mean of all chunks in place."""
        if not self.buffers:
            return
        if self.accelerator.num_processes > 1:
            flat = shared(self.accelerator, torch.cat([part.flatten() for part in self.sum]))
            parts = flat.split([buffer.numel() for buffer in self.buffers])
            torch._foreach_copy_(self.sum, [part.view_as(b) for part, b in zip(parts, self.buffers, strict=True)])
        torch._foreach_copy_(self.buffers, self.sum)
        torch._foreach_add_(self.counts, 1)
