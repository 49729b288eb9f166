"""``predict``: any form of image in, named probabilities out, in order and whatever the batch size."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import class_folders, pictures, save_bundle
from PIL import Image

from medzoo import create_model, predict
from medzoo.errors import DataError, MedzooError
from medzoo.prediction import Predictions

IMAGES = pictures(("red", "green", "blue"), 2)[0]


@pytest.fixture
def model(tiny: Path) -> Any:
    return create_model(tiny)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(len(IMAGES))]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image).save(path)
    return paths


def test_probabilities_have_the_models_classes(model: Any) -> None:
    found = predict(model, IMAGES)
    assert found.classes == ("low", "mid", "high")
    assert found.task == "multiclass"
    assert found.probabilities.shape == (6, 3)
    assert found.probabilities.sum(1) == pytest.approx(np.ones(6))
    assert found.ids == tuple("012345")
    assert found.labels == [found.classes[i] for i in found.probabilities.argmax(1)]
    assert len(found) == 6


def test_every_form_of_an_image_gives_the_same(model: Any, files: list[Path], tmp_path: Path) -> None:
    want = predict(model, IMAGES).probabilities
    forms: dict[str, Any] = {
        "paths": files,
        "strings": [str(path) for path in files],
        "folder": tmp_path,
        "pictures": [Image.fromarray(image) for image in IMAGES],
        "tensors": [torch.from_numpy(image).permute(2, 0, 1) for image in IMAGES],
        "one array": np.stack(IMAGES),
        "one tensor": torch.from_numpy(np.stack(IMAGES)).permute(0, 3, 1, 2),
        "floats": [image / 255 for image in IMAGES],
        "generator": (image for image in IMAGES),
        "tuple": tuple(IMAGES),
    }
    for form, images in forms.items():
        assert predict(model, images).probabilities == pytest.approx(want, abs=1e-6), form


def test_one_image_alone(model: Any, files: list[Path]) -> None:
    want = predict(model, IMAGES).probabilities[:1]
    one = IMAGES[0]
    for image in (files[0], str(files[0]), one, Image.fromarray(one), torch.from_numpy(one).permute(2, 0, 1)):
        assert predict(model, image).probabilities == pytest.approx(want, abs=1e-6)
    assert predict(model, one[..., 0]).probabilities.shape == (1, 3)


def test_a_folder_is_searched_below_and_its_files_named(model: Any, tmp_path: Path) -> None:
    class_folders(tmp_path / "data", each=2)
    assert predict(model, tmp_path / "data").ids == (
        *("green/000.png", "green/001.png"),
        *("red/002.png", "red/003.png"),
    )


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_batch_size_changes_nothing(model: Any, batch_size: int) -> None:
    want = predict(model, IMAGES).probabilities
    assert predict(model, IMAGES, batch_size=batch_size).probabilities == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_an_impossible_batch_size(model: Any, batch_size: int) -> None:
    with pytest.raises(MedzooError, match=f"batch_size is {batch_size}"):
        predict(model, IMAGES, batch_size=batch_size)


def test_a_bundle_by_its_folder(tiny: Path) -> None:
    want = predict(create_model(tiny), IMAGES).probabilities
    assert predict(tiny, IMAGES).probabilities == pytest.approx(want)
    assert predict(str(tiny), IMAGES).probabilities == pytest.approx(want)


def test_dropout_and_norms_are_at_rest(tiny: Path) -> None:
    model = create_model(tiny, num_classes=2).train()
    statistics = [value.clone() for value in model.buffers()]
    first = predict(model, IMAGES).probabilities
    assert np.array_equal(first, predict(model, IMAGES).probabilities)
    assert model.training
    assert all(torch.equal(old, new) for old, new in zip(statistics, model.buffers(), strict=True))


def test_outputs_without_names_are_numbered(tiny: Path) -> None:
    assert predict(create_model(tiny, num_classes=2), IMAGES).classes == ("0", "1")


def test_features_are_no_predictions(tiny: Path) -> None:
    with pytest.raises(MedzooError, match="has no head"):
        predict(create_model(tiny, head=None), IMAGES)


def test_several_labels_at_once(tmp_path: Path) -> None:
    found = predict(save_bundle(tmp_path / "multi", "test_resnet", ("a", "b", "c"), "multilabel"), IMAGES)
    assert ((found.probabilities > 0) & (found.probabilities < 1)).all()
    chances = np.array([[0.5, 0.4, 0.9], [0.1, 0.1, 0.1]], np.float32)
    assert Predictions(("x", "y"), ("a", "b", "c"), "multilabel", chances).labels == ["a|c", ""]


@pytest.mark.parametrize("images", [[], (), np.zeros((0, 32, 32, 3), np.uint8)])
def test_nothing_to_predict(model: Any, images: Any) -> None:
    with pytest.raises(DataError, match="there are no images to predict; give paths"):
        predict(model, images)


def test_an_empty_folder_and_a_missing_file(model: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no images to predict"):
        predict(model, tmp_path)
    with pytest.raises(DataError, match=r"missing\.png: cannot be read \(No such file"):
        predict(model, tmp_path / "missing.png")


def test_an_unreadable_image_is_named(model: Any, files: list[Path]) -> None:
    files[3].write_bytes(files[3].read_bytes()[:200])
    with pytest.raises(DataError, match=r"3\.png: broken or truncated"):
        predict(model, files)


def test_a_wrong_scale_is_refused(model: Any) -> None:
    with pytest.raises(MedzooError):
        predict(model, [IMAGES[0].astype(np.float32)])


def test_an_unknown_device(model: Any) -> None:
    with pytest.raises(MedzooError, match="device 'gpu' is"):
        predict(model, IMAGES, device="gpu")


def test_csv_and_json_say_the_same(model: Any, files: list[Path], tmp_path: Path) -> None:
    found = predict(model, files)
    out = tmp_path / "new" / "predictions"
    with found.save(out.with_suffix(".csv")).open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    rows = json.loads(found.save(out.with_suffix(".json")).read_text())
    assert [row["image"] for row in table] == [row["image"] for row in rows] == [str(path) for path in files]
    assert [row["label"] for row in table] == found.labels
    for line, row, chances in zip(table, rows, found.probabilities, strict=True):
        for label, chance in zip(found.classes, chances, strict=True):
            assert float(line[label]) == pytest.approx(chance, abs=1e-6)
            assert row[label] == pytest.approx(chance, abs=1e-6)
    assert {path.name for path in out.parent.iterdir()} == {"predictions.csv", "predictions.json"}


@pytest.mark.parametrize(("name", "said"), [("p.txt", r"\.txt"), ("p", "a file without suffix")])
def test_another_file_type(model: Any, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=f"predictions cannot be written as {said}; use .csv or .json"):
        predict(model, IMAGES[0]).save(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_names_with_commas_and_quotes_survive(tmp_path: Path) -> None:
    found = Predictions(('a,"b".png',), ("x, y", "z"), "binary", np.array([[0.25, 0.75]], np.float32))
    with found.save(tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file)) == {"image": 'a,"b".png', "label": "z", "x, y": "0.250000", "z": "0.750000"}
