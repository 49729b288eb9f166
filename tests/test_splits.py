"""Splits by patient: whole, repeatable, independent of the order of the rows, stratified, of the size asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.core.errors import DataError
from medzoo.data.splits import fold_of, groups_of, holdout


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Multi-hot targets with gaps, and patients with one to many images."""
    images = draw(st.integers(4, 60))
    classes = draw(st.integers(1, 4))
    cells = st.sampled_from([0.0, 1.0, np.nan])
    row = st.lists(cells, min_size=classes, max_size=classes)
    targets = draw(st.lists(row, min_size=images, max_size=images))
    patients = draw(st.lists(st.integers(0, images), min_size=images, max_size=images))
    return np.array(targets, np.float32), np.array([f"patient:{p}" for p in patients])


@settings(max_examples=60, deadline=None)
@given(data_sets(), st.integers(2, 5), st.integers(0, 3))
def test_groups_stay_whole_and_every_fold_has_images(data: tuple, folds: int, seed: int) -> None:
    targets, groups = data
    if len(set(groups)) < folds:
        with pytest.raises(DataError, match=f"cannot be split into {folds} folds"):
            fold_of(targets, groups, folds, seed)
        return
    fold = fold_of(targets, groups, folds, seed)
    assert fold.shape == (len(groups),)
    assert set(fold) <= set(range(folds))
    for group in set(groups):
        assert len(set(fold[groups == group])) == 1


@settings(max_examples=60, deadline=None)
@given(data_sets(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(data: tuple, seed: int, random: object) -> None:
    targets, groups = data
    if len(set(groups)) < 2:
        return
    order = list(range(len(groups)))
    random.shuffle(order)  # type: ignore[attr-defined]
    here = holdout(targets, groups, 0.25, seed)
    there = holdout(targets[order], groups[order], 0.25, seed)
    assert (here[order] == there).all()
    assert (here == holdout(targets, groups, 0.25, seed)).all()


@settings(max_examples=60, deadline=None)
@given(data_sets(), st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5]), st.integers(0, 3))
def test_both_sides_have_images(data: tuple, fraction: float, seed: int) -> None:
    targets, groups = data
    if len(set(groups)) >= 2:
        held_out = holdout(targets, groups, fraction, seed)
        assert held_out.any()
        assert not held_out.all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=10, max_size=80),
    st.sampled_from([(0.1, 10), (0.2, 5), (0.25, 4), (0.5, 2)]),
    st.integers(0, 3),
)
def test_single_images_are_dealt_out_class_by_class(labels: list[int], share: tuple[float, int], seed: int) -> None:
    """Of n images of a class, floor(n * share) or one more are held out."""
    fraction, folds = share
    held_out = holdout(np.eye(4)[labels], [f"image:{i}" for i in range(len(labels))], fraction, seed)
    for label in set(labels):
        mine = np.array(labels) == label
        assert mine.sum() // folds <= held_out[mine].sum() <= -(-mine.sum() // folds)


def test_the_seed_changes_the_split() -> None:
    targets, groups = np.eye(2)[[0, 1] * 50], [f"image:{i}" for i in range(100)]
    splits = {holdout(targets, groups, 0.2, seed).tobytes() for seed in range(5)}
    assert len(splits) == 5


def test_a_split_is_the_same_on_every_platform() -> None:
    """Written down once: a change of the method would move every published split."""
    targets, groups = np.eye(3)[[0, 0, 1, 1, 2, 2, 0, 1, 2, 0]], list("abcdefghij")
    assert fold_of(targets, groups, 2, 0).tolist() == FOLDS


FOLDS = [0, 1, 1, 0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("fraction", [0, -0.1, 0.51, 1.0, float("nan")])
def test_a_share_out_of_range(fraction: float) -> None:
    with pytest.raises(DataError, match=r"is not in \(0, 0.5\]"):
        holdout(np.eye(2)[[0, 1] * 4], list("abcdefgh"), fraction, 0)


def test_one_patient_cannot_be_split() -> None:
    with pytest.raises(DataError):
        holdout(np.eye(2)[[0, 1]], ["patient:a", "patient:a"], 0.2, 0)


@pytest.mark.parametrize("fraction", [0.01, 0.02, 0.03, 0.07, 0.15, 0.3, 1 / 3, 0.4])
def test_the_share_is_about_what_was_asked_for(fraction: float) -> None:
    held_out = holdout(np.eye(2)[[0, 1] * 500], [f"image:{i}" for i in range(1000)], fraction, 0)
    assert held_out.mean() == pytest.approx(fraction, abs=0.005)


def test_large_patients_do_not_push_the_share_far_off() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([f"patient:{i}" for i in range(82)], rng.integers(20, 170, 82))  # as BreakHis
    held_out = holdout(np.eye(2)[rng.integers(0, 2, len(groups))], groups, 0.1, 0)
    assert held_out.mean() == pytest.approx(0.1, abs=0.02)


def test_a_patient_and_an_image_of_one_name_are_two_groups() -> None:
    groups = groups_of(["p1", "b"], np.array(["", "p1"]))
    assert len(set(groups)) == 2
    assert groups_of(["a", "b"], None).tolist() == ["image:a", "image:b"]
