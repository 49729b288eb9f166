"""Pretraining: our loop from the cache, the same network alone, and the plain way from image files.

    PYTHONPATH=. python benchmarks/pretrain.py --device cuda --image-size 224 --batch-size 256 --compile
    PYTHONPATH=. python benchmarks/pretrain.py --image-size 64 --batch-size 32 --images 256 --rounds 5

Three ways in turn, round after round, medians of all rounds but the first; images/s by the clock, and on a CPU by
processor time too (which other programs disturb less):

a  medzoo.engine.loop.fit over a Pool of uint8 images with augmentation: what ``python -m training pretrain`` runs;
b  the ceiling: the same network, optimiser, precision and chunks on one random batch that lies on the device;
c  the plain way, as torchvision's and timm's reference scripts: a folder of image files already of the right size,
   a DataLoader with a worker for each core, RandomResizedCrop, flip, channels_last, AMP on a GPU, AdamW.

The memory bound: the bytes that convolution, normalisation, ReLU and pooling layers read and write in a forward pass
(each layer's input and output once, by hooks), times 3 for the backward pass (it reads both again and writes the
input's gradient), divided by the bandwidth of a large copy in this run. Concatenations and weights are not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from medzoo.data.input_spec import IMAGENET_MEAN, IMAGENET_STD, InputContract
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.devices import best_device
from medzoo.engine.loader import ImageArray, Loader
from medzoo.engine.loop import fit, make_optimizer
from medzoo.engine.losses import make_loss
from medzoo.engine.runtime import Execution, flush_denormals, tuned_kernels
from medzoo.engine.sampling import Sampler
from medzoo.engine.schedule import TrainingConfig

CLASSES = 5
LAYERS = (nn.Conv2d, nn.modules.batchnorm._BatchNorm, nn.ReLU, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)


@dataclass
class Setting:
    """What all three ways have in common."""

    options: argparse.Namespace
    device: torch.device
    dtype: torch.dtype
    plan: TrainingConfig

    def network(self) -> nn.Module:
        """A fresh network on the device."""
        model: Any = timm.create_model(self.options.arch, num_classes=CLASSES).train()
        return model.to(self.device, memory_format=torch.channels_last)

    def autocast(self) -> torch.autocast:
        """Mixed precision where (a) has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def compiled(self, model: nn.Module) -> Any:
        """The network as (a) runs it."""
        return torch.compile(model, dynamic=False) if self.options.compile else model


@dataclass
class Timer:
    """Images a second of one way, round by round."""

    device: torch.device
    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: int = 0

    def measure(self, run: Callable[[], int]) -> None:
        """Time a run that says how many images it trained on."""
        self.begin()
        self.end(run())

    def begin(self) -> None:
        """Start the clocks."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._clock, self._processor = time.perf_counter(), time.process_time()

    def end(self, images: int) -> None:
        """Stop them."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            self.memory = max(self.memory, torch.cuda.max_memory_allocated())
        self.clock.append(images / (time.perf_counter() - self._clock))
        self.processor.append(images / (time.process_time() - self._processor))


def textures(count: int, size: int) -> NDArray[np.uint8]:
    """Cloudy pictures: about as hard to compress as photographs."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.normal(128, 50, (count, 3, 8, 8)).astype(np.float32))
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic").numpy()
    return (smooth + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1).copy()


def ours(setting: Setting, images: NDArray[np.uint8], timer: Timer, others: Callable[[], None]) -> None:
    """(a): one call of ``fit``, an epoch a round, the other ways between the epochs."""
    options, size = setting.options, setting.options.image_size
    loader = Loader([ImageArray(images, AUGMENTS[options.augment])], InputContract(size), setting.device)
    targets = torch.eye(CLASSES)[torch.arange(len(images)) % CLASSES]

    def after_epoch(record: dict[str, Any]) -> None:
        timer.end(len(images))
        others()
        timer.begin()

    timer.begin()
    fit(
        setting.network(),
        loader,
        targets,
        Sampler([torch.arange(len(images))], setting.plan.batch_size, seed=0),
        make_loss("multiclass"),
        setting.plan,
        execution=Execution(
            str(setting.device), "bf16" if setting.dtype == torch.bfloat16 else "fp32", options.compile
        ),
        after_epoch=after_epoch,
    )


def ceiling(setting: Setting, count: int) -> Callable[[], int]:
    """(b): steps on one random batch that never leaves the device."""
    model, plan = setting.network(), setting.plan
    net, optimizer, loss_of = setting.compiled(model), make_optimizer(model, plan), make_loss("multiclass")
    steps = len(Sampler([torch.arange(count)], plan.batch_size, seed=0))
    size = setting.options.image_size
    chunk = count // steps // plan.chunks
    images = torch.randn(chunk, 3, size, size, device=setting.device)
    images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.eye(CLASSES, device=setting.device)[torch.arange(chunk, device=setting.device) % CLASSES]
    weights = torch.ones(chunk, device=setting.device)

    def run() -> int:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            for _ in range(plan.chunks):
                with setting.autocast():
                    logits = net(images)
                (loss_of(logits.float(), targets, weights) / plan.chunks).backward()
            optimizer.step()
        return steps * plan.chunks * chunk

    return run


def plain(setting: Setting, folder: Path) -> Callable[[], int]:
    """(c): image files, a DataLoader and a loop, as the reference scripts have them."""
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(setting.options.image_size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    cuda = setting.device.type == "cuda"
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        ImageFolder(str(folder), transform),
        setting.plan.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=len(os.sched_getaffinity(0)),
        pin_memory=cuda,
        persistent_workers=True,
    )
    model = setting.network()
    optimizer, loss_of = torch.optim.AdamW(model.parameters(), setting.plan.lr), nn.CrossEntropyLoss()

    def run() -> int:
        count = 0
        for images, labels in loader:
            images, labels = images.to(setting.device, non_blocking=True), labels.to(setting.device, non_blocking=True)
            images = images.contiguous(memory_format=torch.channels_last)
            with setting.autocast():
                loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            count += len(images)
        return count

    return run


def write_files(images: NDArray[np.uint8], folder: Path) -> None:
    """The same images as JPEG files in class folders."""
    for number, image in enumerate(images):
        path = folder / str(number % CLASSES) / f"{number:06}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path, quality=90)


def bytes_moved(setting: Setting) -> float:
    """Bytes that an image's forward and backward pass move through memory, counted as the first lines say."""
    model, size, values = setting.network(), setting.options.image_size, 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal values
        values += inputs[0].numel() + output.numel()

    for module in model.modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(count)
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 3, size, size, device=setting.device))
    return 3.0 * values * setting.dtype.itemsize


