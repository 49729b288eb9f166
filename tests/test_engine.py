"""The loop gives back the user's own model, and chunks change nothing but what is normalised together."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

from medzoo.augment import AUGMENTS
from medzoo.batches import Part, Pool
from medzoo.engine import fit
from medzoo.execution import Execution, Statistics, seeded
from medzoo.inputs import InputContract
from medzoo.losses import make_loss
from medzoo.plan import Plan
from medzoo.sampling import Sampler

TOP = Path(__file__).resolve().parents[1]


def pool(count: int = 24) -> Pool:
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Pool([Part(images, AUGMENTS["efi"])], InputContract(32))


def network(arch: str = "test_resnet") -> nn.Module:
    with seeded(0):
        return timm.create_model(arch, num_classes=3)


def trained(model: nn.Module, execution: Execution | None = None, **changes: object) -> list[dict]:
    settings = {"epochs": 2, "batch_size": 8, "lr": 1e-3, "weight_decay": 0.01} | changes
    plan = Plan(**settings)  # type: ignore[arg-type]
    targets = torch.eye(3)[torch.arange(24) % 3]
    sampler = Sampler([torch.arange(24)], plan.batch_size, seed=0)
    return fit(model, pool(), targets, sampler, make_loss("multiclass"), plan, execution=execution or Execution("cpu"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_model_comes_back_as_it_was_but_for_its_values(precision: str) -> None:
    model = network()
    before = {key: (value.stride(), value.dtype) for key, value in model.state_dict().items()}
    names = set(vars(model))
    trained(model, Execution("cpu", precision))
    assert {key: (value.stride(), value.dtype) for key, value in model.state_dict().items()} == before
    assert set(vars(model)) == names, "something was put around the model"
    assert not any("forward" in vars(module) for module in model.modules())


def test_chunks_of_a_network_without_batch_statistics_give_the_whole_batchs_step() -> None:
    whole, parts = network("test_vit"), network("test_vit")
    one, two = trained(whole), trained(parts, chunk=2)
    assert two[-1]["loss"] == pytest.approx(one[-1]["loss"], rel=1e-4)
    for (key, value), other in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        torch.testing.assert_close(other, value, rtol=1e-3, atol=2e-5, msg=lambda text, key=key: f"{key}: {text}")


def test_statistics_are_the_mean_of_what_each_chunk_makes_of_them() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean.copy_(torch.tensor([1.0, -2.0, 3.0]))  # type: ignore[union-attr, operator]
    chunks = [torch.randn(size, 3, 4, 4, generator=torch.Generator().manual_seed(size)) for size in (5, 3)]
    statistics = Statistics(norm, Execution("cpu").accelerator())
    for _ in range(2):  # the second step begins where the first ended
        before = copy.deepcopy(norm)
        statistics.begin()
        for chunk in chunks:
            norm(chunk)
            statistics.take(len(chunk) / 8)
        statistics.end()
        want = []
        for chunk in chunks:
            one = copy.deepcopy(before)
            one(chunk)
            want.append(one)
        for name in ("running_mean", "running_var"):
            mean = getattr(want[0], name) * 5 / 8 + getattr(want[1], name) * 3 / 8
            torch.testing.assert_close(getattr(norm, name), mean)
    assert norm.num_batches_tracked == 2


@pytest.mark.slow
def test_the_benchmark_runs_and_prints_its_ratios() -> None:
    """From its documented command, on a tiny network."""
    small = {
        "--arch": "test_resnet",
        "--image-size": 32,
        "--batch-size": 8,
        "--chunk": 4,
        "--images": 16,
        "--rounds": 1,
    }
    words = [str(word) for pair in small.items() for word in pair]
    done = subprocess.run(
        [sys.executable, "benchmarks/pretrain.py", *words],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for part in ("a medzoo", "b ceiling", "c plain", "a/b", "a/c", "bound"):
        assert part in done.stdout
