"""Runs that are killed or stopped at any moment end with the very bits of a run that was left alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from runs import NAME, command, pretraining

from training.standins import write_standins

TOP = Path(__file__).resolve().parents[1]
# A checkpoint after every step, so that there is always one being written.
OFTEN = ("--epochs", "3", "--checkpoint-every", "0", "--recipe", "medzoo")


class Whole(NamedTuple):
    """A run that nobody disturbed."""

    data: Path
    cache: Path
    seconds: float
    weights: bytes
    log: list[dict]


def run_of(work: Path) -> Path:
    return work / "runs" / NAME


def weights(work: Path) -> bytes:
    return (run_of(work) / "bundle" / "model.safetensors").read_bytes()


def log(work: Path) -> list[dict]:
    """The epochs' records without what time it took."""
    lines = (run_of(work) / "log.jsonl").read_text().splitlines()
    timed = ("seconds", "images_per_second")
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]


def checkpoints(work: Path) -> list[Path]:
    return sorted((run_of(work) / "checkpoints").glob("at-*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    top = tmp_path_factory.mktemp("whole")
    write_standins(top / "data", {"eyepacs": 40})
    seconds = 0.0
    for _ in range(2):  # the second finds the cache and everything imported, as those that are killed do
        shutil.rmtree(top / "work" / "runs", ignore_errors=True)
        started = time.monotonic()
        process = command(pretraining(top / "data", top / "work", *OFTEN), top / "said.txt")
        process.join()
        seconds = time.monotonic() - started
        assert process.exitcode == 0, (top / "said.txt").read_text()
    return Whole(top / "data", top / "work" / "cache", seconds, weights(top / "work"), log(top / "work"))


@pytest.fixture
def work(whole: Whole, tmp_path: Path) -> Path:
    shutil.copytree(whole.cache, tmp_path / "work" / "cache")
    return tmp_path / "work"


def said_by(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def finish(whole: Whole, work: Path, said: Path) -> None:
    process = command(pretraining(whole.data, work, *OFTEN), said)
    process.join()
    assert process.exitcode == 0, said.read_text()
    assert weights(work) == whole.weights
    assert log(work) == whole.log
    assert not checkpoints(work)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 9))])
def test_killed_at_random_moments_and_called_again_it_ends_with_the_same_bits(
    seed: int, whole: Whole, work: Path, tmp_path: Path
) -> None:
    rng, kills = random.Random(seed), 0
    while kills < 4:
        process = command(pretraining(whole.data, work, *OFTEN), tmp_path / "said.txt")
        process.join(rng.uniform(0.3, 1.0) * whole.seconds)
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            kills += 1
        elif process.exitcode == 0:  # done before its time: those that come begin anew
            assert weights(work) == whole.weights
            kills += 1
        else:
            pytest.fail((tmp_path / "said.txt").read_text())
    finish(whole, work, tmp_path / "said.txt")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_killed_before_any_move_or_removal_of_a_file_it_ends_with_the_same_bits(
    seed: int, whole: Whole, work: Path, tmp_path: Path
) -> None:
    """Where random moments hardly ever fall: between writing and moving, between moving and cleaning up."""
    rng = random.Random(seed)
    left = []
    for number in sorted(rng.sample(range(1, 40), 4)):
        process = command(pretraining(whole.data, work, *OFTEN), tmp_path / "said.txt", die_before=number)
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), (tmp_path / "said.txt").read_text()
        left.append(len(checkpoints(work)))
    assert max(left) in (2, 3)  # two are kept; a third where it died before it removed the oldest
    finish(whole, work, tmp_path / "said.txt")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_saves_leaves_and_goes_on(number: signal.Signals, whole: Whole, work: Path, tmp_path: Path) -> None:
    """The real command, without checkpoints but those at epochs' ends and the one that the signal asks for."""
    words = pretraining(whole.data, work, "--epochs", "400", "--recipe", "medzoo")
    process = subprocess.Popen([sys.executable, "-m", "training", *words], cwd=TOP, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 240
        while not checkpoints(work) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=240)[1]
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "resumes" in said
    assert checkpoints(work)
    assert not (run_of(work) / "run.json").exists()
    before = len(log(work))
    again = command(words, tmp_path / "again.txt")
    deadline = time.monotonic() + 240
    while f"epoch {before + 1}/400" not in said_by(tmp_path / "again.txt") and time.monotonic() < deadline:
        assert again.is_alive()
        time.sleep(0.05)
    os.kill(again.pid or 0, signal.SIGKILL)
    again.join()
    assert [record["epoch"] for record in log(work)] == list(range(1, len(log(work)) + 1))
    assert len(log(work)) > before
    assert "epoch 1/400" not in said_by(tmp_path / "again.txt")


def test_other_options_do_not_go_on_from_it(whole: Whole, work: Path, tmp_path: Path) -> None:
    process = command(pretraining(whole.data, work, *OFTEN), tmp_path / "said.txt", die_before=12)
    process.join()
    assert checkpoints(work)
    other = command(pretraining(whole.data, work, *OFTEN, "--seed", "1"), tmp_path / "other.txt")
    other.join()
    assert other.exitcode == 2
    assert "another seed" in (tmp_path / "other.txt").read_text()
    finish(whole, work, tmp_path / "said.txt")
