"""Nothing is lost at the end: outputs are tried before the work, and a failed save keeps the trained weights."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import class_folders
from typer.testing import CliRunner

from medzoo import create_model, evaluate, finetune, predict
from medzoo.__main__ import app
from medzoo.cli.app import run
from medzoo.core.errors import DiskFullError, MedzooError, RunError
from medzoo.core.output import check_output
from medzoo.finetuning.report import Report
from medzoo.inference.predict import Predictions


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders and files with names in cp1252, one class called as a column of ``predictions.csv``."""
    top = class_folders(tmp_path_factory.mktemp("data") / "set", ("green", "blue"), each=8)
    for path in sorted(top.glob("*/*.png")):
        path.rename(path.with_name(os.fsdecode(b"sch\xe4del ") + path.name))
    (top / "green").rename(top / os.fsdecode(b"L\xe9sion"))
    (top / "blue").rename(top / "image")
    return top


@pytest.fixture(scope="module")
def report(tiny: Path, data: Path) -> Report:
    return finetune(tiny, data, epochs=1, batch_size=8, device="cpu")


def test_an_output_is_tried_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_output(tmp_path / "new" / "deeper" / "model", 1000)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("x")
    with pytest.raises(MedzooError, match=r"file/model cannot be written \(Not a directory\); give another place"):
        check_output(tmp_path / "file" / "model")
    with pytest.raises(MedzooError, match=r"cannot be written \(File name too long\)"):
        check_output(tmp_path / ("x" * 300))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5 * 10**6, 5 * 10**6))
    with pytest.raises(DiskFullError, match="needs 6 MB, and the disk has 5 MB free"):
        check_output(tmp_path / "model", 6 * 10**6)


def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere: the system's refusal is played back."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("medzoo.core.output.tempfile.TemporaryDirectory", refuse)
    with pytest.raises(MedzooError, match=r"model cannot be written \(Permission denied\); give another place"):
        check_output(tmp_path / "model")


@pytest.mark.parametrize("command", ["finetune", "predict", "evaluate", "compare"])
def test_a_command_refuses_its_output_before_it_reads_anything(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / ("out.csv" if command == "predict" else "out")
    inputs = [str(tmp_path / "nothing")] if command == "compare" else ["no_weight", str(tmp_path / "nothing")]
    result = CliRunner().invoke(app, [command, *inputs, "--out", str(out)])
    assert isinstance(result.exception, MedzooError)
    assert f"{out} cannot be written (Not a directory)" in str(result.exception)


def test_room_for_the_checkpoints_is_checked_before_training(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 0))
    monkeypatch.setattr("medzoo.finetuning.run.fit", lambda *_, **__: pytest.fail("training began"))
    images = class_folders(tmp_path / "set", each=8)
    with pytest.raises(DiskFullError, match=r"checkpoints needs .* MB, and the disk has 0 MB free"):
        finetune(tiny, images, epochs=1, device="cpu", checkpoints=tmp_path / "checkpoints")


def test_names_that_are_not_utf_8_are_saved_and_read_back(report: Report, data: Path, tmp_path: Path) -> None:
    report.save(tmp_path / "model")
    held_out = json.loads((tmp_path / "model" / "run.json").read_text(encoding="utf-8"))["held_out"]
    assert held_out == list(report.ids)
    assert all(name.startswith(("L\udce9sion/sch\udce4del ", "image/sch\udce4del ")) for name in held_out)
    found = predict(tmp_path / "model", data, device="cpu")
    found.save(tmp_path / "found.csv")
    assert (
        (tmp_path / "found.csv").read_text(encoding="utf-8").startswith("image,label,L\\udce9sion,image probability\n")
    )
    evaluate(tmp_path / "model", data, bootstrap=0, device="cpu").save(tmp_path / "evaluation")
    table = (tmp_path / "evaluation" / "predictions.csv").read_text(encoding="utf-8")
    assert table.startswith("image,true,label,L\\udce9sion,image probability\n")


@pytest.fixture(scope="module")
def saved(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.save(tmp_path_factory.mktemp("saved") / "model", images=False)


def test_a_process_whose_terminal_cannot_show_a_name_gives_its_result(saved: Path, data: Path) -> None:
    words = [sys.executable, "-m", "medzoo", "predict", str(saved), str(data), "--device", "cpu"]
    done = subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert len(done.stdout.splitlines()) == 1 + 16


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_a_terminal_that_cannot_show_a_name_costs_no_result(
    encoding: str, saved: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(terminal, encoding))
    monkeypatch.setattr(sys, "argv", ["medzoo", "predict", str(saved), str(data), "--device", "cpu"])
    with pytest.raises(SystemExit) as left:
        run(app)
    sys.stdout.flush()
    assert not left.value.code
    assert len(terminal.getvalue().splitlines()) == 1 + 16
    assert b"\\udcc3" in terminal.getvalue() or b"\\udce9" in terminal.getvalue()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("anything")])
def test_a_failed_save_names_the_place_of_the_trained_weights(
    error: Exception, report: Report, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("medzoo.finetuning.saving.write_private", fail)
        with pytest.raises(RunError, match=r"model cannot be saved .*; the trained model is in ") as caught:
            report.save(tmp_path / "model")
    rescued = Path(str(caught.value).rpartition(" is in ")[2])
    assert rescued.parent == tmp_path and list(tmp_path.iterdir()) == [rescued]
    model = create_model(rescued)
    for key, value in report.model.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_weights_are_rescued_elsewhere_where_the_disk_itself_fails(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RunError, match="the trained model is in ") as caught:
        report.save(tmp_path / "file" / "model")
    rescued = Path(str(caught.value).rpartition(" is in ")[2])
    assert rescued.parent == tmp_path and (rescued / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("classes", "columns"),
    [
        (("image", "label"), ["image probability", "label probability"]),
        (("no", "image", "image probability"), ["no", "image probability probability", "image probability"]),
        (("no", "yes"), ["no", "yes"]),
    ],
)
def test_a_class_never_overwrites_a_column(classes: tuple[str, ...], columns: list[str]) -> None:
    values = np.arange(1, len(classes) + 1, dtype=np.float32)[None] / 10
    found = Predictions(("a.png",), classes, "multiclass", values)
    row: dict[str, Any] = found.to_dicts()[0]
    assert (row["image"], row["label"]) == ("a.png", classes[-1])
    assert [row[name] for name in columns] == pytest.approx(values[0].tolist())
    assert next(csv.reader(io.StringIO(found.to_csv()))) == ["image", "label", *columns]
