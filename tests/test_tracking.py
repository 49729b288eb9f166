"""Logs of runs, with TensorBoard for real."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from accelerate import PartialState
from makers import class_folders
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from medzoo import compare, finetune
from medzoo.core.errors import RunError
from medzoo.engine.runtime import Execution
from medzoo.engine.tracking import Tracker, Tracking, tracked

SHORT: Mapping[str, Any] = {"batch_size": 8, "device": "cpu", "strategy": "feature_extraction"}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few pictures, with the folder above as the working directory."""
    monkeypatch.chdir(tmp_path)
    return class_folders(tmp_path / "tiles", each=5)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """All scalars of a log that TensorBoard shows."""
    log = EventAccumulator(str(folder))
    log.Reload()
    return {tag: [(event.step, event.value) for event in log.Scalars(tag)] for tag in log.Tags()["scalars"]}


@pytest.mark.usefixtures("undrawn")
def test_a_resumed_run_is_one_log_with_each_epoch_once(
    images: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**SHORT, "epochs": 3, "checkpoints": tmp_path / "checkpoints", "log_with": "tensorboard"}
    monkeypatch.setattr("medzoo.finetuning.resume.MIN_INTERVAL", 0.0)
    log_epoch = Tracker.log_epoch

    def killed(self: Tracker, record: Mapping[str, Any]) -> None:
        log_epoch(self, record)
        if record["epoch"] == 2:  # logged, but not in a checkpoint yet
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "log_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            finetune(tiny, images, **options)
    report = finetune(tiny, images, resume=True, **options)
    (log,) = (tmp_path / "runs").iterdir()
    assert log.name.startswith("tiny-tiles-feature_extraction-")
    found = scalars(log)
    want = [(record["epoch"], pytest.approx(record["loss"], rel=1e-5)) for record in report.history]
    assert found["loss"] == want and [step for step, _ in want] == [1, 2, 3]
    metric = report.metrics[report.primary]
    assert found[f"valid/{report.primary}"][-1][1] == pytest.approx(metric.value)
    assert found[f"final/{report.primary}/value"] == [(3, pytest.approx(metric.value))]
    (written,) = log.rglob("hparams.yml")
    config = yaml.safe_load(written.read_text())
    assert (config["weights"], config["settings/lr"], config["data/train/images"]) == ("tiny", 3e-4, 8)


def test_a_comparison_logs_each_run_once_and_not_again(images: Path, tiny: Path, tmp_path: Path) -> None:
    weights = {"one": tiny, "two": tiny}
    options: dict[str, Any] = {"strategies": "linear_probe", "folds": 2, "cells": tmp_path / "cells", "device": "cpu"}
    compare(images, weights, log_with="tensorboard", **options)
    logs = sorted((tmp_path / "runs").iterdir())
    names = [f"{arm}-tiles-linear_probe-seed0-fold{fold}" for arm in weights for fold in (0, 1)]
    assert [log.name.rsplit("-", 2)[0] for log in logs] == names
    assert all("final/auroc/value" in scalars(log) for log in logs)
    compare(images, weights, log_with="tensorboard", **options)
    assert sorted((tmp_path / "runs").iterdir()) == logs


def test_a_tracker_that_is_unknown_or_not_installed_is_said(
    images: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError, match="no tracker named 'tensorbord'; did you mean 'tensorboard'"):
        finetune(tiny, images, log_with="tensorbord")
    monkeypatch.setattr("medzoo.engine.tracking.find_spec", lambda name: None)
    with pytest.raises(RunError, match="needs the package mlflow, which is not installed; pip install mlflow"):
        compare(images, [tiny], log_with="mlflow")


@pytest.mark.parametrize("tracker", ["wandb", "mlflow"])
def test_what_the_other_trackers_are_given(
    tracker: str, images: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their packages are large; both were run for real by hand."""
    said: list[Any] = []

    class Spy:
        tracker: Any

        def __init__(self, project: str, **options: Any) -> None:
            assert PartialState._shared_state, "accelerate's log needs a state"
            said.append((project, options))

        def start(self) -> None:
            run = type("Run", (), {"run_id": "7"})
            self.tracker = type("Active", (), {"info": run})

        def store_init_configuration(self, values: Mapping[str, Any]) -> None:
            assert all(isinstance(value, (bool, int, float, str)) for value in values.values())

        def log(self, values: Mapping[str, float], step: int) -> None:
            said.append(step)

        def finish(self) -> None:
            said.append("finished")

    monkeypatch.setattr("medzoo.engine.tracking.find_spec", lambda name: True)
    for name in ("WandBTracker", "MLflowTracker"):
        monkeypatch.setattr(f"medzoo.engine.tracking.{name}", Spy)
    finetune(tiny, images, epochs=1, log_with=Tracking(tracker, name="mine", group="these"), **SHORT)
    (project, options), *steps = said
    assert project == "medzoo" and steps == [1, 1, "finished"]
    if tracker == "wandb":
        assert len(options.pop("id")) == 8
        assert options == {"name": "mine", "group": "these", "resume": "allow"}
    else:
        assert options == {"run_id": None, "run_name": "mine", "tags": {"group": "these"}}


@pytest.mark.parametrize(("error", "status"), [(RunError, "FAILED"), (KeyboardInterrupt, "KILLED")])
@pytest.mark.parametrize("tracker", ["wandb", "mlflow"])
def test_a_run_that_fails_is_logged_as_failed(
    tracker: str, error: type[BaseException], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Any] = []
    monkeypatch.setattr("medzoo.engine.tracking.find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(end_run=ended.append))  # type: ignore[arg-type]
    log = SimpleNamespace(finish=lambda **options: ended.append(options))
    started = SimpleNamespace(tracker=log, store_init_configuration=lambda values: None)
    monkeypatch.setattr("medzoo.engine.tracking._started", lambda *given: (started, "7"))
    with pytest.raises(error), tracked(Tracking(tracker), Execution("cpu").start(), "run", {}):
        raise error
    assert ended == [{"exit_code": 1} if tracker == "wandb" else status]


def test_mlflow_experiment_is_made_before_its_workers_start(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    fake = SimpleNamespace(
        get_experiment_by_name=lambda name: name if name in made else None,
        create_experiment=made.append,
        get_tracking_uri=lambda: "sqlite:///here.db",
    )
    monkeypatch.setattr("medzoo.engine.tracking.find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "mlflow", fake)  # type: ignore[arg-type]
    assert [Tracking("mlflow").shared().store for _ in range(2)] == ["sqlite:///here.db"] * 2
    assert made == ["medzoo"]
