"""Training and test images of every run, the same for all weights: what makes a comparison paired."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError, RunError
from medzoo.data.splits import fold_of, holdout

# From this many images on, one split with a fifth held out measures well enough that folds are not worth their cost.
FOLDS_BELOW, FOLDS = 2000, 5
# A share of the training images is drawn as so many parts of as many, so that larger shares hold the smaller ones.
PARTS = 20


@dataclass(frozen=True)
class Fold:
    """One split of a data set.

    Attributes:
        repeat: Which of the repeated splits.
        fold: Which of its folds is held out; 0 where there is one.
        fraction: Share of the training images that is used.
        train: ``int64 [n]`` rows to train on.
        test: ``int64 [m]`` rows to measure on.
    """

    repeat: int
    fold: int
    fraction: float
    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Protocol:
    """How a data set is split, and how often.

    Attributes:
        seeds: How many repeated splits; each has its own seed.
        folds: Folds of each split: every image is measured on once. 1 holds out ``share``, as the paper does.
        share: Share held out where ``folds`` is 1.
        fractions: Shares of the training images to train on, to see what more labelled images would bring.
    """

    seeds: int = 1
    folds: int = FOLDS
    share: float = 0.2
    fractions: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise RunError(f"seeds is {self.seeds}; give 1 or more")
        if self.folds < 1:
            raise RunError(f"folds is {self.folds}; give 2 or more, or 1 for one held-out share")
        wrong = [fraction for fraction in self.fractions if not 0 < fraction <= 1]
        if wrong or not self.fractions:
            raise RunError(f"fractions are {self.fractions}; give shares of the training images above 0 and up to 1")
        parts = [round(fraction * PARTS) for fraction in self.fractions]
        far = [f for f, part in zip(self.fractions, parts, strict=True) if abs(part / PARTS - f) > 0.1 * f]
        if far or len(set(parts)) < len(parts):
            given = ", ".join(f"{fraction:g}" for fraction in self.fractions)
            raise RunError(
                f"fractions are {given}; they are drawn in steps of {1 / PARTS:g}: give different ones, from that on"
            )

    def splits(self, targets: NDArray[Any], groups: NDArray[np.str_]) -> Iterator[Fold]:
        """Yield all splits, by patient and stratified by label.

        Args:
            targets: ``[N, C]`` labels.
            groups: N patients.

        Yields:
            Each split with each share of its training images.

        Raises:
            DataError: There are too few patients.

        Example:
            >>> two = Protocol(folds=2).splits(np.eye(2)[[0, 0, 1, 1]], np.array(list("abcd")))
            >>> [split.test.tolist() for split in two]
            [[0, 3], [1, 2]]
        """
        for repeat in range(self.seeds):
            if self.folds == 1:
                fold = np.where(holdout(targets, groups, self.share, repeat), 0, 1)
            else:
                fold = fold_of(targets, groups, self.folds, repeat)
            for number in range(self.folds):
                held_out, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
                part = _parts(targets[train], groups[train], repeat)
                for fraction in self.fractions:
                    used = train[part < max(1, round(fraction * (part.max() + 1)))]
                    if len(used) < 2:
                        raise DataError(
                            f"{fraction:g} of {len(train)} training images leaves {len(used)}; give a larger share"
                        )
                    yield Fold(repeat, number, fraction, used, held_out)


def _parts(targets: NDArray[Any], groups: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    count = min(PARTS, len(set(groups.tolist())))
    return fold_of(targets, groups, count, seed) if count > 1 else np.zeros(len(groups), np.int64)
