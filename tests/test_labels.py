"""What labels mean, in whatever form they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.core.errors import DataError
from medzoo.data.labels import read_labels

FAST = settings(max_examples=40, deadline=None, derandomize=True)
# How the same class numbers may come.
FORMS: dict[str, Any] = {
    "ints": list,
    "array": np.array,
    "small": lambda labels: np.array(labels, np.uint8),
    "floats": lambda labels: np.array(labels, np.float64),
    "tensor": torch.tensor,
    "tensors": lambda labels: [torch.tensor(label) for label in labels],
    "column": lambda labels: np.array(labels)[:, None],
    "texts": lambda labels: [str(label) for label in labels],
    "decimals": lambda labels: [f"{label}.0" for label in labels],
    "series": lambda labels: pd.Series(labels, index=range(7, 7 + len(labels))),
    "nullable": lambda labels: pd.Series(labels, dtype="Int64"),
}


@FAST
@given(labels=st.lists(st.integers(0, 12), min_size=2, max_size=30), form=st.sampled_from(sorted(FORMS)))
def test_class_numbers_of_any_form_and_count_mean_the_same(labels: list[int], form: str) -> None:
    present = sorted(set(labels))
    if len(present) == 1:
        with pytest.raises(DataError, match=f"all {len(labels)} images are '{labels[0]}'; expected two classes"):
            read_labels(FORMS[form](labels))
        return
    found = read_labels(FORMS[form](labels))
    assert found.classes == tuple(map(str, present))
    assert found.task == ("binary" if len(present) == 2 else "multiclass")
    assert [present[i] for i in found.targets.argmax(1)] == labels
    assert (found.targets.sum(1) == 1).all() and found.targets.dtype == np.float32


MARKS = st.sampled_from([0, 1, None])


@FAST
@given(
    rows=st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(MARKS, min_size=width, max_size=width), min_size=1)),
    form=st.sampled_from(["lists", "array", "tensor"]),
)
def test_rows_of_marks_are_multilabel(rows: list[list[int | None]], form: str) -> None:
    values = np.array([[np.nan if mark is None else mark for mark in row] for row in rows])
    given_rows = {"lists": rows, "array": values, "tensor": torch.from_numpy(values)}[form]
    if np.isnan(values).all():
        with pytest.raises(DataError, match="has a label"):
            read_labels(given_rows)
        return
    found = read_labels(given_rows)
    np.testing.assert_array_equal(found.targets, values)
    assert found.task == "multilabel" and found.classes == tuple(map(str, range(values.shape[1])))
    blank = int(np.isnan(values).all(1).sum())
    assert any("no label at all" in note for note in found.notes) == bool(blank)


def test_names_booleans_and_one_hot_rows() -> None:
    assert read_labels(["b", "a", "b"]).classes == ("a", "b")
    flags = read_labels(np.array([True, False, True]))
    assert flags.classes == ("False", "True") and flags.targets[:, 1].tolist() == [1, 0, 1]
    hot = read_labels(np.eye(3)[[2, 0, 1]], "ordinal", own=("mild", "moderate", "severe"))
    assert (hot.task, hot.classes) == ("ordinal", ("mild", "moderate", "severe"))
    assert hot.targets.argmax(1).tolist() == [2, 0, 1]
    assert read_labels(np.array([[0], [1]]), "multilabel").targets.shape == (2, 1)


def test_numbers_count_the_names_that_a_data_set_gives() -> None:
    own = ("1", "2", "3")
    assert read_labels([0, 2, 2], own=own).targets.argmax(1).tolist() == [0, 2, 2]
    assert read_labels(["1", "3", "3"], own=own).targets.argmax(1).tolist() == [0, 2, 2]
    known = read_labels([1, 1], classes=own)  # learnt from numbers 1 to 3 elsewhere: a name before a number
    assert known.targets.argmax(1).tolist() == [0, 0]
    assert known.notes == ()
    named = read_labels([0, 2], classes=("none", "mild", "severe"))
    assert named.notes == ("the labels are read as numbers of classes, counted from 0: 0 = none, 2 = severe",)
    assert "0 = 1, 2 = 3" in read_labels([0, 2, 2], own=own).notes[0]
    both = read_labels([1, 0], classes=("c", "b", "a"), own=("a", "b"))
    assert both.classes == ("c", "b", "a") and both.targets.argmax(1).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a", None, "b", float("nan")], {}, "item 1 has no label, and 2 of 4 images in all have none"),
        ([0.5, 1.5], {}, "numbers with decimals"),
        ([[0, 1], [1]], {}, "different lengths"),
        ([[[0]], [[1]]], {}, "more than two dimensions"),
        ([[0, 2], [1, 0]], {}, "item 0: 1 is '2'; expected 1, 0 or empty"),
        ([[1, 1], [1, 0]], {"task": "multiclass"}, "item 0 is not of one class"),
        ([[1, 0], [1, 0]], {"own": ("a", "b", "c")}, "rows of 2 labels came with 3 class names"),
        ([0, 1], {"task": "ordinal"}, "task 'ordinal' does not fit 2 classes; allowed: binary"),
        ([0, 1, 3], {"task": "ordinal"}, "an ordinal task needs 0, 1, 2, ... without a gap"),
        (["x", "y", "z"], {"task": "ordinal"}, r"or classes=\[...\] in their order"),
        ([0, 1], {"task": "binray"}, "no task named 'binray'; did you mean 'binary'"),
        ([0, 5], {"own": ("a", "b")}, "item 1: class number 5 of 2 classes, counted from 0"),
        ([0, 5], {"classes": ("a", "b")}, "no class named '0'; known: a, b"),
        ([1, 1], {"own": ("a", "b")}, "all 2 images are 'b'"),
        ([1, 3], {"own": ("1", "2", "3")}, "item 1: class number 3 of 3 classes, counted from 0"),
        ([1, 5], {"classes": tuple("01234")}, r"item 1: no class named '5'.*labels are names, not places"),
        ([0, 4], {"classes": tuple("12345")}, r"item 0: no class named '0'.*labels are names, not places"),
        (["Mass|Edema", "Mass"], {}, "'Mass|Edema' seems to be several labels; give rows of 1 and 0"),
        ([0, 1, -1], {}, "the labels hold 0 and -1, and -1 .1 images. means uncertain"),
        (["a", "nan", "b"], {}, "item 1 has no label .'nan'., and 1 of 3 images"),
        ([1, 2, "NA"], {}, "item 2 has no label .'NA'."),
    ],
)
def test_labels_that_cannot_be_used(labels: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labels(labels, **options)
