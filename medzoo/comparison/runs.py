"""A run of a comparison: one weight, fine-tuned with one strategy on one split of a data set."""

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

from medzoo._version import __version__
from medzoo.comparison.features import features_once
from medzoo.comparison.protocol import Fold
from medzoo.core.errors import MedzooError
from medzoo.data.dataset import Examples
from medzoo.engine.interrupts import Stopped
from medzoo.engine.tracking import Tracking
from medzoo.features.extract import Features
from medzoo.finetuning.finetune import finetune
from medzoo.finetuning.head_training import known_features
from medzoo.finetuning.strategies import STRATEGIES
from medzoo.robustness.result import Stress

DONE, FAILED = "done", "failed"
# Of the fine-tuning's own seed: repeats and folds differ in order, head and augmentation; weights do not.
FOLDS_OF_A_REPEAT = 1000


@dataclass(frozen=True)
class ComparedWeights:
    """Pretrained weights of a comparison.

    Attributes:
        name: Their name in tables: the weight's own, or an arm of the study.
        weight: The weight's name.
        folder: The bundle.
        sha256: Digest of the weights.
    """

    name: str
    weight: str
    folder: Path
    sha256: str


@dataclass(frozen=True)
class Run:
    """One run: everything that its outcome depends on.

    Attributes:
        weights: The pretrained weights.
        data: Name of the data set.
        fingerprint: Of the data set's images, labels and patients.
        strategy: The fine-tuning strategy.
        split: Training and test images.
        scheme: How the split was made: equal seeds give equal splits only within one scheme.
        image_size: Side of the network's input in pixels.
        options: Other options of ``medzoo.finetune``.
        positive: The positive class of a ``binary`` task; empty for the last, which leaves ids as they were before.
    """

    weights: ComparedWeights
    data: str
    fingerprint: str
    strategy: str
    split: Fold
    scheme: str
    image_size: int
    options: Mapping[str, Any]
    positive: str = ""

    @property
    def seed(self) -> int:
        """Return the fine-tuning's seed: the same for all weights."""
        return self.split.repeat * FOLDS_OF_A_REPEAT + self.split.fold

    def describe(self) -> dict[str, Any]:
        """Return the run's description for its record; the id is its hash, which leaves out the name in tables."""
        return {
            "weight": self.weights.weight,
            "sha256": self.weights.sha256,
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
            **({"positive": self.positive} if self.positive else {}),
        }

    @property
    def id(self) -> str:
        """Return 16 hexadecimal digits: another weight, data set, split, strategy, option or seed is another run."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()[:16]


def execute(
    run: Run, examples: Examples, device: str | None = None, tracking: Tracking | None = None
) -> dict[str, Any]:
    """Fine-tune and measure; an error becomes part of the record.

    Args:
        run: The run.
        examples: The whole data set.
        device: As in ``compare``.
        tracking: Where it is logged.

    Returns:
        The run's record for JSON: its description, ``status``, and either ``error`` or the outcome: ``probabilities``
        of the held-out images, ``history``, ``train_images``, ``seconds``, and ``stress`` where that was measured.

    Raises:
        Stopped: SIGTERM or Ctrl-C.
    """
    started = time.perf_counter()
    try:
        found = _outcome(run, examples, device, tracking and _tracking_of(run, tracking))
    except Stopped:  # stops the whole comparison
        raise
    # An error of one run must not stop the others; it is recorded and reported.
    except Exception as error:  # noqa: BLE001
        detail = str(error) if isinstance(error, MedzooError) else traceback.format_exc()
        return failure(run, str(error) or type(error).__name__, detail)
    return {**_head(run), "status": DONE, **found, "seconds": round(time.perf_counter() - started, 2)}


def failure(run: Run, error: str, detail: str = "") -> dict[str, Any]:
    """Return the record of a run that failed."""
    return {**_head(run), "status": FAILED, "error": error, "detail": detail or error}


def _head(run: Run) -> dict[str, Any]:
    head = {"schema": 1, "kind": "cell", "id": run.id, "medzoo": __version__, "arm": run.weights.name}
    return {**head, **run.describe()}


def _tracking_of(run: Run, tracking: Tracking) -> Tracking:
    """Return where a run is logged: with its arm and split in name and configuration."""
    split, share = run.split, "" if run.split.fraction == 1 else f"-{run.split.fraction:g}"
    name = f"{run.weights.name}-{run.data}-{run.strategy}-seed{split.repeat}-fold{split.fold}{share}"
    return replace(tracking, name=name, group=f"compare-{run.data}", config={"run": _head(run)})


def _outcome(run: Run, examples: Examples, device: str | None, tracking: Tracking | None) -> dict[str, Any]:
    rows = np.sort(np.concatenate([run.split.train, run.split.test]))
    mine = examples if len(rows) == len(examples) else examples.take(rows)
    mine = replace(mine, splits=None)  # the data's own split is not used
    held_out = np.isin(rows, run.split.test)
    with known_features(_features(run, examples, device)):
        report = finetune(
            run.weights.folder,
            mine,
            validation=held_out,
            strategy=run.strategy,
            image_size=run.image_size,
            seed=run.seed,
            device=device,
            log_with=tracking,
            positive=(run.positive or examples.classes[-1]) if examples.task == "binary" else None,
            **run.options,
        )
    return {
        "rows": rows[held_out].tolist(),
        # Six digits: far below what one image changes, and half the size.
        "probabilities": np.round(report.probabilities.astype(np.float64), 6).tolist(),
        "history": report.history,
        "settings": report.settings,
        "train_images": len(run.split.train),
        **({} if report.site_probes is None else {"site_probes": report.to_dict()["site_probes"]}),
        **({} if report.stress is None else {"stress": _stress(report.stress)}),
    }


def _features(run: Run, examples: Examples, device: str | None) -> Features | None:
    """Return the features of all images, where the strategy begins with them."""
    if not STRATEGIES[run.strategy].features:
        return None
    key, truncate = (run.weights.sha256, run.fingerprint), run.options.get("truncate")
    return features_once(key, run.weights.folder, examples, run.image_size, truncate, device)


def _stress(stress: Stress) -> dict[str, Any]:
    """Return what a comparison says of a stress test: the area under damage, and the names of short cuts found."""
    area = None if stress.area is None else stress.area.value
    return {"area": area, "shortcuts": [one.name for one in stress.shortcuts if one.found]}
