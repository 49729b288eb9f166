"""Hugging Face data sets: columns found or named, splits, hidden labels, and the same pixels as from a file."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medzoo import read_dataset
from medzoo.contamination.audit import leave_out
from medzoo.contamination.image_hashes import hashes_of
from medzoo.contamination.seen_images import Seen
from medzoo.core.errors import DataError, UnreadableError
from medzoo.data.geometry import Geometry
from medzoo.data.holdout import hold_out
from medzoo.data.huggingface import is_dataset
from medzoo.data.opening import open_dataset, open_images
from medzoo.finetuning.finetune import finetune

datasets = pytest.importorskip("datasets")
SIZE = Geometry(8, 8)
GRADES = datasets.ClassLabel(names=["none", "mild", "severe"])


def png(value: int, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((9, 7), value, np.uint8)).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def made(values: list[int], features: dict[str, Any] | None = None, **columns: list[Any]) -> Any:
    """A data set with an image of each value and other columns."""
    types = datasets.Features({"image": datasets.Image(), **(features or {})})
    return datasets.Dataset.from_dict({"image": [{"bytes": png(v), "path": None} for v in values], **columns}, types)


def test_the_columns_are_found_and_the_class_names_known() -> None:
    features = {"label": GRADES, "Patient ID": datasets.Value("int64"), "split": datasets.Value("string")}
    data = made(
        [0, 50, 100, 150],
        features,
        **{"label": [0, 2, 0, 2], "Patient ID": [7, 8, None, 8], "split": ["train", "test", "train", "test"]},
    )
    examples = open_dataset(data).decode(SIZE)
    assert (examples.classes, examples.task) == (("none", "mild", "severe"), "multiclass")
    assert examples.targets.argmax(1).tolist() == [0, 2, 0, 2]
    assert examples.images[:, 0, 0, 0].tolist() == [0, 50, 100, 150] and examples.ids == ("0", "1", "2", "3")
    assert examples.patients is not None and examples.patients.tolist() == ["7", "8", "", "8"]
    assert examples.splits is not None and examples.splits.tolist() == ["train", "test"] * 2
    assert open_dataset(data, task="ordinal").decode(SIZE).task == "ordinal"


def test_the_parts_of_a_dictionary_are_the_own_split() -> None:
    parts = {
        "train": made([10, 20, 30], {"label": GRADES}, label=[0, 1, 2]),
        "test": made([40], {"label": GRADES}, label=[1]),
    }
    for data in (parts, datasets.DatasetDict(parts)):
        examples, held_out = hold_out(open_dataset(data).decode(SIZE), None, SIZE)
        assert examples.ids == ("train/0", "train/1", "train/2", "test/0") and held_out.tolist() == [False] * 3 + [True]
        assert examples.images[:, 0, 0, 0].tolist() == [10, 20, 30, 40]
        with pytest.raises(DataError, match="a part named 'extra'; expected train, validation and test"):
            open_dataset({**data, "extra": parts["test"]})
    other = made([40], {"label": datasets.ClassLabel(names=["x", "y"])}, label=[1])
    with pytest.raises(DataError, match="the parts train, test of the data set have different columns or classes"):
        open_dataset({"train": parts["train"], "test": other})


def test_labels_of_every_kind() -> None:
    several = datasets.Sequence(datasets.ClassLabel(names=["mass", "edema"]))
    sets = open_dataset(made([0, 1, 2, 3], {"labels": several}, labels=[[0], [], [0, 1], None]))
    assert (sets.classes, sets.task) == (("mass", "edema"), "multilabel")
    np.testing.assert_array_equal(sets.targets, [[1, 0], [0, 0], [1, 1], [np.nan, np.nan]])
    rows = open_dataset(
        made([0, 1], {"label": datasets.Sequence(datasets.Value("float32"))}, label=[[1, np.nan], [0, 1]])
    )
    np.testing.assert_array_equal(rows.targets, [[1, np.nan], [0, 1]])
    names = made([0, 1], {"dx": datasets.Value("string")}, dx=["ill", "well"])
    assert read_dataset(names, label="dx").classes == ("ill", "well")
    flags = {"a": datasets.Value("bool"), "b": datasets.Value("int8")}
    marked = read_dataset(made([0, 1], flags, a=[True, None], b=[0, 1]), label=["a", "b"])
    np.testing.assert_array_equal(marked.targets, [[1, 0], [np.nan, 1]])


def test_text_means_what_it_means_in_a_table() -> None:
    text = datasets.Value("string")
    columns = {"dx": ["Mass|Edema", "Mass", "nan"], "patient": ["007", "7", "unknown"]}
    data = made([0, 1, 2], {"dx": text, "patient": text}, **columns)
    with pytest.raises(DataError, match=r"item 0: 'Mass\|Edema' seems to be several labels"):
        read_dataset(data, label="dx")
    found = read_dataset(data, label="dx", label_separator="|")
    np.testing.assert_array_equal(found.targets, [[1, 1], [0, 1], [np.nan, np.nan]])
    assert found.patients is not None and found.patients.tolist() == ["007", "007", ""]
    lists = made([0, 1, 2], {"dx": datasets.Sequence(text)}, dx=[["b", "a"], [], None])
    np.testing.assert_array_equal(read_dataset(lists, label="dx").targets, [[1, 1], [0, 0], [np.nan, np.nan]])
    marks = made([0, 10, 20], {"label": datasets.Value("float32")}, label=[0.0, -1.0, 1.0])
    with pytest.raises(DataError, match=r"-1 .1 images. means uncertain"):
        read_dataset(marks)
    certain = read_dataset(marks, uncertain="ignore")
    assert certain.ids == ("0", "2") and certain.decode(SIZE).images[:, 0, 0, 0].tolist() == [0, 20]


def test_what_cannot_be_read_says_so() -> None:
    with pytest.raises(DataError, match=r"no column of labels among image, dx; say which .*label="):
        open_dataset(made([0, 1], {"dx": datasets.Value("string")}, dx=["a", "b"]))
    with pytest.raises(DataError, match=r"item 1 has no label, and 2 of 3 images in all have none"):
        open_dataset(made([0, 1, 2], {"label": GRADES}, label=[0, -1, -1]))
    two = made([0, 1], {"label": GRADES, "mask": datasets.Image()}, label=[0, 1], mask=[None, None])
    with pytest.raises(DataError, match="the columns image, mask hold images; say which"):
        open_dataset(two)
    assert len(read_dataset(two, image="image")) == 2
    with pytest.raises(DataError, match=r"no column named 'img'.*\(say which with image=\)"):
        read_dataset(two, image="img")
    with pytest.raises(DataError, match="is empty"):
        open_dataset(made([], {"label": GRADES}, label=[]))
    streamed = SimpleNamespace(features={}, column_names=[])
    assert is_dataset(streamed) and not is_dataset({}) and not is_dataset({"train": 3})
    with pytest.raises(DataError, match="streaming=False"):
        open_dataset(streamed)


def test_unreadable_rows_are_listed() -> None:
    data = made([0, 1, 2], {"label": GRADES}, label=[0, 1, 2])
    broken = datasets.Dataset.from_dict(
        {"image": [{"bytes": png(1), "path": None}, {"bytes": b"broken", "path": None}, None], "label": [0, 1, 2]},
        data.features,
    )
    with pytest.raises(UnreadableError, match="2 of 3 images") as caught:
        open_dataset(broken).decode(SIZE)
    assert [name for name, _ in caught.value.rejected] == ["1", "2"]


def test_the_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "deep.png"  # 16 bits and a format set: both would be lost by the data set's own decoding
    Image.fromarray(np.linspace(0, 65535, 12 * 11).reshape(12, 11).astype(np.uint16)).save(file)
    features = datasets.Features({"image": datasets.Image(), "label": GRADES})
    data = datasets.Dataset.from_dict({"image": [str(file), str(file)], "label": [0, 1]}, features).with_format("torch")
    examples = open_dataset(data).decode(SIZE)
    expected = open_dataset(([file, file], [0, 1])).decode(SIZE)
    np.testing.assert_array_equal(examples.images, expected.images)
    np.testing.assert_array_equal(hashes_of(open_images(data)), hashes_of(open_images([file, file])))


def test_rows_are_left_out_without_reading_them_all() -> None:
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)) for _ in range(4)]
    features = datasets.Features({"image": datasets.Image(), "label": GRADES})
    data = datasets.Dataset.from_dict({"image": images, "label": [0, 1, 2, 0]}, features)
    hashes = hashes_of(open_images(data))
    seen = Seen(hashes[1:2], ("other",), np.zeros(1, np.uint8), np.zeros(1, np.uint64))
    examples, audit = leave_out(open_dataset(data), SIZE, seen)
    assert audit.seen.tolist() == [False, True, False, False]
    assert examples.ids == ("0", "2", "3") and examples.targets.argmax(1).tolist() == [0, 2, 0]


def test_finetune_takes_a_dictionary_of_data_sets(tiny: Path) -> None:
    label = datasets.ClassLabel(names=["dark", "light"])
    train = made([20, 30, 220, 230] * 2, {"label": label}, label=[0, 0, 1, 1] * 2)
    test = made([25, 225], {"label": label}, label=[0, 1])
    report = finetune(tiny, {"train": train, "test": test}, epochs=1, batch_size=4, device="cpu", head="linear")
    assert report.ids == ("test/0", "test/1") and report.model.medzoo.classes == ("dark", "light")
    assert any("own test images" in note for note in report.data["notes"])
