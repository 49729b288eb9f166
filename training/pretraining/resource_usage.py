"""What a run used: memory and energy, as far as the machine tells."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_RAPL = Path("/sys/class/powercap")


def peak_memory(device: torch.device) -> dict[str, int]:
    """Largest memory so far, in MiB: the process's own, and the GPU's where there is one."""
    unit = 1 << 10 if sys.platform == "darwin" else 1  # macOS counts bytes, Linux KiB
    found = {"process_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit // 1024}
    if device.type == "cuda":
        found["device_mib"] = torch.cuda.max_memory_allocated(device) >> 20
    return found


class Energy:
    """Joules that the processor's packages and the GPU used since this object was made.

    Processors tell through the kernel's RAPL counters, which many systems show to root alone; NVIDIA GPUs
    tell where the package ``pynvml`` is installed. What does not tell is left out, never guessed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start = self._read()

    def used(self) -> dict[str, float]:
        """Joules by counter; empty where the machine tells nothing."""
        now = self._read()
        # A counter that wrapped around is left out rather than guessed.
        return {name: round(now[name] - was, 1) for name, was in self.start.items() if now.get(name, -1) >= was}

    def _read(self) -> dict[str, float]:
        found = {}
        for counter in sorted(_RAPL.glob("intel-rapl:?/energy_uj")):
            try:
                found[counter.parent.name] = int(counter.read_text()) / 1e6
            except (OSError, ValueError):
                continue
        if self.device.type == "cuda":
            found |= _gpu_joules(self.device)
        return found


def _gpu_joules(device: torch.device) -> dict[str, float]:
    try:
        import pynvml  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return {}
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)
        return {"gpu": pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3}
    except pynvml.NVMLError:
        return {}


class Usage:
    """What a run used, over all the processes it took one after another; a ``medzoo.engine.checkpoints.Meter``.

    What a process used after its last checkpoint is lost with its work where it was killed.

    Args:
        device: Where this process computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.energy = Energy(device)
        self.earlier: Mapping[str, Any] | None = None

    def resume_from(self, earlier: Mapping[str, Any]) -> None:
        """Count on from what an earlier process told."""
        self.earlier = earlier

    def total(self) -> dict[str, Any]:
        """The largest memory of any process, in MiB, and the joules of all; a counter that one lacks is left out."""
        memory, joules = peak_memory(self.device), self.energy.used()
        if self.earlier is not None:
            was = self.earlier.get("peak_memory", {})
            memory = {name: max(memory.get(name, 0), was.get(name, 0)) for name in {**was, **memory}}
            spent = self.earlier.get("energy_joules", {})
            joules = {name: round(used + spent[name], 1) for name, used in joules.items() if name in spent}
        return {"peak_memory": memory, "energy_joules": joules}
