"""A fine-tuning process that is killed at any moment goes on to the very bits of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from makers import class_folders
from runs import command


class Whole(NamedTuple):
    """A run that nobody disturbed."""

    data: Path
    bundle: Path
    seconds: float
    weights: bytes


def words(bundle: Path, data: Path, out: Path) -> list[str]:
    # With patience a checkpoint is written at every epoch's end, and the best epoch beside it.
    more = ["--epochs", "8", "--batch-size", "8", "--patience", "8", "--device", "cpu", "--lr", "0.003"]
    return ["finetune", str(bundle), str(data), "--out", str(out), *more]


@pytest.fixture(scope="module")
def whole(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    top = tmp_path_factory.mktemp("whole")
    data = class_folders(top / "data", each=12)
    seconds = 0.0
    for number in range(2):  # the second finds everything imported, as those that are killed do
        started = time.monotonic()
        process = command(words(tiny, data, top / f"mine{number}"), top / "said.txt", program="medzoo")
        process.join()
        seconds = time.monotonic() - started
        assert process.exitcode == 0, (top / "said.txt").read_text()
    return Whole(data, tiny, seconds, (top / "mine1" / "model.safetensors").read_bytes())


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_killed_at_random_moments_it_goes_on(seed: int, whole: Whole, tmp_path: Path) -> None:
    rng, out, said = random.Random(seed), tmp_path / "mine", tmp_path / "said.txt"
    call = words(whole.bundle, whole.data, out)
    for number in range(4):
        process = command([*call, *(["--resume"] if number else [])], said, program="medzoo")
        process.join(rng.uniform(0.2, 0.9) * whole.seconds)
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        if out.exists():
            break
    if not out.exists():
        process = command([*call, "--resume"], said, program="medzoo")
        process.join()
        assert process.exitcode == 0, said.read_text()
    assert (out / "model.safetensors").read_bytes() == whole.weights
    # Only a half-written folder of a process that was killed while it saved may be left, under a hidden name.
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {"mine", "said.txt"}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_killed_before_any_move_or_removal_of_a_file_it_goes_on(seed: int, whole: Whole, tmp_path: Path) -> None:
    rng, out, said = random.Random(seed), tmp_path / "mine", tmp_path / "said.txt"
    call = words(whole.bundle, whole.data, out)
    for number in sorted(rng.sample(range(1, 20), 3)):
        process = command([*call, "--resume"], said, die_before=number, program="medzoo")
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), said.read_text()
        if process.exitcode == 0:
            break
    process = command([*call, "--resume"], said, program="medzoo")
    process.join()
    assert process.exitcode == 0, said.read_text()
    assert (out / "model.safetensors").read_bytes() == whole.weights
