"""The training configuration and its learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

from medzoo.core.errors import RunError


@dataclass(frozen=True)
class TrainingConfig:
    """Epochs, batch size, optimizer and learning-rate schedule of a run.

    A step takes ``batch_size`` images in chunks of at most ``chunk``: batch normalisation sees one chunk at
    a time, wherever it is computed. So a small GPU computes the chunks one after another, several devices
    share them, and the result is the same up to rounding.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step.
        lr: Peak learning rate of AdamW.
        weight_decay: Decay of weights; biases and norms have none.
        warmup: Share of all steps over which the learning rate rises from 0.
        final: Last learning rate, as a share of the peak (cosine in between).
        clip: Largest gradient norm.
        chunk: Images that are normalised together; ``None`` for all of a step's.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    warmup: float = 0.1
    final: float = 0.01
    clip: float = 1.0
    chunk: int | None = None

    def __post_init__(self) -> None:
        for what, count, low in (("epochs", self.epochs, 1), ("batch_size", self.batch_size, 2)):
            if not isinstance(count, Integral) or count < low:
                raise RunError(f"{what} is {count!r}; give a whole number, {low} or more")
        if self.chunk is not None and self.chunk < 2:
            raise RunError(f"chunk is {self.chunk}; batch normalisation needs 2 or more images")
        for what, value, lowest in (("lr", self.lr, "above 0"), ("weight_decay", self.weight_decay, "of 0 or more")):
            if not isinstance(value, Real) or not math.isfinite(value) or value < 0 or (what == "lr" and value == 0):
                raise RunError(f"{what} is {value!r}; give a number {lowest}")

    @property
    def chunks(self) -> int:
        """The number of chunks of a step."""
        return math.ceil(self.batch_size / self.chunk) if self.chunk else 1

    def lr_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step: linear warm-up, then half a cosine.

        Example:
            >>> config = TrainingConfig(epochs=1, batch_size=2, lr=1.0, weight_decay=0.0)
            >>> [round(config.lr_at(step, 20), 2) for step in (0, 1, 2, 19)]
            [0.5, 1.0, 1.0, 0.02]
        """
        warm = max(1, round(self.warmup * steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        done = (step - warm) / max(1, steps - warm)
        return self.lr * (self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done)))
