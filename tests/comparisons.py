"""Comparisons as a run would leave them, with predictions drawn at random instead of learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medzoo.comparison.dataset_labels import DatasetLabels
from medzoo.comparison.protocol import Fold, Protocol
from medzoo.comparison.result import ComparisonResult
from medzoo.comparison.runs import DONE, FAILED
from medzoo.metrics.scores import TASK_METRICS

EPOCHS = 4


def labelled(name: str = "drawn", task: str = "binary", classes: int = 2, images: int = 60) -> DatasetLabels:
    """Labels of a data set; two images a patient."""
    label = np.arange(images) // 2 % classes
    targets = np.eye(classes, dtype=np.float32)[label]
    groups = np.array([f"patient:{i // 2}" for i in range(images)])
    ids = tuple(f"{i:03d}.png" for i in range(images))
    return DatasetLabels(name, task, tuple(f"class {c}" for c in range(classes)), ids, targets, groups, True)


def comparison(
    data: DatasetLabels,
    skill: Mapping[str, float],
    protocol: Protocol | None = None,
    *,
    strategies: Sequence[str] = ("full",),
    failing: str = "",
    baseline: str | None = None,
    weights: Mapping[str, str] | None = None,
) -> ComparisonResult:
    """What a comparison returns.

    Args:
        data: Its labels.
        skill: How much each start knows: 0 guesses, 3 is nearly always right.
        protocol: Default 3 folds.
        strategies: How they were fine-tuned; the first as skilled as told, each other a little less.
        failing: A start whose run on the first fold failed.
        baseline: Default the first start.
        weights: The weight of each start; default its name.
    """
    records = []
    for split in (protocol or Protocol(folds=3)).splits(data.targets, data.groups):
        for place, strategy in enumerate(strategies):
            for number, (arm, knows) in enumerate(skill.items()):
                record = {
                    "schema": 1,
                    "kind": "cell",
                    "id": f"{split.repeat}{split.fold}{split.fraction:g}{strategy}{arm}",
                    "medzoo": "0.0.1",
                    "arm": arm,
                    "weight": (weights or {}).get(arm, arm),
                    "sha256": f"{number:064x}",
                    "strategy": strategy,
                    "scheme": "3 folds",
                    "repeat": split.repeat,
                    "fold": split.fold,
                    "fraction": split.fraction,
                    "image_size": 32,
                    "options": {"epochs": EPOCHS, "lr": 0.001},
                }
                if arm == failing and split.fold == 0:
                    records.append({**record, "status": FAILED, "error": "the GPU fell off", "detail": ""})
                else:
                    seed = [split.repeat, split.fold, number, place]
                    records.append({**record, **_done(data, split, knows * split.fraction**0.3 - 0.3 * place, seed)})
    return ComparisonResult(data, records, baseline or next(iter(skill)))


def _done(data: DatasetLabels, split: Fold, skill: float, seed: list[int]) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    targets = data.targets[split.test]
    found = _softmax(rng.normal(size=targets.shape) + skill * targets)
    right = float((found.argmax(1) == targets.argmax(1)).mean())
    # The way there is made up: every metric is the accuracy, on its way to what it is in the end.
    history = [
        {
            "epoch": epoch,
            "loss": 1 / (epoch + 5 + skill),
            "valid": dict.fromkeys(TASK_METRICS[data.task].overall, right * (1 - 0.5**epoch)),
        }
        for epoch in range(1, EPOCHS + 1)
    ]
    return {
        "status": DONE,
        "rows": split.test.tolist(),
        "probabilities": np.round(found, 6).tolist(),
        "history": history,
        "settings": {},
        "train_images": len(split.train),
        "seconds": 1.5,
    }


def _softmax(values: np.ndarray) -> np.ndarray:
    found = np.exp(values)
    return found / found.sum(1, keepdims=True)
