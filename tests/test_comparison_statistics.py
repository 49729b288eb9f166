"""The statistics of a comparison: against scipy, and by simulation."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from medzoo.comparison.design import TOO_FEW, advice, detectable
from medzoo.comparison.patients import compare_drawn, draw
from medzoo.comparison.protocol import Protocol
from medzoo.comparison.statistics import corrected, corrected_mean, holm, paired_test, split_ratio
from medzoo.core.errors import DataError, RunError
from medzoo.data.splits import fold_of
from medzoo.metrics import paired_difference


def test_without_overlap_it_is_the_t_test() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 12)
    estimate, p = corrected_mean(values, ratio=0)
    expected = stats.ttest_1samp(values, 0)
    assert p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))


def test_the_correction_widens_as_printed() -> None:
    values = [0.1, 0.4, 0.2, 0.5, 0.3]
    plain, corrected = corrected_mean(values, 0)[0], corrected_mean(values, 0.25)[0]
    assert corrected.high is not None and plain.high is not None and corrected.value is not None
    # (1/n + ratio) instead of 1/n under the root.
    assert (corrected.high - corrected.value) / (plain.high - 0.3) == pytest.approx(((1 / 5 + 0.25) / (1 / 5)) ** 0.5)


@pytest.mark.parametrize(
    ("values", "value", "p"),
    [
        ([], None, None),
        ([np.nan], None, None),
        ([0.5], 0.5, None),
        ([0.1, 0.2, 0.3], 0.2, None),
        ([0.0] * 5, 0.0, 1.0),
        ([0.5] * 5, 0.5, 0.0),
    ],
)
def test_few_or_equal_runs(values: list[float], value: float | None, p: float | None) -> None:
    estimate, found = corrected_mean(values, 0.25)
    assert (estimate.value, found) == (value if value is None else pytest.approx(value), p)
    assert (TOO_FEW in estimate.why) == (0 < np.isfinite(values).sum() < 5)


def test_undefined_runs_are_left_out_and_said() -> None:
    estimate, _ = corrected_mean([0.1, np.nan, 0.3, 0.2, 0.2, 0.2], 0.2)
    assert estimate.value == pytest.approx(0.2) and estimate.low is not None
    assert estimate.why == "undefined in 1 of 6 runs"


def test_no_interval_goes_beyond_what_is_possible() -> None:
    # Three folds on 72 tiles once gave "+0.111 (-0.889 to +1.111)".
    few = paired_test([0.5, -0.1, -0.067], ratio=0.5, limit=1)
    assert (few.difference.low, few.p, few.detectable) == (None, None, None) and few.difference.why == TOO_FEW
    wild = [0.9, -0.8, 0.9, -0.7, 0.8]
    assert (paired_test(wild, 0.25).difference.high or 0) > 1
    assert paired_test(wild, 0.25, limit=1).difference.why == TOO_FEW
    sure = paired_test([0.9, 0.8, 0.9, 0.6, 0.9], 0.25, limit=1)  # what is decided stays decided
    assert (sure.difference.low or 0) > 0 and sure.difference.high == 1


@pytest.mark.parametrize(("folds", "seeds"), [(1, 4), (2, 4), (3, 2), (4, 1)])
def test_designs_without_an_interval_are_told_others(folds: int, seeds: int) -> None:
    said = advice(folds, seeds, 0.2)
    assert said.startswith(f"{folds} folds x" if folds > 1 else "1 split x") and TOO_FEW in said
    for part in said.split("Enough: ")[1].split("; better")[0].split(", or "):
        parts, times = (int(word) for word in re.findall(r"\d+", part))
        assert not advice(parts, times, 0.2)
    assert not advice(5, 1, 0.2) and not advice(5, 3, 0.2)


@pytest.mark.parametrize(("runs", "ratio", "comparisons"), [(5, 0.25, 1), (15, 0.25, 4)])
def test_the_simulated_power_is_that_of_the_test(runs: int, ratio: float, comparisons: int) -> None:
    difference = detectable(runs, ratio, comparisons)
    critical = stats.t.ppf(1 - 0.025 / comparisons, runs - 1)
    exact = stats.nct.sf(critical, runs - 1, difference / np.sqrt(1 / runs + ratio))
    assert exact == pytest.approx(0.8, abs=0.01)


def test_the_probability_of_a_wrong_winner_is_half_of_p() -> None:
    test = paired_test([0.01, 0.03, 0.02, 0.03, 0.02], ratio=0.25)
    assert test.p is not None and test.not_better == pytest.approx(test.p / 2)
    (told,) = corrected([test])
    assert told is not None and test.spread and told.detectable == pytest.approx(test.spread * detectable(5, 0.25))


def test_a_share_of_the_training_images_does_not_change_the_correlation() -> None:
    runs = [{"rows": range(20), "train_images": n, "fraction": f} for n, f in ((80, 1.0), (8, 0.1))]
    assert [split_ratio([run]) for run in runs] == [0.25, 0.25]


def test_patients_are_resampled_once_for_all_seeds() -> None:
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], 40)
    targets = np.eye(2, dtype=np.float32)[label]
    groups = np.array([f"p{i // 2}" for i in range(80)])

    def seeds(skill: float) -> list[tuple[np.ndarray, np.ndarray]]:
        logits = [rng.normal(size=(80, 2)) + skill * targets for _ in range(2)]
        return [(np.arange(80), np.exp(z) / np.exp(z).sum(1, keepdims=True)) for z in logits]

    mine, base = seeds(2.0), seeds(0.5)
    a, b = (draw(targets, found, "binary", ("no", "yes"), groups=groups) for found in (mine, base))
    assert a is not None and b is not None and (a.units, a.images, a.repeats) == (40, 80, 2)
    # One seed is the paired bootstrap of the metrics; two are the mean of both, under the same resamples.
    one = [draw(targets, found[:1], "binary", ("no", "yes"), groups=groups) for found in (mine, base)]
    expected = paired_difference(targets, mine[0][1], base[0][1], "binary", ("no", "yes"), groups=groups)
    assert one[0] and one[1] and compare_drawn(one[0], one[1], "auroc").difference == expected.estimate
    assert a.draws["auroc"] == pytest.approx(
        np.mean([draw(targets, [f], "binary", ("no", "yes"), groups=groups).draws["auroc"] for f in mine], axis=0)  # type: ignore[union-attr]
    )
    told = compare_drawn(a, b, "auroc")
    assert (told.difference.low or 0) > 0 and told.not_better is not None and told.not_better < 0.025
    assert told.error is not None
    # Twice the error needs four times the images.
    many, few = (replace(told, error=error).images_needed(0.03) for error in (0.02, 0.01))
    assert many and few and many == pytest.approx(4 * few, rel=0.05)
    # The seeds of one split hold out different images.
    half = [(rows[:60], found[:60]) if n else (rows[20:], found[20:]) for n, (rows, found) in enumerate(mine)]
    assert (split := draw(targets, half, "binary", ("no", "yes"), groups=groups)) is not None and split.images == 80


def test_holm_agrees_with_scipy_style_step_down() -> None:
    # Worked by hand from Holm (1979): sorted p times 4, 3, 2, 1, never falling.
    assert holm([0.005, 0.04, 0.03, 0.01]) == pytest.approx([0.02, 0.06, 0.06, 0.03])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([None, None]) == [None, None]


def nearest_mean(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A classifier small enough to be trained thousands of times: the nearer of two class means."""
    first, second = (train_x[train_y == label].mean(0) for label in (0, 1))
    return (((x - second) ** 2).sum(1) < ((x - first) ** 2).sum(1)).astype(int)


