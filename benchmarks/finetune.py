"""Fine-tuning from image files to a measured model: ``medzoo.finetune`` beside the plain loop, and the linear probe.

    PYTHONPATH=. python benchmarks/finetune.py --weights BUNDLE --source png1024 --image-size 224
    PYTHONPATH=. python benchmarks/finetune.py --weights BUNDLE --source jpeg3888 --image-size 64 --seeds 3
    PYTHONPATH=. python benchmarks/finetune.py --weights BUNDLE --source MY_FOLDER --device cuda

Three ways take turns, seed after seed, on the same files, epochs and batch size; the first to go changes with the seed:

a  ``medzoo.finetune(BUNDLE, folder, head="linear")``: the public call, from its first line to its report, the
   bootstrap intervals of all metrics included;
b  the plain way: torchvision's ImageFolder, Resize, RandomCrop, flip, a DataLoader with a worker for each core (kept
   alive between epochs), timm's network from the same file, AdamW with a cosine schedule; on a GPU channels_last, bf16,
   pinned memory and cuDNN's search for the fastest kernels;
c  ``medzoo.finetune(..., strategy="linear_probe")``.

(a) and (b) measure the held-out fifth after every epoch. The images are drawn tissue of four kinds in ``train`` and
``val`` folders, made anew in a temporary folder: ``png1024`` 1024x1024 PNG, every second one grey, ``jpeg3888``
3888x2592 JPEG; or they are a FOLDER of one's own with the same two folders. Without ``--weights`` the network begins
with random values, which is as fast and says nothing about accuracy.

Seconds are given by the clock and of processor time, that of the DataLoader's workers included; the latter is the
better guide on a CPU that other programs use too, and says nothing about a GPU. A few small images are trained on
first, unmeasured: this imports what is imported late, and reads the weights' file.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

import medzoo
from medzoo.core.atomic import write_json
from medzoo.data.input_spec import IMAGENET_MEAN, IMAGENET_STD
from medzoo.engine.devices import best_device
from medzoo.engine.runtime import seeded, tuned_kernels
from medzoo.models.saving import config_of, save_model
from medzoo.zoo.bundle import CONFIG
from training.standins.drawing import draw_tissue
from training.standins.layout import generator

LR, DECAY = 3e-4, 0.01  # medzoo.finetune's defaults, for both
KINDS = ("fibroadenoma", "phyllodes_tumor", "ductal_carcinoma", "papillary_carcinoma")
SIZES = {"png1024": (1024, 1024), "jpeg3888": (2592, 3888)}
ENLARGED = 8  # tissue is drawn small and enlarged, as drawing takes longer than anything that is measured


def draw(number: int, source: str, noise: NDArray[np.int8], target: Path) -> None:
    """Write one drawing, with a sensor's noise: enlarged pictures alone compress too well."""
    height, width = SIZES[source]
    small = (height // ENLARGED, width // ENLARGED)
    own = generator("finetune", number)
    tissue = draw_tissue(own, own, KINDS[number % len(KINDS)], small, zoom=small[0] / 250)
    large = Image.fromarray(tissue).resize((width, height), Image.Resampling.BICUBIC)
    moved = np.roll(noise, int(own.integers(noise.size)))
    picture = Image.fromarray((np.asarray(large).astype(np.int16) + moved).clip(0, 255).astype(np.uint8))
    target.parent.mkdir(parents=True, exist_ok=True)
    if source == "jpeg3888":
        picture.save(target.with_suffix(".jpg"), quality=90)
    else:
        grey = number // len(KINDS) % 2  # of every kind alike
        picture.convert("L" if grey else "RGB").save(target.with_suffix(".png"), compress_level=6)


def draw_all(source: str, count: int, folder: Path) -> None:
    """Write a data set: every fifth image of a kind is held out."""
    noise = np.random.default_rng(0).normal(0, 2, (*SIZES[source], 3)).round().astype(np.int8)
    jobs = []
    for number in range(count):
        side = "val" if number // len(KINDS) % 5 == 4 else "train"
        target = folder / side / KINDS[number % len(KINDS)] / f"{number:05}"
        jobs.append(joblib.delayed(draw)(number, source, noise, target))
    joblib.Parallel(n_jobs=joblib.cpu_count(), prefer="threads")(jobs)


def random_bundle(folder: Path) -> Path:
    """A bundle without training."""
    folder.mkdir()
    model = medzoo.create_model("densenet121_all_in", pretrained=False)
    save_model(model, folder)
    write_json(folder / CONFIG, config_of(model, {"name": "random", "task": "multiclass"}))
    return folder


@dataclass(frozen=True)
class Setting:
    """What all ways have in common."""

    bundle: Path
    folder: Path
    epochs: int
    batch_size: int
    image_size: int
    device: torch.device


def ours(setting: Setting, seed: int, strategy: str) -> float:
    """(a) and (c): one call; gives the accuracy on the held-out images."""
    report = medzoo.finetune(
        setting.bundle,
        setting.folder,
        strategy=strategy,
        head="linear",
        epochs=setting.epochs,
        batch_size=setting.batch_size,
        lr=LR,
        weight_decay=DECAY,
        image_size=setting.image_size,
        seed=seed,
        device=str(setting.device),
    )
    accuracy = report.metrics["accuracy"].value
    assert accuracy is not None
    return accuracy


def loader(setting: Setting, images: ImageFolder, training: bool) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of one side of the data set, as the tutorials have them."""
    return DataLoader(
        images,
        setting.batch_size,
        shuffle=training,
        drop_last=training,
        num_workers=joblib.cpu_count(),
        pin_memory=setting.device.type == "cuda",
        persistent_workers=True,
    )


def plain(setting: Setting, seed: int) -> float:
    """(b): the loop of the tutorials; gives the accuracy on the held-out images."""
    size, device, cuda = setting.image_size, setting.device, setting.device.type == "cuda"
    layout = torch.channels_last if cuda else torch.contiguous_format
    ready = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    shrunk = transforms.Resize(round(size * 8 / 7))  # 256 for 224
    varied = transforms.Compose([shrunk, transforms.RandomCrop(size), transforms.RandomHorizontalFlip(), *ready])
    exact = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), *ready])
    seen, held_out = (ImageFolder(str(setting.folder / side), how) for side, how in (("train", varied), ("val", exact)))
    training, valid = loader(setting, seen, training=True), loader(setting, held_out, training=False)

    def passed(of: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in of:
            sent = images.to(device, non_blocking=True, memory_format=layout)
            with torch.autocast("cuda", torch.bfloat16, enabled=cuda):
                logits = model(sent)
            yield logits.float(), labels.to(device, non_blocking=True)

    with seeded(seed), tuned_kernels():
        model: Any = timm.create_model(f"local-dir:{setting.bundle}", pretrained=True, num_classes=len(seen.classes))
        model.to(device, memory_format=layout)
        optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=DECAY)
        steps = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, setting.epochs * len(training))
        loss_of, right = nn.CrossEntropyLoss(), 0
        for _ in range(setting.epochs):
            model.train()
            for logits, labels in passed(training):
                optimizer.zero_grad()
                loss_of(logits, labels).backward()
                optimizer.step()
                steps.step()
            model.eval()
            with torch.inference_mode():
                right = sum(int((logits.argmax(1) == labels).sum()) for logits, labels in passed(valid))
    return right / len(held_out)


@dataclass
class Found:
    """What one way took, seed by seed."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time that goes by."""
        began, used = time.perf_counter(), processor_time()
        yield
        self.clock.append(time.perf_counter() - began)
        self.processor.append(processor_time() - used)


def processor_time() -> float:
    """Seconds of processor time of this process, all its threads and all its children that have ended."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


WAYS: dict[str, Callable[[Setting, int], float]] = {
    "a medzoo": partial(ours, strategy="full"),
    "b plain": plain,
    "c linear probe": partial(ours, strategy="linear_probe"),
}


def warm_up(setting: Setting) -> None:
    """What happens once in a process: imports, the first look at the weights' file, the GPU's start."""
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    for strategy in ("full", "linear_probe"):
        medzoo.finetune(
            setting.bundle,
            (images, [0, 1] * 10),
            strategy=strategy,
            epochs=1,
            image_size=32,
            device=str(setting.device),
        )


def measure(setting: Setting, seeds: int) -> dict[str, Found]:
    """Every way once a seed; each begins one round in three."""
    found = {way: Found() for way in WAYS}
    names = list(WAYS)
    for seed in range(seeds):
        turn = seed % len(names)
        for way in (*names[turn:], *names[:turn]):
            with found[way].timed():
                accuracy = WAYS[way](setting, seed)  # both read their results back, so a GPU has ended too
            one = found[way]
            one.accuracy.append(accuracy)
            took = f"{one.clock[-1]:.1f} s, {one.processor[-1]:.1f} s of processor time"
            print(f"  seed {seed}, {way}: {took}, accuracy {accuracy:.3f}", flush=True)
    return found


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median of the seeds' ratios."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def report(setting: Setting, found: dict[str, Found], what: str) -> None:
    """Print seconds, accuracies and ratios."""
    cuda = setting.device.type == "cuda"
    where = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"{what}; {setting.epochs} epochs, {setting.image_size} px, batch {setting.batch_size}; {where}, "
        f"{joblib.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {len(found['b plain'].clock)} seeds"
    )
    print(f"  {'':16}{'clock, s':>12}{'processor, s':>14}   held-out accuracy")
    for way, one in found.items():
        accuracies = " ".join(f"{accuracy:.3f}" for accuracy in one.accuracy)
        print(
            f"  {way:16}{statistics.median(one.clock):12.1f}{statistics.median(one.processor):14.1f}   "
            f"{statistics.mean(one.accuracy):.3f} ({accuracies})"
        )
    for slow, fast in (("b plain", "a medzoo"), ("a medzoo", "c linear probe")):
        clock = ratio(found[slow].clock, found[fast].clock)
        processor = ratio(found[slow].processor, found[fast].processor)
        print(f"  {slow[0]}/{fast[0]} {clock:.2f} by the clock, {processor:.2f} by processor time")


def main() -> None:
    """Draw, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="png1024", help="png1024, jpeg3888 or a folder with train and val")
    parser.add_argument("--images", type=int, default=300, help="drawings, a fifth of which is held out")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", help="cpu or cuda; default a GPU where there is one")
    parser.add_argument("--weights", type=Path, help="a bundle's folder; default a random network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        bundle = (options.weights or random_bundle(Path(top) / "random")).resolve()
        folder = Path(options.source) if options.source not in SIZES else Path(top) / "images"
        if options.source in SIZES:
            draw_all(options.source, options.images, folder)
        device = best_device(options.device)
        setting = Setting(bundle, folder, options.epochs, options.batch_size, options.image_size, device)
        files = [file for file in folder.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files) / len(files) / 1e6
        warm_up(setting)
        found = measure(setting, options.seeds)
    report(setting, found, f"{len(files)} images of {options.source} ({size:.1f} MB a file)")


if __name__ == "__main__":
    main()
