"""The devices of this machine: the CPU, and the accelerator that torch has."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import torch
from torch import Tensor

from medzoo.core.errors import RunError


def best_device(device: str | None = None) -> torch.device:
    """Return the requested device, else the machine's accelerator, else the CPU.

    Args:
        device: ``"cpu"``, or what ``torch.accelerator`` finds: ``"cuda"`` (NVIDIA, and AMD through ROCm), ``"mps"``
            (Apple), ``"xpu"`` (Intel); ``"cuda:1"`` for the second one.

    Raises:
        RunError: The machine has no such device.

    Example:
        >>> best_device("cpu")
        device(type='cpu')
    """
    found = accelerator()
    if device is None:
        return found or torch.device("cpu")
    wanted: torch.device | None = None
    with suppress(RuntimeError):  # torch knows no such word
        wanted = torch.device(device)
    if wanted is None or (wanted.type != "cpu" and str(wanted) not in (found and found.type, *available_devices())):
        raise RunError(
            f"device {device!r} is not on this machine; torch {torch.__version__} finds "
            f"{', '.join(available_devices())}; give one of these, or none for the best"
        )
    return wanted


def accelerator() -> torch.device | None:
    """Return the accelerator that torch finds on this machine, without an index; ``None`` where there is none."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None


def available_devices() -> list[str]:
    """Return the names of the machine's devices, the CPU first.

    Example:
        >>> available_devices()[0]
        'cpu'
    """
    found = accelerator()
    count = torch.accelerator.device_count() if found else 0
    return ["cpu", *(f"{found.type}:{number}" for number in range(count) if found)]


def supports_bf16(device: torch.device) -> bool:
    """Return true where the device computes in bfloat16 faster than in float32."""
    return device.type in ("cuda", "xpu") and bool(torch.get_device_module(device).is_bf16_supported())


def empty_cache(device: torch.device) -> None:
    """Return the memory that torch keeps on an accelerator but does not use."""
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()


def to_float64(values: Tensor) -> Tensor:
    """Return values as float64: on their device where that is the CPU or CUDA's, else on the CPU.

    Apple's GPUs have no float64, and some of Intel's have none.
    """
    return (values if values.device.type in ("cpu", "cuda") else values.cpu()).double()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return true for a lack of memory; Apple's is a plain ``RuntimeError``."""
    return isinstance(error, torch.OutOfMemoryError) or "MPS backend out of memory" in str(error)


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the order of a network's values in memory: channels last is faster, but not tried on Apple's GPUs."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def rng_state() -> dict[str, Tensor]:
    """Return the random state of the accelerator under its type; empty where there is none."""
    found = accelerator()
    return {found.type: torch.get_device_module(found).get_rng_state()} if found else {}


def set_rng_state(state: Mapping[str, Tensor]) -> None:
    """Set the random state of the accelerator, unless the state is another type's."""
    found = accelerator()
    if found and found.type in state:
        torch.get_device_module(found).set_rng_state(state[found.type])