def fold_scores(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Accuracy on each fold, trained on the others."""
    scores = []
    for fold in range(folds.max() + 1):
        held_out = folds == fold
        scores.append((nearest_mean(x[~held_out], y[~held_out], x[held_out]) == y[held_out]).mean())
    return np.array(scores)


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    """``[studies, 2, runs]``: two equally good views of the same 60 images, 3 x 5 folds, in 500 studies."""
    rng = np.random.default_rng(7)
    y = np.repeat([0, 1], 30)
    hot, ids = np.eye(2)[y], [f"image:{i}" for i in range(60)]
    divisions = [fold_of(hot, ids, 5, seed) for seed in range(3)]
    studies = []
    for _ in range(500):
        shared = rng.normal(size=(60, 2))
        views = [np.hstack([shared, rng.normal(size=(60, 3))]) + 0.7 * y[:, None] for _ in range(2)]
        studies.append([np.concatenate([fold_scores(view, y, d) for d in divisions]) for view in views])
    return np.array(studies)


def test_the_paired_test_keeps_its_level(simulated: np.ndarray) -> None:
    p = [corrected_mean(one - other, 0.25)[1] for one, other in simulated]
    alarms = np.mean([value is not None and value < 0.05 for value in p])
    assert alarms <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(p))
    # The plain paired t-test takes the runs for independent, and cries wolf far more often.
    plain = np.mean(
        [stats.ttest_1samp(one - other, 0).pvalue < 0.05 for one, other in simulated if (one != other).any()]
    )
    assert plain > 2 * alarms


def test_the_intervals_cover(simulated: np.ndarray) -> None:
    truth = simulated[:, 0].mean()
    inside = []
    for one, _ in simulated:
        estimate = corrected_mean(one, 0.25)[0]
        assert estimate.low is not None and estimate.high is not None
        inside.append(estimate.low <= truth <= estimate.high)
    assert 0.93 <= np.mean(inside) <= 1.0


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(1)
    found = [corrected_mean(rng.normal(0.05, 0.03, 15), 0.25)[1] for _ in range(200)]
    assert np.mean([p is not None and p < 0.05 for p in found]) > 0.6


def labels(patients: int, images: int = 3) -> tuple[np.ndarray, np.ndarray]:
    groups = np.repeat([f"patient:{i}" for i in range(patients)], images)
    return np.eye(2)[np.repeat(np.arange(patients) % 2, images)], groups


def test_folds_hold_out_every_image_once_and_no_patient_twice() -> None:
    targets, groups = labels(20)
    splits = list(Protocol(seeds=2, folds=4).splits(targets, groups))
    assert [(s.repeat, s.fold) for s in splits] == [(r, f) for r in range(2) for f in range(4)]
    for repeat in range(2):
        held_out = np.concatenate([s.test for s in splits if s.repeat == repeat])
        assert sorted(held_out.tolist()) == list(range(60))
    for split in splits:
        assert not set(groups[split.train]) & set(groups[split.test])
        assert targets[split.test].mean(0) == pytest.approx([0.5, 0.5], abs=0.2)
    first, second = ([s.test.tolist() for s in splits if s.repeat == r] for r in range(2))
    assert first != second


def test_one_fold_holds_out_a_share() -> None:
    targets, groups = labels(20)
    splits = list(Protocol(seeds=3, folds=1, share=0.25).splits(targets, groups))
    assert [(s.repeat, s.fold, len(s.test)) for s in splits] == [(0, 0, 15), (1, 0, 15), (2, 0, 15)]


def test_larger_fractions_hold_the_smaller_ones_by_patient() -> None:
    targets, groups = labels(50)
    splits = list(Protocol(folds=2, fractions=(0.1, 0.5, 1.0)).splits(targets, groups))
    for tenth, half, whole in zip(splits[::3], splits[1::3], splits[2::3], strict=True):
        assert set(tenth.train) < set(half.train) < set(whole.train)
        assert tenth.test.tolist() == whole.test.tolist()
        assert len(half.train) == pytest.approx(len(whole.train) / 2, abs=6)
        assert not set(groups[tenth.train]) & set(groups[whole.train]) - set(groups[tenth.train])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seeds": 0}, "seeds"),
        ({"folds": 0}, "folds"),
        ({"fractions": (0.0,)}, "fractions"),
        ({"fractions": ()}, "fractions"),
        ({"fractions": (0.01, 1)}, "in steps of 0.05"),
        ({"fractions": (0.5, 0.51)}, "give different ones"),
    ],
)
def test_impossible_protocols_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(RunError, match=says):
        Protocol(**change)  # type: ignore[arg-type]


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(DataError, match="use at most 3 folds"):
        list(Protocol(folds=5).splits(*labels(3)))
