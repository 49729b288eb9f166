"""Loading from a warm cache: ``medzoo.create_model`` beside ``timm.create_model("local-dir:...")``, taking turns.

Both make the same network from the same file: a random DenseNet-121 as a published weight in a folder zoo, its hash
remembered from an earlier load. Once as it is, once with a new linear classifier of 4 classes.

    PYTHONPATH=. python benchmarks/load.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch

from medzoo import create_model
from medzoo.core.atomic import write_json
from medzoo.models.saving import config_of, save_model
from medzoo.zoo.bundle import CONFIG
from medzoo.zoo.pins import INDEX
from medzoo.zoo.verify import sha256_of

NAME = "densenet121_all_in"


def folder_zoo(top: Path) -> Path:
    """A zoo that holds one random weight."""
    bundle = top / NAME
    bundle.mkdir()
    model = create_model(NAME, pretrained=False)
    save_model(model, bundle)
    write_json(bundle / CONFIG, config_of(model, {"name": NAME, "task": "multilabel"}))
    file = bundle / "model.safetensors"
    pin = {"sha256": sha256_of(file), "bytes": file.stat().st_size}
    write_json(top / INDEX, {"schema": 1, "weights": {NAME: pin}})
    return top


def measure(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds by the clock and of processor time, every way once a round."""
    clock: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # what is read or imported once only
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            began, used = time.perf_counter(), time.process_time()
            way()
            clock[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - used)
    return {name: (statistics.median(clock[name]), statistics.median(processor[name])) for name in ways}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as top:
        os.environ["MEDZOO_CACHE"] = str(Path(top) / "cache")
        (Path(top) / "zoo").mkdir()
        zoo = folder_zoo(Path(top) / "zoo")
        place = f"local-dir:{zoo / NAME}"
        found = measure(
            {
                "timm": lambda: timm.create_model(place, pretrained=True),
                "medzoo": lambda: create_model(NAME, zoo=zoo),
                "timm, 4 classes": lambda: timm.create_model(place, pretrained=True, num_classes=4),
                "medzoo, 4 classes": lambda: create_model(NAME, zoo=zoo, num_classes=4, head="linear"),
                "medzoo, 4 classes, mlp": lambda: create_model(NAME, zoo=zoo, num_classes=4),
            },
            rounds,
        )
    print(f"{'':<24}{'clock, ms':>10}{'processor, ms':>15}   medians of {rounds}")
    for name, (clock, processor) in found.items():
        print(f"{name:<24}{1000 * clock:>10.0f}{1000 * processor:>15.0f}")
    for pair in ("", ", 4 classes"):
        ratio = [ours / theirs for ours, theirs in zip(found[f"medzoo{pair}"], found[f"timm{pair}"], strict=True)]
        print(f"medzoo / timm{pair}: {ratio[0]:.2f} by the clock, {ratio[1]:.2f} of processor time")


if __name__ == "__main__":
    main()
