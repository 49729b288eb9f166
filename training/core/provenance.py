"""Record the environment of a run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from medzoo.engine.devices import accelerator

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "scikit-learn", "accelerate", "safetensors")


def environment() -> dict[str, Any]:
    """Return versions, hardware and code state, for a run record.

    Returns:
        A dictionary for JSON, without names of the machine or its user.
    """
    found = accelerator()
    name = getattr(torch.get_device_module(found), "get_device_name", None) if found else None
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "gpu": name() if name else found and found.type,  # Apple's have no name
        **code_state(Path(__file__).parents[2]),
    }


def code_state(folder: Path) -> dict[str, Any]:
    """Return the git commit of a checkout and whether it has changes; ``None`` outside a checkout."""
    commit, changed = git(folder, "rev-parse", "HEAD"), git(folder, "status", "--porcelain")
    return {"git_commit": commit, "git_dirty": None if changed is None else bool(changed)}


def git(folder: Path, *words: str) -> str | None:
    """Return what git prints for a command in a folder; ``None`` where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
