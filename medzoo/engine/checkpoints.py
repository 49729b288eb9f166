"""Checkpoints: one safetensors file each, whole or not at all, the last two kept. No pickles."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from medzoo.core.atomic import replacing_file
from medzoo.core.errors import RunError

KEPT = 2


@dataclass
class Position:
    """How far a run has come.

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
        """Whether the last epoch's record says that no other follows."""
        return bool(self.history and self.history[-1].get("last"))


class Meter(Protocol):
    """Something that adds up over all processes that a run takes, one after another."""

    def total(self) -> dict[str, Any]:
        """What it shows, as JSON can hold it."""

    def go_on_from(self, earlier: Mapping[str, Any]) -> None:
        """Count on from what it showed in an earlier process."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Where they are.
        settings: Everything the run depends on; a checkpoint of other settings is refused.
        every: Seconds between two checkpoints within an epoch; one is written at each epoch's end too.
        rest: An epoch that ends sooner than so many seconds after the last checkpoint gets none.
        otherwise: What to do, in words, where a checkpoint is of other settings that are meant.
        meter: What is saved and restored with the run.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        every: float = 300.0,
        rest: float = 0.0,
        otherwise: str = "--restart to begin anew, or another --work",
        meter: Meter | None = None,
    ) -> None:
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        self.every, self.rest, self.otherwise, self.meter = every, rest, otherwise, meter
        self.last = time.monotonic()

    @property
    def files(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return sorted(self.folder.glob("at-*.safetensors"))

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self.last >= self.every

    def rested(self) -> bool:
        """Whether the last one is old enough for another at an epoch's end."""
        return time.monotonic() - self.last >= self.rest

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, position: Position) -> None:
        """Write a checkpoint and remove all but the last two.

        Raises:
            RunError: It cannot be written; the last one is still there.
        """
        tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
        for number, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{key}": value for key, value in values.items()}
        tensors["rng"] = torch.random.get_rng_state()
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        used = self.meter.total() if self.meter else {}
        said = json.dumps({"position": vars(position), "settings": self.settings, "used": used})
        path = self.folder / f"at-{position.epoch:05d}-{position.step:08d}.safetensors"
        try:
            with replacing_file(path) as temporary:
                save_file(
                    {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
                    temporary,
                    {"medzoo": said},
                )
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"the checkpoint {path} cannot be written ({error.__cause__ or error}); "
                "the run goes on from the last one when there is room and the same command is given again"
            ) from error
        self.last = time.monotonic()
        for old in self.files[:-KEPT]:
            old.unlink()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
        """Bring model, optimiser and torch's random state to the last readable checkpoint.

        Returns:
            How far the run had come; the start where there is no checkpoint.

        Raises:
            RunError: The checkpoint belongs to a run with other settings.
        """
        for half in self.folder.glob(".at-*"):  # left behind by a run killed while it wrote
            half.unlink(missing_ok=True)
        for path in reversed(self.files):
            try:
                with safe_open(path, framework="pt") as file:
                    said = json.loads(file.metadata()["medzoo"])
                    tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            except (SafetensorError, OSError, ValueError, KeyError, TypeError):
                continue  # a damaged file: the one before it is whole
            self._check(path, said["settings"])
            self._put(tensors, model, optimizer)
            if self.meter:
                self.meter.go_on_from(said.get("used", {}))
            return Position(**said["position"])
        return Position()

    def _check(self, path: Path, settings: Mapping[str, Any]) -> None:
        changed = [key for key in self.settings if settings.get(key) != self.settings[key]]
        if changed:
            raise RunError(
                f"{path.parent} holds checkpoints of a run with another {', '.join(changed)}; give the same options to "
                f"go on, {self.otherwise}"
            )

    @staticmethod
    def _put(tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        state = optimizer.state_dict()
        for key, value in tensors.items():
            kind, _, rest = key.partition(".")
            if kind == "optimizer":
                number, _, name = rest.partition(".")
                state["state"].setdefault(int(number), {})[name] = value
        optimizer.load_state_dict(state)
        for parameter, values in optimizer.state.items():
            for name, value in values.items():
                if value.shape == parameter.shape:  # in its order in memory too, which a fused optimiser relies on
                    values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
        model.load_state_dict({key.removeprefix("model."): v for key, v in tensors.items() if key.startswith("model.")})
        torch.random.set_rng_state(tensors["rng"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])

    def clear(self) -> None:
        """Remove them all, when the run is complete or begins anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
