"""Checkpoints: all or nothing, the last two kept, and nothing of another run taken for one's own."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from medzoo.core.errors import RunError
from medzoo.engine import checkpoints as module
from medzoo.engine.checkpoints import Checkpoints, TrainingProgress
from medzoo.engine.loop import make_optimizer
from medzoo.engine.schedule import TrainingConfig

CONFIG = TrainingConfig(epochs=3, batch_size=4, lr=1e-2, weight_decay=0.1)
SETTINGS = {"seed": 0, "recipe": {"name": "paper", "sets": ("a", "b")}, "image size": 32}


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 36, 2))


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step on random images with dropout: it depends on torch's random state."""
    optimizer.zero_grad()
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    optimizer.step()


@pytest.fixture(autouse=True)
def _own_draws() -> Iterator[None]:
    with torch.random.fork_rng([]):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def saved(
    folder: Path, steps: int = 1, order: torch.memory_format = torch.contiguous_format
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network some steps old, each of them saved."""
    model = network().to(memory_format=order)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, CONFIG)
    for number in range(1, steps + 1):
        step(model, optimizer)
        Checkpoints(folder, SETTINGS).save(model, optimizer, TrainingProgress(step=number, loss=number / 3))
    return model, optimizer


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_restored_run_takes_the_same_steps(folder: Path, order: torch.memory_format) -> None:
    model, optimizer = saved(folder, 3, order)
    random = torch.random.get_rng_state()
    other = network(seed=7).to(memory_format=order)  # type: ignore[call-overload]
    other_optimizer = make_optimizer(other, CONFIG)
    position = Checkpoints(folder, SETTINGS).restore(other, other_optimizer)
    assert position == TrainingProgress(step=3, loss=1.0)
    assert torch.equal(torch.random.get_rng_state(), random)
    for _ in range(2):
        step(other, other_optimizer)
    torch.random.set_rng_state(random)
    for _ in range(2):
        step(model, optimizer)
    for (key, one), two in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two), key
    for parameter, values in other_optimizer.state.items():
        assert values["exp_avg"].stride() == parameter.stride()


def test_the_history_comes_back_exactly(folder: Path) -> None:
    model, optimizer = saved(folder)
    position = TrainingProgress(2, 5, 0.1 + 0.2, 1e-9, [{"epoch": 1, "loss": 1 / 3, "valid": {"cxr": {"auroc": None}}}])
    Checkpoints(folder, SETTINGS).save(model, optimizer, position)
    assert Checkpoints(folder, SETTINGS).restore(model, optimizer) == position


def test_without_a_checkpoint_it_begins_at_the_start(folder: Path) -> None:
    model = network()
    before = [value.clone() for value in model.state_dict().values()]
    assert Checkpoints(folder, SETTINGS).restore(model, make_optimizer(model, CONFIG)) == TrainingProgress()
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


def test_the_last_two_are_kept(folder: Path) -> None:
    saved(folder, 5)
    assert sorted(path.name for path in folder.iterdir()) == [
        "at-00000-00000004.pt",
        "at-00000-00000005.pt",
    ]


def test_a_later_epoch_counts_as_newer_than_a_later_step(folder: Path) -> None:
    model, optimizer = saved(folder, 2)
    Checkpoints(folder, SETTINGS).save(model, optimizer, TrainingProgress(epoch=1))
    assert Checkpoints(folder, SETTINGS).restore(model, optimizer) == TrainingProgress(epoch=1)


@pytest.mark.parametrize("damage", ["cut", "header", "empty", "folder"])
def test_a_damaged_newest_file_gives_way_to_the_one_before(folder: Path, damage: str) -> None:
    model, optimizer = saved(folder, 2)
    newest = Checkpoints(folder, SETTINGS).files[-1]
    whole = newest.read_bytes()
    newest.unlink()
    if damage == "folder":
        newest.mkdir()
    else:
        newest.write_bytes({"cut": whole[:-10], "header": b"\xff" * 8 + whole[8:], "empty": b""}[damage])
    assert Checkpoints(folder, SETTINGS).restore(model, optimizer).step == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "another seed;"),
        ({"image size": 64, "seed": 2}, "another seed, image size;"),
        ({"recipe": {"name": "paper", "sets": ("a",)}}, "another recipe;"),
    ],
)
def test_a_run_with_other_settings_is_refused_and_told_which(folder: Path, changes: dict, named: str) -> None:
    model, optimizer = saved(folder)
    before = [value.clone() for value in model.state_dict().values()]
    with pytest.raises(RunError, match=named) as error:
        Checkpoints(folder, SETTINGS | changes).restore(model, optimizer)
    assert "--restart" in str(error.value)
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


@contextmanager
def _small_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system itself refuses to write beyond 2 KiB of a file."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def _full_at(monkeypatch: pytest.MonkeyPatch, what: str) -> Iterator[None]:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {"torch.save": (torch, "save"), "replace": (Path, "replace"), "fsync": (os, "fsync")}[what]
    with monkeypatch.context() as patch:
        patch.setattr(*target, full)
        yield


@pytest.mark.parametrize("how", ["torch.save", "replace", "fsync", "the system"])
def test_a_full_disk_is_said_and_leaves_the_last_one_whole(
    folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizer = saved(folder, 2)
    wanted = [value.clone() for value in model.state_dict().values()]
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    step(model, optimizer)
    disk = _small_disk(monkeypatch) if how == "the system" else _full_at(monkeypatch, how)
    with disk, pytest.raises(RunError, match="cannot be written") as error:
        Checkpoints(folder, SETTINGS).save(model, optimizer, TrainingProgress(step=3))
    assert "same command" in str(error.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert Checkpoints(folder, SETTINGS).restore(model, optimizer).step == 2
    assert all(torch.equal(a, b) for a, b in zip(wanted, model.state_dict().values(), strict=True))


def test_what_a_killed_write_left_is_removed(folder: Path) -> None:
    model, optimizer = saved(folder)
    half = folder / ".at-00000-00000002.pt.4711"
    half.write_bytes(b"half")
    assert Checkpoints(folder, SETTINGS).restore(model, optimizer).step == 1
    assert not half.exists()


def test_clear_removes_all(folder: Path) -> None:
    saved(folder, 2)
    Checkpoints(folder, SETTINGS).clear()
    assert not folder.exists()


def test_one_is_due_after_its_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(folder, SETTINGS, interval=5)
    assert not checkpoints.is_due()
    now[0] = 105.0
    assert checkpoints.is_due()
    model = network()
    checkpoints.save(model, make_optimizer(model, CONFIG), TrainingProgress())
    assert not checkpoints.is_due()


def test_checkpoints_of_an_earlier_version_are_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "at-00000-00000001.safetensors").write_bytes(b"of before")
    model = network()
    with pytest.raises(RunError, match=r"an earlier version of medzoo, .* give --restart to start anew"):
        Checkpoints(folder, SETTINGS).restore(model, make_optimizer(model, CONFIG))
