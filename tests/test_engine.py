"""The loop gives back the user's own model, and chunks change nothing but what is normalised together."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

from medzoo.core.errors import RunError
from medzoo.data.input_spec import InputContract
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.loader import ImageArray, Loader, forward_batches, predict_logits
from medzoo.engine.loop import fit
from medzoo.engine.losses import make_loss
from medzoo.engine.runtime import BatchNormStatistics, Execution, seeded
from medzoo.engine.sampling import Sampler
from medzoo.engine.schedule import TrainingConfig

TOP = Path(__file__).resolve().parents[1]


def loader(count: int = 24) -> Loader:
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Loader([ImageArray(images, AUGMENTS["efi"])], InputContract(32))


def network(arch: str = "test_resnet") -> nn.Module:
    with seeded(0):
        return timm.create_model(arch, num_classes=3)


def trained(
    model: nn.Module,
    execution: Execution | None = None,
    after_epoch: Callable[[dict], None] | None = None,
    lr_scales: dict[str, float] | None = None,
    **changes: object,
) -> list[dict]:
    settings = {"epochs": 2, "batch_size": 8, "lr": 1e-3, "weight_decay": 0.01} | changes
    plan = TrainingConfig(**settings)  # type: ignore[arg-type]
    return fit(
        model,
        loader(),
        torch.eye(3)[torch.arange(24) % 3],
        Sampler([torch.arange(24)], plan.batch_size, seed=0),
        make_loss("multiclass"),
        plan,
        execution=execution or Execution("cpu"),
        after_epoch=after_epoch,
        lr_scales=lr_scales,
    )


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
    statistics = BatchNormStatistics(norm, Execution("cpu").start())
    for _ in range(2):  # the second step begins where the first ended
        before = copy.deepcopy(norm)
        statistics.begin_step()
        for chunk in chunks:
            norm(chunk)
            statistics.add_chunk(len(chunk) / 8)
        statistics.end_step()
        want = []
        for chunk in chunks:
            one = copy.deepcopy(before)
            one(chunk)
            want.append(one)
        for name in ("running_mean", "running_var"):
            mean = getattr(want[0], name) * 5 / 8 + getattr(want[1], name) * 3 / 8
            torch.testing.assert_close(getattr(norm, name), mean)
    assert norm.num_batches_tracked == 2


class Narrow(nn.Module):
    """A network on a device with room for so many images: beyond, it raises in the middle of its work."""

    def __init__(self, most: int, training_alone: bool = False) -> None:
        super().__init__()
        self.net, self.most, self.training_alone = network(), most, training_alone
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.net(images)  # first, so that the running statistics have moved already
        if len(images) > self.most and (self.training or not self.training_alone):
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(images))
        return found


@pytest.mark.parametrize(("most", "chunk"), [(4, 4), (3, 2)])
def test_out_of_memory_halves_the_chunks_and_changes_nothing_else(
    most: int, chunk: int, capfd: pytest.CaptureFixture[str]
) -> None:
    narrow, small = Narrow(most), network()
    found, want = trained(narrow), trained(small, chunk=chunk)
    assert max(narrow.sizes) <= most
    assert [record["loss"] for record in found] == [record["loss"] for record in want]
    for key, value in small.state_dict().items():
        assert torch.equal(narrow.net.state_dict()[key], value), key
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == {4: 1, 3: 2}[most], "one line a halving, and none later"
    assert said[0] == (
        "out of memory with 8 images at a time: continuing with 4, in 2 passes; a step still takes 8 images"
    )


def test_the_gradients_of_a_step_begun_anew_are_those_of_a_first_try() -> None:
    """A failure in the second pass: what the first left in the gradients is not counted twice."""
    once, twice = Narrow(99), Narrow(99)
    forward = Narrow.forward

    def fails_once(self: Narrow, images: torch.Tensor) -> torch.Tensor:
        if len(self.sizes) == 1:
            self.sizes.append(0)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, images)

    trained(once, chunk=2, epochs=1)
    try:
        Narrow.forward = fails_once  # type: ignore[method-assign]
        trained(twice, chunk=4, epochs=1)
    finally:
        Narrow.forward = forward  # type: ignore[method-assign]
    for key, value in once.state_dict().items():
        assert torch.equal(twice.state_dict()[key], value), key


def test_no_memory_for_two_images_is_said() -> None:
    with pytest.raises(RunError, match=r"out of memory on cpu with 2 images at a time.*give a smaller image size"):
        trained(Narrow(1))


def test_predictions_take_as_many_images_as_there_is_room_for() -> None:
    narrow, images = Narrow(5), loader()
    found = predict_logits(narrow, images, torch.arange(24), batch_size=24)
    assert set(narrow.sizes) == {3}
    torch.testing.assert_close(found, predict_logits(network(), images, torch.arange(24)), rtol=1e-4, atol=1e-5)
    with pytest.raises(torch.OutOfMemoryError):
        predict_logits(Narrow(0), images, torch.arange(2))


def test_features_too() -> None:
    narrow, images = Narrow(5), loader()
    parts = list(forward_batches(narrow.eval(), images, torch.arange(24), batch_size=24))
    assert [len(part) for part in parts] == narrow.sizes == [3] * 8
    assert not any(part.requires_grad for part in parts)


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_clipping_is_torchs(clip: float, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, torchs = network(), network()
    trained(ours, clip=clip, epochs=1)
    monkeypatch.setattr(
        "medzoo.engine.loop._Loop._clip",
        lambda self: nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip),
    )
    trained(torchs, clip=clip, epochs=1)
    for key, value in torchs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


def test_an_epochs_record_may_say_that_it_is_the_last() -> None:
    def end(record: dict) -> None:
        record["last"] = record["epoch"] == 2

    assert len(trained(network(), epochs=5, after_epoch=end)) == 2


def test_rates_scale_the_learning_rate() -> None:
    model = network()
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    trained(model, lr_scales={key: 0.0 for key in before if not key.startswith("fc.")})
    still = {key for key, value in model.named_parameters() if torch.equal(value, before[key])}
    assert still == {key for key in before if not key.startswith("fc.")}


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