def bandwidth(device: torch.device) -> float:
    """Bytes a second of a large copy, read and written."""
    source = torch.ones(2**28 if device.type == "cuda" else 2**25, device=device)
    target, rates = torch.empty_like(source), []
    for _ in range(10):
        timer = Timer(device)
        timer.measure(lambda: target.copy_(source).nbytes * 2)
        rates += timer.clock
    return statistics.median(rates)


def _ratio(mine: list[float], other: list[float]) -> float:
    """Median of the rounds' ratios, without the first round."""
    return statistics.median(a / b for a, b in zip(mine[1:], other[1:], strict=True))


def report(setting: Setting, timers: dict[str, Timer]) -> None:
    """Print medians, ratios, memory and the share of the bound."""
    by_clock = {way: statistics.median(timer.clock[1:]) for way, timer in timers.items()}
    by_processor = {way: statistics.median(timer.processor[1:]) for way, timer in timers.items()}
    cuda, options = setting.device.type == "cuda", setting.options
    where = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"{options.arch}, {options.image_size} px, batch {setting.plan.batch_size} in {setting.plan.chunks} chunks, "
        f"{str(setting.dtype).removeprefix('torch.')}{', compiled' if options.compile else ''}; {where}; "
        f"load {os.getloadavg()[0]:.1f}; rounds {options.rounds}"
    )
    for way, timer in timers.items():
        cpu = "" if cuda else f"{by_processor[way]:10.2f} by processor time"
        memory = f"{timer.memory / 2**30:8.2f} GiB at most" if cuda else ""
        rounds = " ".join(f"{rate:.1f}" for rate in timer.clock[1:])
        print(f"  {way:14}{by_clock[way]:10.2f} images/s{cpu}{memory}   ({rounds})")
    for way, name in (("b ceiling", "a/b"), ("c plain", "a/c")):
        mine, other = timers["a medzoo"], timers[way]
        text = f"  {name} {_ratio(mine.clock, other.clock):.3f} by the clock"
        # The plain way's workers are processes of their own, whose time does not show.
        if not cuda and name == "a/b":
            text += f", {_ratio(mine.processor, other.processor):.3f} by processor time"
        print(text)
    moved, rate = bytes_moved(setting), bandwidth(setting.device)
    print(
        f"  {moved / 1e6:.1f} MB an image, copy at {rate / 1e9:.1f} GB/s: bound {rate / moved:,.0f} images/s; "
        f"a reaches {by_clock['a medzoo'] * moved / rate:.2f} of it"
    )


def main() -> None:
    """Measure the three ways in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", help="cpu or cuda; default a GPU where there is one")
    parser.add_argument("--arch", default="densenet121")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--chunk", type=int, help="images normalised together; default the whole batch")
    parser.add_argument("--images", type=int, help="default 8 batches on a CPU, 64 on a GPU")
    parser.add_argument("--rounds", type=int, default=5, help="without the first, which warms up")
    parser.add_argument("--augment", default="efi", choices=sorted(AUGMENTS))
    parser.add_argument("--fp32", action="store_true", help="also on a GPU that has bf16")
    parser.add_argument("--compile", action="store_true", help="(a) and (b) compiled")
    options = parser.parse_args()
    device = best_device(options.device)
    cuda = device.type == "cuda"
    fast = cuda and torch.cuda.is_bf16_supported() and not options.fp32
    plan = TrainingConfig(options.rounds + 1, options.batch_size, 1e-3, 0.05, chunk=options.chunk)
    setting = Setting(options, device, torch.bfloat16 if fast else torch.float32, plan)
    images = textures(options.images or options.batch_size * (64 if cuda else 8), options.image_size)
    timers = {way: Timer(device) for way in ("a medzoo", "b ceiling", "c plain")}
    with tempfile.TemporaryDirectory() as folder, flush_denormals(), tuned_kernels():
        write_files(images, Path(folder))
        ways = {"b ceiling": ceiling(setting, len(images)), "c plain": plain(setting, Path(folder))}

        def others() -> None:
            for way, run in ways.items():
                timers[way].measure(run)

        ours(setting, images, timers["a medzoo"], others)
    report(setting, timers)


if __name__ == "__main__":
    main()
