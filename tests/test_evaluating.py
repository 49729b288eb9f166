"""``evaluate``: the model's own predictions, measured against labels in the model's columns."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import pytest
import torch
from makers import class_folders, pictures, save_bundle
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from medzoo import create_model, evaluate, finetune, predict, read_folder, read_table
from medzoo.__main__ import app
from medzoo.core.errors import DataError, MedzooError, UnreadableError
from medzoo.data.input_spec import InputContract
from medzoo.inference.evaluate import Evaluation
from medzoo.metrics import evaluate as measure
from medzoo.models.info import ModelInfo

COLOURS = ("red", "green", "blue")
QUICK: dict[str, Any] = {"bootstrap": 20, "device": "cpu"}


class Eye(nn.Module):
    """A network that knows the three colours: its logits are the mean red, green and blue."""

    def __init__(self, classes: tuple[str, ...] = COLOURS, task: str = "multiclass") -> None:
        super().__init__()
        self.num_classes = 3
        self.medzoo = ModelInfo("eye", "none", InputContract(size=32), classes, task)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * x.mean((2, 3))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "data", COLOURS, each=4)


def table(root: Path, lines: list[str]) -> Path:
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    return root / "table.csv"


def test_the_columns_are_the_models_whatever_the_order_of_the_datas_classes(data: Path) -> None:
    found = evaluate(Eye(), data, **QUICK)
    assert found.metrics["accuracy"].value == 1.0
    assert found.predictions.classes == found.metrics.classes == COLOURS  # the folder's are alphabetical
    assert found.metrics.positives == dict.fromkeys(COLOURS, 4)
    assert [name.split("/")[0] for name in found.predictions.ids] == found.predictions.labels
    assert evaluate(Eye(("green", "red", "blue")), data, **QUICK).metrics["accuracy"].value == pytest.approx(1 / 3)


def test_the_numbers_are_those_of_predict_and_the_metrics(tiny: Path, tmp_path: Path) -> None:
    model = create_model(tiny)
    images, names = pictures(COLOURS, 5)
    labels = [{"red": "low", "green": "mid", "blue": "high"}[name] for name in names]
    found = evaluate(model, (images, labels), **QUICK)
    chances = predict(model, images, device="cpu").probabilities
    np.testing.assert_array_equal(found.predictions.probabilities, chances)
    targets = np.array([[label == name for name in model.medzoo.classes] for label in labels], np.float32)
    np.testing.assert_array_equal(found.targets, targets)
    want = measure(targets, chances, "multiclass", model.medzoo.classes, bootstrap=20)
    assert found.metrics.to_dict() == want.to_dict()
    assert evaluate(str(tiny), (images, labels), **QUICK).metrics.to_dict() == want.to_dict()


def test_classes_without_images_here_and_one_class_alone(data: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    for name in ("red", "blue"):
        (part / name).mkdir(parents=True)
        copy(next((data / name).iterdir()), part / name)
    found = evaluate(Eye(), part, **QUICK)
    assert found.metrics.positives == {"red": 1, "green": 0, "blue": 1}
    assert found.metrics["accuracy"].value == 1.0
    alone = evaluate(Eye(), (pictures(["red"], 3)[0], ["red"] * 3), **QUICK)
    assert alone.metrics["accuracy"].value == 1.0
    assert alone.metrics["auroc"].value is None


def test_class_numbers_count_the_models_classes() -> None:
    images, names = pictures(COLOURS, 3)
    numbers = [COLOURS.index(name) for name in names]
    assert evaluate(Eye(), (images, numbers), **QUICK).metrics["accuracy"].value == 1.0
    graded = evaluate(Eye(("none", "mild", "severe"), "ordinal"), (images, np.array(numbers)), **QUICK)
    assert graded.metrics.task == "ordinal"
    assert graded.metrics["kappa_quadratic"].value == 1.0


def test_class_numbers_of_a_table_read_before(data: Path) -> None:
    paths = sorted(path.relative_to(data).as_posix() for path in data.glob("*/*.png"))
    lines = [f"{path},{COLOURS.index(path.split('/')[0])}" for path in paths]
    records = read_table(table(data, ["path,grade", *lines]), label="grade")
    assert records.classes == ("0", "1", "2")
    assert evaluate(Eye(), records, **QUICK).metrics["accuracy"].value == 1.0


def test_intervals_are_by_patient_where_patients_are_known(data: Path, tmp_path: Path) -> None:
    paths = sorted(path.relative_to(data).as_posix() for path in data.glob("*/*.png"))
    lines = [f"{path},{path.split('/')[0]},p{number // 2}" for number, path in enumerate(paths)]
    found = evaluate(Eye(), table(data, ["path,label,patient", *lines]), **QUICK)
    assert found.metrics.groups == 6
    assert "12 images of 6 patients" in str(found)
    assert evaluate(Eye(), data, **QUICK).metrics.groups is None
    with (found.save(tmp_path / "out") / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "true", "patient", "label", *COLOURS]
    assert [row["true"] for row in rows] == [row["label"] for row in rows] == found.predictions.labels
    assert [row["patient"] for row in rows] == [f"p{n // 2}" for n in range(12)]


def test_the_test_images_are_measured_where_there_is_a_split(tmp_path: Path) -> None:
    for number, side in enumerate(("train", "test")):
        class_folders(tmp_path / "data" / side, COLOURS, each=2 + number)
    found = evaluate(Eye(), tmp_path / "data", **QUICK)
    assert {name.split("/")[0] for name in found.predictions.ids} == {"test"}
    assert found.notes[-1] == "Measured on its 9 test images of 15."
    assert len(evaluate(Eye(), tmp_path / "data", split="train", **QUICK).predictions) == 6
    assert len(evaluate(Eye(), tmp_path / "data", split="all", **QUICK).predictions) == 15
    with pytest.raises(DataError, match="has no val images; its split is test, train"):
        evaluate(Eye(), tmp_path / "data", split="val", **QUICK)
    with pytest.raises(MedzooError, match="no split named 'tets'; did you mean 'test'"):
        evaluate(Eye(), tmp_path / "data", split="tets", **QUICK)
    with pytest.raises(DataError, match="has no split of its own"):
        evaluate(Eye(), tmp_path / "data" / "test", split="test", **QUICK)


def test_several_labels_of_which_some_are_not_known(tmp_path: Path) -> None:
    model = create_model(save_bundle(tmp_path / "multi", "test_resnet", ("a", "b", "c"), "multilabel"))
    images = pictures(COLOURS, 4)[0]
    marks = np.array([[1, 0, np.nan], [0, 1, 1], [0, 0, 0], [1, 1, 0]] * 3, np.float32)
    found = evaluate(model, (images, marks), threshold=[0.1, 0.5, 0.9], **QUICK)
    np.testing.assert_array_equal(found.targets, marks)
    assert found.metrics.threshold == (0.1, 0.5, 0.9)
    # Columns of some labels only, in another order.
    data = class_folders(tmp_path / "data", COLOURS, each=1)
    lines = [f"{path.relative_to(data).as_posix()},1,0" for path in sorted(data.glob("*/*.png"))]
    part = read_table(table(data, ["path,c,a", *lines]), label=["c", "a"])
    np.testing.assert_array_equal(evaluate(model, part, **QUICK).targets, [[0, np.nan, 1]] * 3)


def test_a_torch_data_set_and_decoded_images(data: Path) -> None:
    class Set:
        classes = ("blue", "green", "red")

        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            images, labels = pictures(COLOURS, 2)
            return Image.fromarray(images[index]), self.classes.index(labels[index])

    assert evaluate(Eye(), Set(), **QUICK).metrics["accuracy"].value == 1.0


def test_averaging_over_views(data: Path, tiny: Path) -> None:
    model = save_bundle(data.parent / "colours", "test_resnet", COLOURS, "multiclass")
    plain, several = (evaluate(model, data, tta=tta, **QUICK) for tta in ("none", "hwsi"))
    assert not np.array_equal(plain.predictions.probabilities, several.predictions.probabilities)
    assert several.settings["tta"] == "hwsi"


def test_saved_whole_or_not_at_all(data: Path, tmp_path: Path) -> None:
    found = evaluate(Eye(), data, **QUICK)
    out = tmp_path / "deep" / "out"
    assert found.save(out) == out
    assert {path.name for path in out.iterdir()} == {"metrics.json", "predictions.csv", "evaluation.txt"}
    record = json.loads((out / "metrics.json").read_text())
    assert record["metrics"]["values"]["accuracy"]["value"] == 1.0
    assert (record["weights"], record["data"], record["settings"]["image_size"]) == ("eye", "data", 32)
    assert (out / "evaluation.txt").read_text() == f"{found}\n"
    found.save(out)  # an evaluation may be replaced
    (out / "mine.txt").write_text("x")
    with pytest.raises(MedzooError, match="holds other files than an evaluation"):
        found.save(out)
    with pytest.raises(MedzooError, match="is a file"):
        found.save(out / "mine.txt")


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "strange", ("red", "green"), each=1)


def test_classes_that_the_model_does_not_know(strange: Path) -> None:
    (strange / "red").rename(strange / "purple")
    with pytest.raises(DataError, match=r"(?s)purple.*red, green, blue|purple.*known"):
        evaluate(Eye(), strange, **QUICK)
    records = read_table(table(strange, ["path,label", "green/001.png,green", "purple/000.png,purple"]))
    with pytest.raises(DataError, match="has the classes green, purple, expected red, green, blue"):
        evaluate(Eye(), records, **QUICK)


def test_models_that_cannot_be_measured(tiny: Path, strange: Path) -> None:
    with pytest.raises(MedzooError, match="has no head"):
        evaluate(create_model(tiny, head=None), strange)
    with pytest.raises(MedzooError, match=r"eye knows 3 classes \(red, ...\) of no medical task; fine-tune it first"):
        evaluate(Eye(COLOURS, ""), strange)
    with pytest.raises(MedzooError, match="has 3 outputs without names, and strange has the classes green, red"):
        evaluate(Eye((), ""), strange)
    with pytest.raises(DataError, match="strange is multiclass, and eye is multilabel"):
        evaluate(Eye(COLOURS, "multilabel"), strange)
    with pytest.raises(MedzooError, match="a Linear does not define how images are prepared"):
        evaluate(nn.Linear(1, 1), strange)
    with pytest.raises(MedzooError, match="no test-time augmentation named 'flip'"):
        evaluate(Eye(), strange, tta="flip")


def test_outputs_without_names_take_the_datas(data: Path) -> None:
    found = evaluate(Eye((), ""), data, **QUICK)
    assert found.predictions.classes == ("blue", "green", "red")
    assert found.notes[-1] == "The model has no class names: its outputs are taken to be blue, green, red."


def test_every_unreadable_image_is_named(data: Path) -> None:
    for name in ("red/001.png", "blue/009.png"):
        (data / name).write_bytes(b"")
    with pytest.raises(UnreadableError, match="2 of 12 images cannot be read") as caught:
        evaluate(Eye(), data, **QUICK)
    assert [name for name, _ in caught.value.rejected] == ["blue/009.png", "red/001.png"]


def test_it_reads_well(data: Path) -> None:
    text = str(evaluate(Eye(), data, **QUICK))
    assert text.startswith("eye on data, ")
    assert "accuracy" in text
    assert isinstance(evaluate(Eye(), data, **QUICK), Evaluation)


def test_the_command(tiny: Path, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", ("red", "green"), each=3)
    paths = sorted(path.relative_to(data).as_posix() for path in data.glob("*/*.png"))
    file = table(data, ["file,grade,who", *(f"{path},{'low' if 'red' in path else 'mid'},{path}" for path in paths)])
    words = ["evaluate", str(tiny), str(file), "--path-column", "file", "--label-column", "grade"]
    words += ["--patient-column", "who", "--bootstrap", "0", "--device", "cpu"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metrics"]["groups"] == 6
    assert json.loads(done.stdout)["metrics"] == json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert "6 images of 6 patients" in CliRunner().invoke(app, words).stdout
    refused = CliRunner().invoke(app, [*words, "--out", str(data)])
    assert isinstance(refused.exception, MedzooError)
    assert "holds other files than an evaluation" in str(refused.exception)


def test_a_fine_tuned_model_on_its_own_data_says_that_some_may_have_trained_it(
    tiny: Path, data: Path, tmp_path: Path
) -> None:
    report = finetune(tiny, data, strategy="linear_probe", image_size=32, device="cpu")
    report.save(tmp_path / "out")
    (said,) = (note for note in evaluate(tmp_path / "out", data, **QUICK).notes if "may have trained it" in note)
    assert f"{12 - len(report.ids)} of these 12 images" in said
    found = read_folder(data)
    mine = found.take(np.flatnonzero(np.isin(found.ids, report.ids)))
    assert not any("may have trained it" in note for note in evaluate(tmp_path / "out", mine, **QUICK).notes)
    other = data.rename(tmp_path / "another")
    assert not any("may have trained it" in note for note in evaluate(tmp_path / "out", other, **QUICK).notes)
