"""One run, one process: a second is refused, a killed one blocks nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from medzoo.core.errors import RunError
from medzoo.engine.runtime import Execution
from training.pretraining.options import PretrainOptions
from training.pretraining.pretrain import pretrain
from training.pretraining.run_lock import locking_run

NAME = "test_resnet_hwsi_ri"
HOLD = """
import sys, time, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "work" / "runs" / NAME


@pytest.fixture
def other(run: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    run.parent.mkdir(parents=True)
    lock = run.parent / f".{NAME}.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.usefixtures("other")
def test_a_second_process_is_told_and_changes_nothing(run: Path, tmp_path: Path) -> None:
    options = PretrainOptions(image_size=32, allow_partial=True, restart=True, execution=Execution("cpu"))
    with pytest.raises(RunError, match=f"another process works on {run}; wait for it or stop it"):
        pretrain(NAME, tmp_path / "data", tmp_path / "work", options)
    assert not run.exists()


def test_the_lock_of_a_killed_process_is_open(run: Path, other: subprocess.Popen[str]) -> None:
    runtime = Execution("cpu").start()
    other.send_signal(signal.SIGKILL)
    other.wait()
    for _ in range(2):  # and of one that is done
        with locking_run(run, runtime):
            pass


def test_others_get_in_after_an_error(run: Path) -> None:
    runtime = Execution("cpu").start()
    with pytest.raises(ValueError, match="mine"), locking_run(run, runtime):
        raise ValueError("mine")
    with locking_run(run, runtime), pytest.raises(RunError, match="another process"), locking_run(run, runtime):
        pass
