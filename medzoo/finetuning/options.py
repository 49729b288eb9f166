"""The options of fine-tuning, checked before any data is read."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from medzoo.core.errors import MedzooError
from medzoo.core.registry import unknown
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.schedule import TrainingConfig
from medzoo.models.heads import check_head

CLASS_WEIGHTS = ("auto", "balanced", "none")


@dataclass(frozen=True)
class FinetuneOptions:
    """The options of ``medzoo.finetune`` other than model and data; documented there.

    Raises:
        MedzooError: One of them is impossible.
    """

    strategy: str
    training: TrainingConfig
    head: str
    augment: str
    class_weights: str
    layer_decay: float
    patience: int | None
    seed: int
    device: str | None

    def __post_init__(self) -> None:
        AUGMENTS[self.augment]
        check_head(self.head)
        if self.class_weights not in CLASS_WEIGHTS:
            raise MedzooError(unknown("choice of class weights", self.class_weights, CLASS_WEIGHTS))
        if not 0 < self.layer_decay <= 1:
            raise MedzooError(f"layer_decay is {self.layer_decay}; give a number above 0 up to 1 (1 for no decay)")
        if not isinstance(self.seed, Integral) or not 0 <= self.seed < 2**32:
            raise MedzooError(f"seed is {self.seed!r}; give a whole number from 0 to {2**32 - 1:,}")
        if self.patience is not None and self.patience < 1:
            raise MedzooError(f"patience is {self.patience}; give 1 epoch or more, or leave it out to train to the end")
