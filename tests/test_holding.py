"""What is held out: the data's own split, a share, a mask or other data; and what a reader is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.data.geometry import Geometry
from medzoo.data.holdout import hold_out as hold_out_opened
from medzoo.data.holdout import open_validation, own_selection, shared_patients
from medzoo.data.tasks import one_hot
from medzoo.finetuning.split import split_dataset

SIZE = Geometry(4, 4)


def examples(labels: str, splits: str = "", patients: list[str] | None = None, classes: str = "ab") -> Examples:
    """One image for each letter of ``labels``; splits as letters: t(rain), v(al), e (test), - (none)."""
    names = {"t": "train", "v": "val", "e": "test", "-": ""}
    return ImageDataset(
        "mine",
        np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8),
        tuple(f"{i}.png" for i in range(len(labels))),
        one_hot([classes.index(label) for label in labels], len(classes)),
        tuple(classes),
        "binary" if len(classes) == 2 else "multiclass",
        None if patients is None else np.array(patients),
        splits=np.array([names[letter] for letter in splits]) if splits else None,
    )


def hold_out(data: Examples, validation: Any = None) -> tuple[Examples, NDArray[np.bool_]]:
    return hold_out_opened(data, open_validation(validation, data), SIZE)


def notes_of(data: Examples, validation: Any = None) -> str:
    return " ".join(hold_out(data, validation)[0].notes)


@pytest.mark.parametrize(
    ("splits", "held_out", "note"),
    [
        ("tttteett", [4, 5], "own test images"),
        ("ttttvvtt", [4, 5], "own validation images"),
        ("ttvveett", [4, 5], "Its 2 validation images choose the epoch with early stopping"),
        ("----ee--", [4, 5], "6 images of no split are trained on"),
    ],
)
def test_the_own_split_is_used_by_default(splits: str, held_out: list[int], note: str) -> None:
    data = examples("abababab", splits)
    assert np.flatnonzero(hold_out(data, None)[1]).tolist() == held_out
    assert note in notes_of(data)


def test_a_share_overrides_the_own_split_and_says_so() -> None:
    data = examples("ab" * 5, "t" * 8 + "ve")
    assert "own split (train, val, test) is not used" in notes_of(data, 0.3)
    assert hold_out(data, 0.3)[1].sum() == 3
    for one_side in (None, "t" * 10, "e" * 10):  # nothing to hold out by: a fifth
        data = examples("ab" * 5, one_side or "")
        assert hold_out(data, None)[1].sum() == 2 and "own split" not in notes_of(data)


def test_the_epoch_is_chosen_by_the_own_validation_images() -> None:
    data = examples("abababab", "ttttvvee")
    held_out = hold_out(data, None)[1]
    split = split_dataset(data, held_out, selecting=True, seed=0)
    assert (split.train.tolist(), split.val.tolist(), split.test.tolist()) == ([0, 1, 2, 3], [4, 5], [6, 7])
    assert split_dataset(data, held_out, selecting=False, seed=0).train.tolist() == [0, 1, 2, 3, 4, 5]
    data = examples("abababab", "ttttttvv")  # held out themselves
    assert own_selection(data, hold_out(data, None)[1]) is None


def test_early_stopping_needs_an_own_split_by_patient() -> None:
    data = examples("abababab", "ttttvvee", ["p1", "p2", "p3", "", "p1", "", "p4", "p5"])
    held_out = hold_out(data, None)[1]
    with pytest.raises(DataError, match=r"1 patients \(p1\) are among both the training and the validation.*leave pat"):
        split_dataset(data, held_out, selecting=True, seed=0)
    assert len(split_dataset(data, held_out, selecting=False, seed=0).train) == 6


@pytest.mark.parametrize("form", [list, tuple, torch.tensor, np.array])
def test_a_mask_of_any_form(form: Any) -> None:
    mask = [True, False, False, True, False, False]
    assert hold_out(examples("ababab"), form(mask))[1].tolist() == mask
    with pytest.raises(DataError, match=r"the validation mask has shape \(2,\), the data set 6 images"):
        hold_out(examples("ababab"), form([True, False]))


def test_copies_on_both_sides_are_said() -> None:
    data = examples("abababab", "tttteeee")
    assert "pixel for pixel" not in notes_of(data)
    data.images[4:6] = data.images[0]
    assert "2 of 4 held-out images are, pixel for pixel, among those trained on too" in notes_of(data)


def test_patients_on_both_sides_are_an_error_where_the_sides_were_given() -> None:
    patients = ["p1", "p2", "p1", "p3", "p2", "", "", "p4"]
    data = examples("abababab", "ttteeeet", patients)
    with pytest.raises(DataError, match=r"1 patients \(p2\) are on both sides.*validation=0.2 makes one by patient"):
        hold_out(data, None)
    shared, held_out = hold_out(data, 0.25)
    assert shared_patients(shared, held_out) == []
    mask = data.splits == "test"
    assert "1 patients are on both sides of the mask" in notes_of(data, mask)
    assert "patients of 2 of 8 images are not known" in notes_of(data, 0.25)
    with pytest.raises(
        DataError, match=r"3 patients \(p1, p2, p4\).*read one without \(patient=''\) if they are others"
    ):
        hold_out(data.take(np.array([0, 1, 7])), data)


def test_other_data_is_joined_and_its_classes_brought_into_order() -> None:
    train = examples("abcabc", patients=list("uvwxyz"), classes="abc")
    other = examples("cb", classes="bc")
    joined, held_out = hold_out(train, replace(other, task="multiclass"))
    assert held_out.tolist() == [False] * 6 + [True] * 2
    assert joined.targets[held_out].argmax(1).tolist() == [2, 1]
    assert joined.patients is not None and joined.patients.tolist() == [*"uvwxyz", "", ""]
    assert "No held-out image is a: not measured." in joined.notes
    np.testing.assert_array_equal(joined.images, np.concatenate([train.images, other.images]))
    with pytest.raises(DataError, match="mine has the classes a, d, expected a, b, c; the names must be the same"):
        hold_out(train, replace(examples("ad", classes="ad"), task="multiclass"))
    with pytest.raises(DataError, match="the validation set is binary, the training set multiclass"):
        hold_out(train, examples("ab"))
    pixels = np.zeros((2, 5, 5, 3), np.uint8)  # one class alone can be measured
    assert hold_out(train, (pixels, ["b", "b"]))[0].counts(slice(6, 8)) == {"a": 0, "b": 2, "c": 0}


def test_sides_that_cannot_be_learnt_from() -> None:
    with pytest.raises(DataError, match="all 2 images to train on are of one class, of a, b"):
        hold_out(examples("aab", "tte"), None)
    with pytest.raises(DataError, match="1 image cannot be split"):
        hold_out(examples("a"), 0.2)
    with pytest.raises(DataError, match="0 of 2 images are held out"):
        hold_out(examples("ab"), np.zeros(2, bool))
    assert "No image to train on is c." in notes_of(examples("abcab", "tteet", classes="abc"))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    labels=st.text("abc", min_size=1, max_size=24),
    splits=st.text("tve-", min_size=24, max_size=24),
    people=st.lists(st.sampled_from(["", *"uvwxyz"]), min_size=24, max_size=24),
    known=st.booleans(),
    validation=st.sampled_from([None, 0.1, 0.2, 0.5]),
)
def test_any_data_is_divided_honestly_or_refused(
    labels: str, splits: str, people: list[str], known: bool, validation: float | None
) -> None:
    size = len(labels)
    data = examples(labels, splits[:size], people[:size] if known else None, classes="abc")
    try:
        divided, held_out = hold_out(data, validation)
    except DataError as error:
        assert (
            "cannot" in str(error)
            or "one class" in str(error)
            or "both sides" in str(error)
            or "held out" in str(error)
        )
        return
    assert held_out.any() and not held_out.all() and len(divided) == size
    assert shared_patients(divided, held_out) == []
    assert len(set(np.array(list(labels))[~held_out])) > 1
    again = hold_out(data, validation)[1]
    np.testing.assert_array_equal(held_out, again)
    assert ("No patients are known" in " ".join(divided.notes)) == (not known)
