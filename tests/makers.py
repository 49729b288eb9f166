"""Tiny bundles, zoos and pictures for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from medzoo.core.atomic import write_json, write_text
from medzoo.data.input_spec import InputContract
from medzoo.engine.loop import seeded
from medzoo.metrics import primary
from medzoo.models.create import create_model
from medzoo.models.info import Model, ModelInfo
from medzoo.models.saving import config_of, save_model
from medzoo.zoo.bundle import CARD, CONFIG, RUN
from medzoo.zoo.pins import Pin, pins_text
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import find
from training.datasets import DATASETS, DataSet
from training.pretraining.imagenet import import_imagenet
from training.pretraining.recipes import RECIPES
from training.publishing.card import card
from training.publishing.publish import publish

# What each class looks like; far enough apart for a tiny network to learn in a few steps.
COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


def save_bundle(folder: Path, arch: str, labels: tuple[str, ...], task: str, seed: int = 0) -> Path:
    """Write a bundle of a random network of any timm architecture."""
    with seeded(seed):
        model: Model = timm.create_model(arch, pretrained=False, num_classes=len(labels))
    model.medzoo = ModelInfo(folder.name, arch, InputContract(size=32), labels, task)
    folder.mkdir(parents=True)
    save_model(model, folder)
    write_json(folder / CONFIG, config_of(model, {"name": folder.name, "task": task}))
    return folder


def run_record(name: str) -> dict[str, Any]:
    """The run record of a pretraining of one epoch."""
    source, recipe = SOURCES[str(find(name).source)], RECIPES["paper"]
    values = {member: {primary(SOURCES[member].task): 0.1, "labels": {}, "left_out": []} for member in source.members}
    return {
        **{"schema": 1, "kind": "pretrain", "name": name, "medzoo": "0", "image_size": 32, "seed": 0, "seconds": 1.0},
        **{"reduced": ["a test"], "licence": "none", "environment": {"packages": {}}},
        "recipe": asdict(replace(recipe, plan=replace(recipe.plan, epochs=1))),
        "data": [_part(DATASETS[data]) for data in source.datasets],
        "history": [{"epoch": 1, "loss": 0.5, "valid": values}],
    }


def _part(data: DataSet) -> dict[str, Any]:
    side = {"images": 10, "patients": None, "counts": dict.fromkeys(data.classes, 1)}
    return {
        **{"name": data.name, "source": data.area, "images": 20, "of": data.total, "rejected": [], "notes": []},
        **{"split": "by image", "train": side, "valid": side, "terms": data.terms, "fingerprint": "0"},
    }


def make_run(name: str, work: Path, seed: int = 1) -> Path:
    """Write a complete run of a weight with random values, and return its folder."""
    entry = find(name)
    source, run = SOURCES[str(entry.source)], work / "runs" / name
    with seeded(seed):
        model = create_model(name, pretrained=False, image_size=32)
    contract = InputContract(size=32, crop=source.crop)
    model.medzoo = ModelInfo(name, entry.arch, contract, entry.labels, source.task)
    (run / "bundle").mkdir(parents=True)
    save_model(model, run / "bundle")
    info = {"name": name, "version": "0", "init": entry.init, "source": entry.source, "task": source.task}
    write_json(run / "bundle" / CONFIG, config_of(model, info))
    record = run_record(name)
    write_json(run / "bundle" / RUN, record)
    write_text(run / "bundle" / CARD, card(entry, record))
    write_json(run / RUN, record)
    return run


def publish_random(work: Path) -> Path:
    """Publish a random ``densenet121_efi_ri`` and an "ImageNet" baseline, and return the zoo."""
    zoo, name = work / "zoo", "densenet121_efi_ri"
    make_run(name, work)
    publish(name, work, zoo)
    with seeded(1):
        baseline = timm.create_model("densenet121", pretrained=False)
    save_file(baseline.state_dict(), work / "imagenet.safetensors")
    import_imagenet(work / "imagenet.safetensors", work)
    publish("densenet121_in", work, zoo)
    return zoo


def pictures(classes: Sequence[str], each: int, seed: int = 0, size: int = 40) -> tuple[list[NDArray[np.uint8]], list]:
    """Noisy pictures of ``COLOURS`` and their labels, class by class."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for name in classes:
        for _ in range(each):
            noise = rng.integers(-50, 50, (size, size, 3))
            images.append(np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8))
            labels.append(name)
    return images, labels


def class_folders(root: Path, classes: Sequence[str] = ("green", "red"), each: int = 10, seed: int = 0) -> Path:
    """Write pictures into a folder of class folders."""
    for number, (image, label) in enumerate(zip(*pictures(classes, each, seed), strict=True)):
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / label / f"{number:03}.png")
    return root


def noise(count: int, size: int = 32) -> torch.Tensor:
    """A batch of normalised nonsense."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def write_pins(path: Path, pins: Mapping[str, Pin]) -> None:
    """Write a table of pins: a folder zoo's ``index.json``, or the package's own."""
    path.write_text(pins_text(pins), encoding="utf-8")
