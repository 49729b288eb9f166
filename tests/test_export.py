"""``export``: the file computes what the model computes, says what it expects, or is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from medzoo import create_model, export
from medzoo.__main__ import app
from medzoo.core.errors import MedzooError, UnknownNameError
from medzoo.models.info import Model

NAME = "densenet121_efi_ri"


@pytest.fixture(scope="module")
def model(zoo: Path) -> Model:
    """The smallest DenseNet there is: tracing takes its time."""
    return create_model(NAME, num_classes=2, head="linear", truncate=1, in_chans=1, zoo=zoo)


def test_a_torch_program(model: Model, tmp_path: Path) -> None:
    model.train()
    model.medzoo = replace(model.medzoo, positive="b")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = export(model, tmp_path / "model.pt2", "torch")
    assert model.training  # the model itself stays as it is
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model.eval()
    assert (found.path, found.format) == (tmp_path / "model.pt2", "torch")
    assert found.difference < 1e-5
    files = {"medzoo.json": ""}
    program = torch.export.load(found.path, extra_files=files).module()
    images = torch.rand(3, 1, 32, 32)  # another number of images than it was traced with
    with torch.no_grad():
        assert torch.allclose(program(images), model(images), atol=1e-5)
    described = json.loads(files["medzoo.json"])
    assert described["positive"] == "b"
    assert described["input"]["mean"] == list(model.medzoo.input.mean)
    assert described["input"]["input_size"] == [1, 32, 32]


def test_onnx(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    found = export(model, tmp_path / "model.onnx")
    assert found.difference < 1e-5
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]  # one file, nothing beside it
    session = runtime.InferenceSession(str(found.path), providers=["CPUExecutionProvider"])
    images = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        want = model(images).numpy()
    assert np.allclose(session.run(["logits"], {"images": images.numpy()})[0], want, atol=1e-5)
    described = json.loads(session.get_modelmeta().custom_metadata_map["medzoo"])
    assert described["weights"] == NAME


def test_a_file_that_computes_something_else_is_not_kept(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "medzoo.models.export._to_torch", lambda network, images, described, path: network(images + 1).detach().numpy()
    )
    old = tmp_path / "model.pt2"
    old.write_text("what stood here")
    with pytest.raises(MedzooError, match="gives other outputs than the model"):
        export(model, old, "torch")
    assert old.read_text() == "what stood here"
    assert list(tmp_path.iterdir()) == [old]


def test_an_unknown_format_and_a_list_of_maps(model: Model, zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(MedzooError, match="no format named 'onx'; did you mean 'onnx'"):
        export(model, tmp_path / "x", "onx")
    with pytest.raises(MedzooError, match="features_only=True gives a list"):
        export(create_model(NAME, features_only=True, zoo=zoo), tmp_path / "x")


def test_the_command(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.pt2"
    result = CliRunner().invoke(app, ["export", str(tiny), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "tiny.pt2 (torch): outputs within" in result.output
    assert "takes float32 [N, 3, 32, 32]: values 0 to 255 divided by 255, minus 0.485" in result.output
    result = CliRunner().invoke(app, ["export", "densenet121_efi_r", "--out", str(out)])
    assert isinstance(result.exception, UnknownNameError)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_a_whole_densenet(zoo: Path, tmp_path: Path, kind: str) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    assert export(create_model(NAME, zoo=zoo), tmp_path / "model", kind).difference < 1e-4
