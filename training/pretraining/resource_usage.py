"""Memory and energy that a run used, as far as the machine reports them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

if sys.platform != "win32":  # POSIX alone has it
    import resource

_RAPL = Path("/sys/class/powercap")


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the peak memory in MiB: the process's own, and the GPU's if there is one."""
    found = {"process_mib": _process_peak() >> 20}
    peak = None if device.type == "cpu" else getattr(torch.get_device_module(device), "max_memory_allocated", None)
    if peak is not None:  # Apple's GPUs do not tell
        found["device_mib"] = peak(device) >> 20
    return found


def _process_peak() -> int:
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10  # macOS counts bytes, Linux KiB


class Energy:
    """Joules that the processor's packages and the GPU used since this object was made.

    Processors report through the kernel's RAPL counters, on many systems to root alone; NVIDIA GPUs if the package
    ``pynvml`` is installed. Missing counters are left out, never estimated.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start = self._read()

    def used(self) -> dict[str, float]:
        """Return joules by counter; empty if the machine reports none."""
        now = self._read()
        # A counter that wrapped around is left out.
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
    """Resources of a run over all processes that resumed it; a ``medzoo.engine.checkpoints.Meter``.

    What a killed process used after its last checkpoint is not counted.

    Args:
        device: The device of this process.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.energy = Energy(device)
        self.earlier: Mapping[str, Any] | None = None

    def resume_from(self, earlier: Mapping[str, Any]) -> None:
        """Add to the totals of an earlier process."""
        self.earlier = earlier

    def total(self) -> dict[str, Any]:
        """Return the peak memory of any process, in MiB, and the joules of all; incomplete counters are left out."""
        memory, joules = peak_memory(self.device), self.energy.used()
        if self.earlier is not None:
            was = self.earlier.get("peak_memory", {})
            memory = {name: max(memory.get(name, 0), was.get(name, 0)) for name in {**was, **memory}}
            spent = self.earlier.get("energy_joules", {})
            joules = {name: round(used + spent[name], 1) for name, used in joules.items() if name in spent}
        return {"peak_memory": memory, "energy_joules": joules}
