"""A cell of a comparison: one start, fine-tuned in one way on one division of a data set."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo._version import __version__
from medzoo.comparison.protocol import Fold
from medzoo.core.errors import MedzooError
from medzoo.data.dataset import Examples
from medzoo.engine.interrupts import Stopped
from medzoo.finetuning.finetune import finetune

DONE, FAILED = "done", "failed"
# Of the fine-tuning's own seed: repeats and folds differ in order, head and augmentation; starts do not.
FOLDS_OF_A_REPEAT = 1000


@dataclass(frozen=True)
class Start:
    """What fine-tuning begins from.

    Attributes:
        arm: What it is called in tables: the weight's name, or an arm of the study.
        weight: The weight's name.
        folder: Its bundle.
        sha256: Of its weights.
    """

    arm: str
    weight: str
    folder: Path
    sha256: str


@dataclass(frozen=True)
class Cell:
    """One run, told by everything that its outcome depends on.

    Attributes:
        start: What it begins from.
        data: Name of the data set.
        fingerprint: Of the data set's images, labels and patients.
        strategy: How it is fine-tuned.
        split: Which images.
        scheme: How the division was made: seeds of the same number divide alike only within it.
        image_size: Side of the network's input in pixels.
        options: Other options of ``medzoo.finetune``.
    """

    start: Start
    data: str
    fingerprint: str
    strategy: str
    split: Fold
    scheme: str
    image_size: int
    options: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The fine-tuning's seed: the same for all starts, so that they differ in the start alone."""
        return self.split.repeat * FOLDS_OF_A_REPEAT + self.split.fold

    def describe(self) -> dict[str, Any]:
        """What the cell is, for its record; its id is a hash of this, the arm's name apart."""
        return {
            "weight": self.start.weight,
            "sha256": self.start.sha256,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "strategy": self.strategy,
            "scheme": self.scheme,
            "repeat": self.split.repeat,
            "fold": self.split.fold,
            "fraction": self.split.fraction,
            "seed": self.seed,
            "image_size": self.image_size,
            "options": dict(sorted(self.options.items())),
        }

    @property
    def id(self) -> str:
        """16 hexadecimal digits: another weight, data set, division, strategy, option or seed is another cell."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()[:16]


def run(cell: Cell, examples: Examples, device: str | None = None) -> dict[str, Any]:
    """Fine-tune a start and measure it; whatever goes wrong becomes part of the record.

    Args:
        cell: What to do.
        examples: The whole data set.
        device: Where.

    Returns:
        The cell's record, for JSON: what it is, ``status``, and either ``error`` or what was found: ``probabilities``
        of the held-out images, ``history``, ``train_images``, ``seconds``.

    Raises:
        Stopped: SIGTERM or Ctrl-C.
    """
    started = time.perf_counter()
    try:
        found = _outcome(cell, examples, device)
    except Stopped:  # Ctrl-C and SIGTERM mean all of it
        raise
    # Whatever a network, a driver or a disk does to a cell must not stop the others; what happened is kept and told.
    except Exception as error:  # noqa: BLE001
        detail = str(error) if isinstance(error, MedzooError) else traceback.format_exc()
        return failure(cell, str(error) or type(error).__name__, detail)
    return {**_head(cell), "status": DONE, **found, "seconds": round(time.perf_counter() - started, 2)}


def failure(cell: Cell, error: str, detail: str = "") -> dict[str, Any]:
    """The record of a cell that failed."""
    return {**_head(cell), "status": FAILED, "error": error, "detail": detail or error}


def _head(cell: Cell) -> dict[str, Any]:
    return {
        "schema": 1,
        "kind": "cell",
        "id": cell.id,
        "medzoo": __version__,
        "arm": cell.start.arm,
        **cell.describe(),
    }


def _outcome(cell: Cell, examples: Examples, device: str | None) -> dict[str, Any]:
    rows = np.sort(np.concatenate([cell.split.train, cell.split.test]))
    mine = examples if len(rows) == len(examples) else examples.take(rows)
    mine = replace(mine, splits=None)  # the data's own split has no say in a division made here
    held_out = np.isin(rows, cell.split.test)
    report = finetune(
        cell.start.folder,
        mine,
        validation=held_out,
        strategy=cell.strategy,
        image_size=cell.image_size,
        seed=cell.seed,
        device=device,
        **cell.options,
    )
    return {
        "rows": rows[held_out].tolist(),
        "probabilities": _rounded(report.probabilities),
        "history": report.history,
        "settings": report.settings,
        "train_images": len(cell.split.train),
    }


def _rounded(values: NDArray[np.float32]) -> list[list[float]]:
    """Six digits: far below what one image changes, and half the size."""
    return np.round(values.astype(np.float64), 6).tolist()
