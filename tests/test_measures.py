"""Memory and energy are those of the whole run, over all the processes it took."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from medzoo.engine.checkpoints import Checkpoints, TrainingProgress
from training.pretraining import resource_usage as measures
from training.pretraining.resource_usage import Usage, peak_memory

CPU = torch.device("cpu")


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An energy counter in microjoules, as the kernel has them."""
    file = tmp_path / "rapl" / "intel-rapl:0" / "energy_uj"
    file.parent.mkdir(parents=True)
    file.write_text("5000000")
    monkeypatch.setattr(measures, "_RAPL", tmp_path / "rapl")
    return file


def test_joules_add_up_and_memory_is_the_largest(counter: Path, tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    first = Usage(CPU)
    counter.write_text("7500000")
    assert first.total() == {"peak_memory": peak_memory(CPU), "energy_joules": {"intel-rapl:0": 2.5}}
    Checkpoints(tmp_path / "at", {}, meter=first).save(model, optimizer, TrainingProgress(step=1))
    counter.write_text("9000000")  # not counted: between two processes
    second = Usage(CPU)
    Checkpoints(tmp_path / "at", {}, meter=second).restore(model, optimizer)
    counter.write_text("10000000")
    assert second.total()["energy_joules"] == {"intel-rapl:0": 3.5}
    second.resume_from({"peak_memory": {"process_mib": 10**6, "device_mib": 3}, "energy_joules": {}})
    assert second.total()["peak_memory"] == {"process_mib": 10**6, "device_mib": 3}


def test_a_counter_that_a_part_of_the_run_lacks_is_left_out(counter: Path) -> None:
    usage = Usage(CPU)
    usage.resume_from({"peak_memory": {}, "energy_joules": {"gpu": 100.0}})
    assert usage.total()["energy_joules"] == {}


def test_a_counter_that_began_anew_is_left_out(counter: Path) -> None:
    usage = Usage(CPU)
    counter.write_text("1")
    assert usage.total()["energy_joules"] == {}
