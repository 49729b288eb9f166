"""Fine-tune small sets with one option changed at a time, and keep each run's metrics; finished runs are not repeated.

``PYTHONPATH=. python docs/studies/2026-11-25-defaults/grid.py DATA WORK WORD...``, from the root of the repository. A
word is a bundle (the folder of pretrained weights), a target, or a number of training images (``100``, ``all``);
without a target or a number, all of them are run.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from make_table import BASE, RESULTS
from numpy.typing import NDArray

import medzoo
from medzoo.data.dataset import ImageDataset
from medzoo.data.splits import groups_of, holdout
from training.cache.load import prepared

TARGETS = ("covid19_radiography", "shenzhen", "crc_val_he_7k", "eyepacs")
SIZE = 64  # pixels
SPLITS = (0, 1, 2)  # seeds of the held-out fifth, the same for all options
# What seemed to matter first, and then the rest.
FIRST: tuple[dict[str, Any], ...] = (
    {},
    {"head": "linear"},
    {"head": "linear", "lr": 1e-3},
    {"lr": 1e-3},
    {"strategy": "linear_probe"},
    {"strategy": "lp_ft", "head": "linear"},
)
THEN: tuple[dict[str, Any], ...] = (
    {"strategy": "lp_ft", "head": "linear", "lr": 1e-3},
    {"epochs": 20},
    {"epochs": 20, "lr": 1e-3},
    {"epochs": 20, "head": "linear"},
    {"epochs": 20, "head": "linear", "lr": 1e-3},
    {"epochs": 5, "lr": 1e-3},
    {"lr": 1e-4},
    {"augment": "none", "head": "linear"},
)


def runs(bundles: list[Path], targets: list[str], sizes: list[int | None]) -> Iterator[dict[str, Any]]:
    """Yield every run, split by split: stopped at any time, each option has as many runs as the others."""
    for changes, split, size, target in itertools.product((FIRST, THEN), SPLITS, sizes, targets):
        for change in changes:
            for bundle in bundles:
                yield {"target": target, "weights": bundle.name, "n": size, "split": split, **BASE, **change}


def subset(data: ImageDataset[Any], split: int, size: int | None) -> tuple[ImageDataset[Any], NDArray[np.bool_]]:
    """Return the images of one run and which of them are held out: a fifth, and ``size`` of the others."""
    held_out = holdout(data.targets, groups_of(data.ids, data.patients), 0.2, split)
    order = sorted(np.flatnonzero(~held_out), key=lambda i: hashlib.sha256(f"{split}/{data.ids[i]}".encode()).digest())
    rows = np.sort(np.concatenate([np.flatnonzero(held_out), np.array(order[:size], int)]))
    return data.take(rows), held_out[rows]


def main(data: Path, work: Path, bundles: list[Path], targets: list[str], sizes: list[int | None]) -> None:
    """Run what is not in the results yet."""
    done = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    keys = [{k: v for k, v in record.items() if k not in ("metrics", "seconds", "trained")} for record in done]
    folders = {bundle.name: bundle for bundle in bundles}
    opened: dict[str, ImageDataset[Any]] = {}
    for run in runs(bundles, targets, sizes):
        target = run["target"]
        if target not in opened:
            cache, _ = prepared(target, data, work / "cache", size=SIZE, allow_partial=True)
            opened[target] = ImageDataset(
                target, cache.images, cache.ids, cache.targets, cache.classes, cache.task, cache.patients
            )
        examples, held_out = subset(opened[target], run["split"], run["n"])
        if run in keys or (run["n"] is not None and (~held_out).sum() < run["n"]):
            continue  # CRC-VAL-HE-7K has fewer than 100 images: all of them are its only size
        options = {k: run[k] for k in BASE}
        if run["strategy"] == "linear_probe":
            options = {"strategy": "linear_probe", "head": "linear"}
        started = time.perf_counter()
        report = medzoo.finetune(
            folders[run["weights"]], examples, validation=held_out, image_size=SIZE, seed=run["split"], **options
        )
        metrics = {name: report.metrics[name].value for name in ("auroc", "accuracy", report.primary)}
        record = {**run, "metrics": metrics, "trained": int((~held_out).sum())}
        record["seconds"] = round(time.perf_counter() - started, 1)
        with RESULTS.open("a") as file:
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    words = sys.argv[3:]
    chosen = [word for word in words if word in TARGETS]
    numbers = [word for word in words if word.isdigit() or word == "all"]
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        [Path(word) for word in words if word not in (*chosen, *numbers)],
        chosen or list(TARGETS),
        [None if word == "all" else int(word) for word in numbers or ["100", "all"]],
    )
