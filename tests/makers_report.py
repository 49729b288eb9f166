"""Reports and findings with known numbers, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medzoo.data.dataset import Examples, ImageDataset
from medzoo.finetuning.report import Report
from medzoo.metrics import evaluate, primary
from medzoo.metrics.outcomes import make_outcomes
from medzoo.models.create import create_model
from medzoo.models.heads import set_head
from medzoo.reporting.findings import Findings

TASKS = {
    "binary": ("healthy", "ill"),
    "multiclass": ("low", "mid", "high"),
    "ordinal": ("0", "1", "2", "3"),
    "multilabel": ("Mass", "Edema", "Cardiomegaly", "Effusion", "Nodule"),
}


def _labels(task: str, n: int, classes: int, one_class: bool) -> np.ndarray:
    rng = np.random.default_rng(0)
    if task == "multilabel":
        hot = (rng.random((n, classes)) < 0.4).astype(np.float32)
        hot[rng.random((n, classes)) < 0.2] = np.nan
        return hot
    return np.eye(classes, dtype=np.float32)[np.zeros(n, int) if one_class else np.arange(n) % classes]


def _chances(targets: np.ndarray, task: str, wrong: int) -> np.ndarray:
    """Probabilities that are right but for the first ``wrong`` images."""
    rng = np.random.default_rng(1)
    truth = np.nan_to_num(targets).copy()
    truth[:wrong] = 1 - truth[:wrong] if task == "multilabel" else np.roll(truth[:wrong], 1, axis=1)
    if task == "multilabel":
        return (0.15 + 0.7 * truth + 0.1 * rng.random(truth.shape)).astype(np.float32)
    raw = 2.2 * truth + rng.random(truth.shape)
    return (np.exp(raw) / np.exp(raw).sum(1, keepdims=True)).astype(np.float32)


def examples(task: str, n: int, *, channels: int = 3, names: Any = None, one_class: bool = False) -> Examples:
    """Noise with labels; two images a patient."""
    classes = names or TASKS[task]
    images = np.random.default_rng(2).integers(0, 256, (n, 32, 32, channels), dtype=np.uint8)
    ids = tuple(f"ward/secret-{i:03}.png" for i in range(n))
    patients = np.array([f"p{i // 2}" for i in range(n)])
    return ImageDataset("lungs", images, ids, _labels(task, n, len(classes), one_class), classes, task, patients)


def findings(task: str, *, wrong: int = 8, epochs: int = 3, bootstrap: int = 50, **form: Any) -> Findings:
    """Findings on 60 images, all held out."""
    data = examples(task, 60, **form)
    chances = _chances(data.targets, task, wrong)
    metrics = evaluate(data.targets, chances, task, data.classes, bootstrap=bootstrap)
    outcomes = make_outcomes(data.targets, chances, task, data.classes)
    return Findings(
        "tiny on lungs",
        _history(task, epochs),
        primary(task),
        metrics,
        outcomes,
        data.images,
        np.flatnonzero(outcomes.kept),
        data.ids,
    )


def _history(task: str, epochs: int) -> list[dict[str, Any]]:
    return [
        {
            **{"epoch": e + 1, "loss": 1 / (e + 1), "valid": {primary(task): 0.5 + 0.1 * e, "accuracy": None}},
            **{"selection": {primary(task): 0.4 + 0.1 * e}, "kept": e == 1},
        }
        for e in range(epochs)
    ]


def report(tiny: Path, task: str, *, head: str = "linear", wrong: int = 8, epochs: int = 2, **form: Any) -> Report:
    """A report on 90 images, the last 60 of them held out, with an untrained head."""
    data = examples(task, 90, **form)
    held_out = np.arange(90) >= 30
    model = create_model(tiny)
    set_head(model, head, len(data.classes))
    model.medzoo = type(model.medzoo)(**{**vars(model.medzoo), "classes": data.classes, "task": task})
    chances = _chances(data.targets[held_out], task, wrong)
    return Report(
        model=model.eval(),
        metrics=evaluate(
            data.targets[held_out], chances, task, data.classes, groups=data.groups[held_out], bootstrap=50
        ),
        history=_history(task, epochs),
        primary=primary(task),
        probabilities=chances,
        examples=data,
        held_out=held_out,
        settings={"epochs": epochs, "lr": 3e-4, "device": "cpu", "class_weights": [1.0, 2.0]},
        data={
            "name": data.name,
            "task": task,
            "train": {"images": 30, "counts": data.counts(~held_out)},
            "selection": {"images": 7, "counts": dict.fromkeys(data.classes, 3)},
            "valid": {"images": 60, "counts": data.counts(held_out)},
            "split": "by patient",
            "notes": ["two images beside the folders are left out"],
        },
        seconds=3.0,
    )
