"""Training, validation and test images of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.core.errors import DataError
from medzoo.data.dataset import Examples
from medzoo.data.holdout import own_selection
from medzoo.data.splits import holdout

# Of the training images, by patient: enough to tell epochs apart, few enough to be missed little.
SELECTION = 0.15


@dataclass(frozen=True, eq=False)
class Split:
    """A division of a data set; ``int64`` image numbers.

    Attributes:
        train: What the network learns from.
        val: What chooses the epoch: the data's own validation images, else some of the training images; empty where
            none is chosen.
        test: What measures the result, and chooses nothing.
    """

    train: Tensor
    val: Tensor
    test: Tensor


def split_dataset(examples: Examples, held_out: NDArray[np.bool_], selecting: bool, seed: int) -> Split:
    """Split off validation images from those that are not held out, where an epoch is to be chosen.

    Args:
        examples: All images.
        held_out: ``bool [N]``, true for an image that measures the result.
        selecting: Split off validation images.
        seed: Seed of the split.

    Returns:
        The split; where patients are known, none is in two parts.

    Raises:
        DataError: The training images are of one patient, or the data's own split has a patient among its training and
            its validation images.
    """
    rest = np.flatnonzero(~held_out)
    chosen = np.zeros(len(rest), bool)
    own = own_selection(examples, held_out) if selecting else None
    if own is not None:
        chosen = own[rest]
        _refuse_shared(examples, rest[chosen], rest[~chosen])
    elif selecting:
        if len(np.unique(examples.groups[rest])) < 2:
            raise DataError(
                "early stopping sets some training images aside, by patient, and all are of one; leave patience out"
            )
        chosen = holdout(examples.targets[rest], examples.groups[rest], SELECTION, seed)
    train, select, measured = (
        torch.from_numpy(np.asarray(rows)) for rows in (rest[~chosen], rest[chosen], held_out.nonzero()[0])
    )
    return Split(train, select, measured)


def _refuse_shared(examples: Examples, select: NDArray[np.int64], train: NDArray[np.int64]) -> None:
    if examples.patients is None:
        return
    shared = sorted((set(examples.patients[select].tolist()) & set(examples.patients[train].tolist())) - {""})
    if shared:
        raise DataError(
            f"{len(shared):,} patients ({', '.join(shared[:3])}{', ...' if len(shared) > 3 else ''}) are among both "
            "the training and the validation images of the data's own split, and early stopping chooses by the latter; "
            "split them by patient, or leave patience out"
        )
