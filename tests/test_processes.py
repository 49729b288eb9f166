"""Two processes that share every step end where one process ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from runs import command, pretraining, two_processes
from safetensors.torch import load_file

from training.standins import write_standins

NAME = "test_resnet_all_ri"
SETS = ("chestxray14", "breakhis", "eyepacs")
# Two chunks of 64 a step, masked labels, balanced sources, class weights and augmentation: all that could differ.
WORDS = ("--recipe", "medzoo", "--batch-size", "128", "--epochs", "3", "--limit", "64")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run by one process, with the drawings beside it."""
    top = tmp_path_factory.mktemp("single")
    write_standins(top / "data", dict.fromkeys(SETS, 70))
    process = command(pretraining(top / "data", top / "work", *WORDS, name=NAME), top / "said.txt")
    process.join()
    assert process.exitcode == 0, (top / "said.txt").read_text()
    return top


def beside(single: Path, work: Path) -> Path:
    shutil.copytree(single / "work" / "cache", work / "cache")
    return work


def record(work: Path) -> dict:
    return json.loads((work / "runs" / NAME / "run.json").read_text())


def same(one: Path, two: Path) -> None:
    """Weights and batch statistics are those of one process, but for the order of sums."""
    weights = [load_file(work / "runs" / NAME / "bundle" / "model.safetensors") for work in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    assert any(key.endswith("running_var") for key in weights[0])
    for key, value in weights[0].items():
        torch.testing.assert_close(
            weights[1][key], value, rtol=1e-4, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_two_processes_end_where_one_does(single: Path, tmp_path: Path) -> None:
    work = beside(single, tmp_path / "work")
    both = two_processes(pretraining(single / "data", work, *WORDS, name=NAME), tmp_path / "said")
    for process in both:
        process.join()
    said = [(tmp_path / f"said.{rank}").read_text() for rank in range(2)]
    assert [process.exitcode for process in both] == [0, 0], said
    assert "epoch 3/3" in said[0] and "epoch" not in said[1]
    assert "Warning" not in said[0] + said[1]
    same(single / "work", work)
    one, two = record(single / "work"), record(work)
    assert (one["environment"]["processes"], two["environment"]["processes"]) == (1, 2)
    for mine, other in zip(one["history"], two["history"], strict=True):
        assert other["loss"] == pytest.approx(mine["loss"], rel=1e-4)
        assert other["valid"]["efi"]["brier"] == pytest.approx(mine["valid"]["efi"]["brier"], rel=1e-3)


def test_a_batch_that_cannot_be_shared_is_refused(single: Path, tmp_path: Path) -> None:
    words = pretraining(single / "data", beside(single, tmp_path / "work"), *WORDS, "--batch-size", "64", name=NAME)
    both = two_processes(words, tmp_path / "said")
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [2, 2]
    assert "2 processes cannot share 1 chunks" in (tmp_path / "said.0").read_text()


@pytest.mark.slow
def test_one_process_asked_to_stop_stops_both_and_one_goes_on(single: Path, tmp_path: Path) -> None:
    work = beside(single, tmp_path / "work")
    words = pretraining(single / "data", work, *WORDS, name=NAME)
    both = two_processes(words, tmp_path / "said")
    log, deadline = work / "runs" / NAME / "log.jsonl", time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(both[1].pid or 0, signal.SIGTERM)
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [130, 130]
    assert not (work / "runs" / NAME / "run.json").exists()
    process = command(words, tmp_path / "again.txt")
    process.join()
    assert process.exitcode == 0, (tmp_path / "again.txt").read_text()
    assert "epoch 1/3" not in (tmp_path / "again.txt").read_text()
    same(single / "work", work)
