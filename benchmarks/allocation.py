"""A training step with memory kept between layers (``medzoo.core.allocation``) beside the same step without, on a CPU.

    PYTHONPATH=. python benchmarks/allocation.py --image-size 64
    PYTHONPATH=. python benchmarks/allocation.py --image-size 224 --rounds 3

Both take turns in one process, round after round, each with some steps that are not measured (the first ones ask the
system for all the memory they need). Printed are milliseconds an image, by the clock and of processor time, the share
of the latter that the system takes, and the pages that it hands out, each the median of the steps.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import timm
import torch

from medzoo.core.allocation import kept_memory

WAYS: dict[str, Callable[[], AbstractContextManager[None]]] = {"given back": nullcontext, "kept": kept_memory}


def step(model: Any, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, ...]:
    """One step: seconds by the clock, of the processor in all and in the system, and pages."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return clock, after.ru_utime - before.ru_utime + system, system, after.ru_minflt - before.ru_minflt


def main() -> None:
    """Measure both ways in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="a round; the first two are not measured")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    model: Any = timm.create_model("densenet121", num_classes=4).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4, fused=True)
    images = torch.randn(options.batch_size, 3, options.image_size, options.image_size)
    labels = torch.arange(options.batch_size) % 4
    found: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, context in WAYS.items():
            with context():
                found[way] += [step(model, optimizer, images, labels) for _ in range(options.steps)][2:]
    threads = torch.get_num_threads()
    print(f"densenet121, {options.image_size} px, batch {options.batch_size}, {threads} threads; an image:")
    for way, steps in found.items():
        clock, processor, system, pages = (statistics.median(column) for column in zip(*steps, strict=True))
        each = 1000 / options.batch_size
        print(
            f"  {way:12}{clock * each:8.1f} ms by the clock{processor * each:8.1f} ms of processor time, "
            f"{system / processor:4.0%} of it the system's;{pages / options.batch_size:9,.0f} pages"
        )


if __name__ == "__main__":
    main()
