"""Checkpoints: one file each, whole or not at all, the last two kept; loaded without running code from them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from medzoo.core.atomic import replacing_file
from medzoo.core.errors import RunError
from medzoo.engine.devices import rng_state, set_rng_state

KEPT = 2
# What torch raises on a file that is cut, empty, of other content or a folder.
_DAMAGED = (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError)


@dataclass
class TrainingProgress:
    """Progress of a run.

    Attributes:
        epoch: Epochs completed.
        step: Steps completed in the epoch under way.
        loss: Sum of the losses of its images so far.
        seconds: Time spent on it so far.
        history: Records of the epochs completed.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """True where the last epoch's record says that no other follows."""
        return bool(self.history and self.history[-1].get("last"))


class Meter(Protocol):
    """A measurement that adds up over all processes that a run takes, one after another."""

    def total(self) -> dict[str, Any]:
        """Return the sums so far, as JSON can hold them."""

    def resume_from(self, earlier: Mapping[str, Any]) -> None:
        """Add to the sums of an earlier process."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Where they are.
        settings: Everything the run depends on; a checkpoint of other settings is refused.
        interval: Seconds between two checkpoints within an epoch; one is written at each epoch's end too.
        min_interval: An epoch that ends sooner than so many seconds after the last checkpoint gets none.
        hint: How to start a new run instead, for an error message.
        meter: A measurement that is saved and restored with the run.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        interval: float = 300.0,
        min_interval: float = 0.0,
        hint: str = "--restart to start anew, or another --work",
        meter: Meter | None = None,
    ) -> None:
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        self.interval, self.min_interval, self.hint, self.meter = interval, min_interval, hint, meter
        self.last = time.monotonic()

    @property
    def files(self) -> list[Path]:
        """The checkpoint files, oldest first."""
        return sorted(self.folder.glob("at-*.pt"))

    def is_due(self) -> bool:
        """Return true when it is time for a checkpoint within an epoch."""
        return time.monotonic() - self.last >= self.interval

    def is_due_after_epoch(self) -> bool:
        """Return true when the last checkpoint is old enough for another at an epoch's end."""
        return time.monotonic() - self.last >= self.min_interval

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: TrainingProgress) -> None:
        """Write a checkpoint and remove all but the last two.

        Raises:
            RunError: It cannot be written; the last one is still there.
        """
        used = self.meter.total() if self.meter else {}
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.random.get_rng_state(),
            "rng_accelerator": rng_state(),
            "run": json.dumps({"position": vars(progress), "settings": self.settings, "used": used}),
        }
        path = self.folder / f"at-{progress.epoch:05d}-{progress.step:08d}.pt"
        try:
            with replacing_file(path) as temporary, temporary.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            raise RunError(
                f"the checkpoint {path} cannot be written ({error.__cause__ or error.__context__ or error}); "
                "make room and give the same command again: the run resumes from the last one"
            ) from error
        self.last = time.monotonic()
        for old in self.files[:-KEPT]:
            old.unlink()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingProgress:
        """Load the last readable checkpoint into model, optimizer and torch's random state.

        Returns:
            How far the run had come; zero where there is no checkpoint.

        Raises:
            RunError: The checkpoint belongs to a run with other settings, or to an earlier version of medzoo.
        """
        for partial in self.folder.glob(".at-*"):  # left behind by a run killed while it wrote
            partial.unlink(missing_ok=True)
        for path in reversed(self.files):
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
                run = json.loads(state["run"])
            except _DAMAGED:
                continue  # the one before it is whole
            self._check(path, run["settings"])
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            torch.random.set_rng_state(state["rng"])
            set_rng_state(state["rng_accelerator"])
            if self.meter:
                self.meter.resume_from(run["used"])
            return TrainingProgress(**run["position"])
        if next(self.folder.glob("at-*.safetensors"), None):
            raise RunError(
                f"{self.folder} holds checkpoints of an earlier version of medzoo, which this one cannot resume; give "
                f"{self.hint}"
            )
        return TrainingProgress()

    def _check(self, path: Path, settings: Mapping[str, Any]) -> None:
        changed = [key for key in self.settings if settings.get(key) != self.settings[key]]
        if changed:
            raise RunError(
                f"{path.parent} holds checkpoints of a run with another {', '.join(changed)}; give the same options to "
                f"resume it, or {self.hint}"
            )

    def clear(self) -> None:
        """Remove all checkpoints, when the run is complete or starts anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
