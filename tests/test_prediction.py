"""``predict``: any form of image in, named probabilities out, in order and whatever the batch size."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from makers import class_folders, pictures, save_bundle
from PIL import Image
from typer.testing import CliRunner

from medzoo import create_model, evaluate, predict
from medzoo.__main__ import app
from medzoo.core.errors import DataError, MedzooError, UnreadableError
from medzoo.data.geometry import Geometry
from medzoo.engine.augment import AUGMENTS
from medzoo.inference.image_stream import decode_chunks
from medzoo.inference.predict import Predictions
from medzoo.inference.tta import TTA, TTATransform

IMAGES = pictures(("red", "green", "blue"), 2)[0]
RGB_FLOATS = IMAGES[0].astype(np.float32)  # of a range that is refused


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


def test_every_unreadable_image_is_named_before_the_network_works(
    model: Any, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files[1].write_bytes(b"")
    files[3].write_bytes(files[3].read_bytes()[:200])
    files[4].unlink()

    def never(*_: Any) -> None:
        raise AssertionError("the network worked")

    monkeypatch.setattr("medzoo.inference.predict.predict_logits", never)
    with pytest.raises(UnreadableError, match=r"3 of 6 images cannot be read: .*1\.png: the file is empty") as caught:
        predict(model, files)
    assert [name for name, _ in caught.value.rejected] == [str(files[i]) for i in (1, 3, 4)]
    with pytest.raises(UnreadableError, match="2 of 2 images cannot be read"):
        predict(model, [files[1], files[4]], skip_unreadable=True)


@pytest.mark.parametrize("room", [1, 2 * 32 * 32 * 3, 2**30])
def test_unreadable_images_can_be_left_out_whatever_the_chunks(
    model: Any, files: list[Path], monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    want = predict(model, files, batch_size=1).probabilities
    monkeypatch.setattr("medzoo.inference.predict.decode_chunks", partial(decode_chunks, room=room))
    np.testing.assert_array_equal(predict(model, files, batch_size=1).probabilities, want)
    bad = [*files[:3], RGB_FLOATS, *files[3:]]
    files[5].write_bytes(b"no image")
    with pytest.raises(UnreadableError, match=r"2 of 7 images cannot be read: image 3: float values") as caught:
        predict(model, bad)
    assert [name for name, _ in caught.value.rejected] == ["3", str(files[5])]
    found = predict(model, bad, batch_size=1, skip_unreadable=True)
    assert found.ids == tuple(map(str, files[:5]))
    assert [name for name, _ in found.unreadable] == ["3", str(files[5])]
    np.testing.assert_array_equal(found.probabilities, want[:5])
    assert len(found.to_dicts()) == len(found.to_csv().splitlines()) - 1 == 5


def test_what_looks_wrong_is_said_whatever_the_chunks(
    model: Any, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "black.png")
    Image.new("RGB", (40, 40), (200, 90, 90)).save(tmp_path / "flat.png")
    monkeypatch.setattr("medzoo.inference.image_stream.ROOM", 1)  # a chunk an image
    found = predict(model, [*files, tmp_path / "black.png", tmp_path / "flat.png"])
    total = len(files) + 2
    assert [one.what for one in found.warnings] == [
        f"1 of {total} images are nearly {x}" for x in ("black", "constant")
    ]
    assert f"warning: 1 of {total} images are nearly black: {tmp_path / 'black.png'}" in capsys.readouterr().err
    labels = ["low", "mid", "high", "low"]
    measured = evaluate(model, ([np.zeros((40, 40), np.uint8), *IMAGES][: len(labels)], labels), bootstrap=0)
    assert "1 of 4 images are nearly black." in measured.notes


def test_memory_does_not_grow_with_the_number_of_images(model: Any, files: list[Path]) -> None:
    sizes = [chunk.images.nbytes for chunk in decode_chunks(["x"] * 600, files * 100, Geometry(32, 32), room=40_000)]
    assert max(sizes) <= 40_000
    assert sum(sizes) == 600 * 32 * 32 * 3


def test_a_column_of_paths(model: Any, files: list[Path]) -> None:
    want = predict(model, files)
    for column in (np.array([str(path) for path in files]), pd.Series([str(path) for path in files])):
        found = predict(model, column)
        np.testing.assert_array_equal(found.probabilities, want.probabilities)
        assert found.ids == want.ids


@pytest.mark.parametrize(("tta", "count"), [("none", 1), ("light", 5), ("cxr", 5), ("efi", 4), ("hwsi", 8)])
def test_views_show_what_the_area_allows(tta: str, count: int) -> None:
    views, allowed = TTA[tta].transforms, AUGMENTS[tta]
    assert len(views) == len(set(views)) == count
    assert views[0] == TTATransform()
    for view in views:
        assert allowed.flip_x or not (view.flip_x or view.transpose)
        assert allowed.flip_y or not (view.flip_y or view.transpose)
        assert max(abs(view.right), abs(view.down)) <= allowed.shift
    assert set(TTA) == set(AUGMENTS)
    pictures_seen = {view(torch.arange(48 * 48.0).view(1, 1, 48, 48)).numpy().tobytes() for view in views}
    assert len(pictures_seen) == count


def test_a_view_is_what_it_says() -> None:
    image = torch.arange(100.0).view(1, 1, 10, 10)
    values = image[0, 0].numpy()
    dihedral = {view(image)[0, 0].numpy().tobytes() for view in TTA["hwsi"].transforms}
    turns = [np.rot90(flipped, turn) for flipped in (values, values[:, ::-1]) for turn in range(4)]
    assert dihedral == {np.ascontiguousarray(turn).tobytes() for turn in turns}
    moved = TTATransform(right=0.2, down=-0.1)(image)[0, 0].numpy()
    np.testing.assert_array_equal(moved[:-1, 2:], values[1:, :-2])
    np.testing.assert_array_equal(moved[:-1, :2], values[1:, :1].repeat(2, 1))
    np.testing.assert_array_equal(moved[-1, 2:], values[-1, :-2])


def test_averaging_over_views_is_the_mean_of_predictions(model: Any) -> None:
    squares = [np.ascontiguousarray(image[:32, :32]) for image in IMAGES]  # the size seen: resizing rounds
    turned = [
        predict(model, [np.ascontiguousarray(np.rot90(flip(image), turn)) for image in squares]).probabilities
        for flip in (np.asarray, np.fliplr)
        for turn in range(4)
    ]
    found = predict(model, squares, tta="hwsi").probabilities
    np.testing.assert_allclose(found, np.mean(turned, 0), atol=1e-6)
    assert not np.allclose(found, turned[0], atol=1e-6)
    # So the prediction no longer depends on how the tissue lies on the glass.
    again = predict(model, [np.ascontiguousarray(np.rot90(image)) for image in squares], tta="hwsi").probabilities
    np.testing.assert_allclose(again, found, atol=1e-6)
    with pytest.raises(MedzooError, match="no test-time augmentation named 'hswi'; did you mean 'hwsi'"):
        predict(model, squares, tta="hswi")


def test_a_model_from_elsewhere_says_what_to_do() -> None:
    with pytest.raises(MedzooError, match="a Linear does not define how images are prepared; make it with"):
        predict(torch.nn.Linear(1, 1), IMAGES)


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


def test_the_command_writes_overlays_and_names_what_it_leaves_out(
    tiny: Path, files: list[Path], tmp_path: Path
) -> None:
    files[2].write_bytes(b"")
    out, heat = tmp_path / "new" / "p.csv", tmp_path / "heat"
    words = ["predict", str(tiny), str(tmp_path), "--out", str(out), "--gradcam", str(heat), "--device", "cpu"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, UnreadableError)
    assert not out.exists()
    assert not heat.exists()
    done = CliRunner().invoke(app, [*words, "--skip-unreadable", "--tta", "light"])
    assert done.exit_code == 0, done.output
    assert "2.png: the file is empty" in done.stderr
    assert len(out.read_text().splitlines()) == 6
    assert [path.name[:8] for path in sorted(heat.iterdir())] == [f"{n:05}_{n}_" for n in (0, 1, 3, 4, 5)]
    again = CliRunner().invoke(app, words)
    assert "heat is there already" in str(again.exception)


def test_labels_follow_the_threshold() -> None:
    two = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    names = {"ids": ("0", "1"), "classes": ("no", "yes"), "probabilities": two}
    assert Predictions(task="binary", **names).labels == ["no", "yes"]
    assert Predictions(task="binary", threshold=(0.05, 0.05), **names).labels == ["yes", "yes"]
    assert Predictions(task="multilabel", threshold=(0.95, 0.05), **names).labels == ["yes", "yes"]
