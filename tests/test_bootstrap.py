"""Weighted forms against scikit-learn, coverage of the intervals, patients, paired differences."""

from __future__ import annotations

import tracemalloc
from math import erf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import score
from sklearn import metrics as sk

from medzoo.core.errors import DataError
from medzoo.data.tasks import TASKS
from medzoo.metrics import Estimate, Metrics, evaluate
from medzoo.metrics.bootstrap import interval, members, paired_difference, resamples
from medzoo.metrics.outcomes import Outcomes, make_outcomes
from medzoo.metrics.scores import KAPPAS, overall
from medzoo.metrics.weighted import Weighted


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def normal(z: float) -> float:
    return (1 + erf(z / 2**0.5)) / 2


def two(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([1 - chance, chance], axis=1)


def some(task: str, n: int, rng: np.random.Generator) -> Outcomes:
    """Images of a task, with ties and (multi-label) missing labels."""
    c = 2 if task == "binary" else 4
    if task == "multilabel":
        hot = np.where(rng.random((n, c)) < 0.2, np.nan, rng.random((n, c)) < 0.4)
        return make_outcomes(hot, rng.random((n, c)).round(1), task, [str(k) for k in range(c)])
    raw = rng.integers(1, 5, (n, c)).astype(float)
    return make_outcomes(
        np.eye(c)[rng.integers(c, size=n)], raw / raw.sum(axis=1, keepdims=True), task, [str(k) for k in range(c)]
    )


def width(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def binormal(patients: int, images: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and probabilities of AUROC 0.84; the images of a patient resemble each other."""
    label = rng.integers(2, size=patients).repeat(images)
    own = rng.normal(size=patients).repeat(images)
    shared = 0.9 if images > 1 else 0.0
    noise = shared**0.5 * own + (1 - shared) ** 0.5 * rng.normal(size=len(label))
    return label, sigmoid(2**0.5 * (label - 0.5) + noise)


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40))
def test_weights_are_repeated_images(task: str, seed: int, n: int) -> None:
    """A weighting gives scikit-learn's values of the set in which each image stands so many times."""
    rng = np.random.default_rng(seed)
    outcomes = some(task, n, rng)
    images = len(outcomes.targets)
    weights = rng.integers(0, 4, (3, images)).astype(np.int32)
    found = Weighted(outcomes)(weights)
    for row, times in enumerate(weights):
        if not times.any():
            continue
        again = make_outcomes(
            outcomes.targets.repeat(times, 0), outcomes.probabilities.repeat(times, 0), task, outcomes.classes
        )
        expected = score(again)
        for name, values in expected.per_class.items():
            np.testing.assert_allclose(found.per_class[name][row], values, atol=1e-10, err_msg=name)
        for name, values in expected.whole.items():
            np.testing.assert_allclose(found.whole[name][row], values, atol=1e-10, err_msg=name)


def test_weights_are_scikit_learns_sample_weight() -> None:
    rng = np.random.default_rng(5)
    outcomes = some("ordinal", 300, rng)
    weights = rng.integers(0, 4, (4, 300)).astype(np.int32)
    found = Weighted(outcomes)(weights)
    true, predicted = outcomes.positive.argmax(1), outcomes.predicted.argmax(1)
    for row, w in enumerate(weights):
        for name, kind in KAPPAS.items():
            kappa = sk.cohen_kappa_score(true, predicted, weights=kind, sample_weight=w)
            assert found.whole[name][row] == pytest.approx(kappa)
        assert found.whole["accuracy"][row] == pytest.approx(sk.accuracy_score(true, predicted, sample_weight=w))
        for k in range(4):
            hot, chance = outcomes.positive[:, k], outcomes.probabilities[:, k]
            area = sk.roc_auc_score(hot, chance, sample_weight=w)
            assert found.per_class["auroc"][row, k] == pytest.approx(area)
            precision = sk.average_precision_score(hot, chance, sample_weight=w)
            assert found.per_class["average_precision"][row, k] == pytest.approx(precision)
            assert found.per_class["brier"][row, k] == pytest.approx(sk.brier_score_loss(hot, chance, sample_weight=w))


def test_resamples_draw_whole_groups_as_many_as_there_are() -> None:
    member = np.array([0, 2, 1, 0, 2, 2])
    weights = np.concatenate(list(resamples(member, 3, 500, seed=0)))
    assert weights.shape == (500, 6)
    assert (weights[:, 0] == weights[:, 3]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 2]].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.15)
    assert weights[:, 0].var() == pytest.approx(2 / 3, abs=0.15)


def test_resamples_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    member = np.arange(30) // 2
    whole = np.concatenate(list(resamples(member, 15, 40, seed=1)))
    monkeypatch.setattr("medzoo.metrics.bootstrap._BLOCK", 100)
    parts = list(resamples(member, 15, 40, seed=1))
    assert len(parts) == 14
    assert (np.concatenate(parts) == whole).all()


def test_the_order_of_the_images_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    label, chance = binormal(40, 2, rng)
    patients = np.array([f"p{k // 2}" for k in range(80)])
    order = rng.permutation(80)
    first, second = (
        evaluate(np.eye(2)[label[rows]], two(chance[rows]), "binary", ["no", "yes"], groups=patients[rows])
        for rows in (np.arange(80), order)
    )
    for name, found in first.values.items():
        assert (found.value, found.low, found.high) == pytest.approx(
            (second[name].value, second[name].low, second[name].high)
        )
    assert first.groups == second.groups == 40


def test_the_seed_decides() -> None:
    label, chance = binormal(80, 1, np.random.default_rng(0))

    def at(seed: int) -> Metrics:
        return evaluate(np.eye(2)[label], two(chance), "binary", ["no", "yes"], seed=seed)

    assert at(1).to_dict() == at(1).to_dict()
    assert at(1)["auroc"].low != at(2)["auroc"].low
    assert at(1)["auroc"].low == pytest.approx(at(2)["auroc"].low, abs=0.02)


def test_interval_agrees_with_the_known_standard_error() -> None:
    """Of a share the standard error is known: sqrt(p (1 - p) / n)."""
    label = np.arange(400) % 2
    chance = np.where(np.arange(400) < 320, label, 1 - label).astype(float)
    found = evaluate(np.eye(2)[label], two(chance), "binary", ["no", "yes"], bootstrap=4000)["accuracy"]
    assert found.value == 0.8
    assert width(found) == pytest.approx(2 * 1.96 * (0.8 * 0.2 / 400) ** 0.5, rel=0.06)


def test_resampling_images_of_few_patients_is_overconfident() -> None:
    label, chance = binormal(60, 8, np.random.default_rng(0))
    patients = np.arange(60).repeat(8).astype(str)
    by_image = evaluate(np.eye(2)[label], two(chance), "binary", ["no", "yes"])
    by_patient = evaluate(np.eye(2)[label], two(chance), "binary", ["no", "yes"], groups=patients)
    for name in ("auroc", "accuracy", "brier"):
        narrow, wide = by_image[name], by_patient[name]
        assert narrow.value == wide.value
        assert width(wide) > 1.7 * width(narrow)


def covered(patients: int, images: int, by_patient: bool, sims: int = 250) -> dict[str, float]:
    """Share of simulations in which the interval holds the known truth."""
    rng = np.random.default_rng(7)
    groups = np.arange(patients).repeat(images).astype(str) if by_patient else None
    truth = {"auroc": normal(1.0), "accuracy": normal(2**0.5 / 2)}
    held_out = dict.fromkeys(truth, 0)
    for sim in range(sims):
        label, chance = binormal(patients, images, rng)
        outcomes = make_outcomes(np.eye(2)[label], two(chance), "binary", ["no", "yes"])
        member, count = members(groups, outcomes)
        weighted = Weighted(outcomes)
        base = weighted.once()
        drawn = [overall(weighted(w), "binary", base) for w in resamples(member, count, 300, seed=sim)]
        for name, true in truth.items():
            found = interval(
                float(overall(base, "binary", base)[name]), np.concatenate([d[name] for d in drawn]), count
            )
            assert found.low is not None
            assert found.high is not None
            held_out[name] += found.low <= true <= found.high
    return {name: hits / sims for name, hits in held_out.items()}


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    for share in covered(150, 1, by_patient=False).values():
        assert 0.90 <= share <= 0.98


@pytest.mark.slow
def test_only_resampling_patients_covers_the_truth_of_clustered_images() -> None:
    for share in covered(100, 4, by_patient=True).values():
        assert 0.90 <= share <= 0.98
    for share in covered(100, 4, by_patient=False).values():
        assert share < 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("sharper", "truth"), [(1.0, 0.0), (1.5, 0.0618), (3.0, 0.1505)])
def test_calibration_intervals_cover_the_truth(sharper: float, truth: float) -> None:
    """A logit that is too sharp by a known factor; the truths are those of two million images."""
    rng, held_out = np.random.default_rng(3), 0
    for sim in range(150):
        logit = rng.normal(0, 1.5, 300)
        label = (rng.random(300) < sigmoid(logit)).astype(int)
        chance = two(sigmoid(logit * sharper))
        found = evaluate(np.eye(2)[label], chance, "binary", ["no", "yes"], bootstrap=300, seed=sim)["ece"]
        assert found.low is not None
        assert found.high is not None
        held_out += found.low <= truth <= found.high
    assert held_out / 150 >= 0.85


def test_too_few_or_too_easy_images_have_no_interval() -> None:
    label, chance = binormal(9, 5, np.random.default_rng(1))
    hot, nine = np.eye(2)[label], np.arange(9).repeat(5).astype(str)
    few = evaluate(hot, two(chance), "binary", ["no", "yes"], groups=nine)["auroc"]
    assert few.value is not None
    assert few.why == "no interval: 9 groups are too few to resample (at least 10)"
    easy = evaluate(hot, hot, "binary", ["no", "yes"])["auroc"]
    assert (easy.value, easy.low) == (1.0, None)
    assert "every resample gives the same value" in easy.why


@pytest.mark.parametrize(("rare", "missing"), [(1, 0.37), (2, 0.14), (3, 0.05)])
def test_a_rare_class_is_said_to_be_missing_from_resamples(rare: int, missing: float) -> None:
    rng = np.random.default_rng(0)
    label = np.arange(200) < rare
    found = evaluate(np.eye(2)[label.astype(int)], two(rng.random(200)), "binary", ["no", "yes"])["auroc"]
    assert (found.low is None) == (missing > 0.2)
    said = float(found.why.split(" in ")[1].split("%")[0]) / 100
    assert said == pytest.approx(missing, abs=0.04)


def test_paired_difference_is_narrower_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    label, chance = binormal(150, 1, rng)
    logit = np.log(chance / (1 - chance))
    better = two(sigmoid(logit + 0.4 * (label - 0.5) + 0.1 * rng.normal(size=150)))
    found = paired_difference(np.eye(2)[label], better, two(chance), "binary", ["no", "yes"])
    apart = [evaluate(np.eye(2)[label], chances, "binary", ["no", "yes"])["auroc"] for chances in (better, two(chance))]
    assert apart[0].value is not None
    assert apart[1].value is not None
    assert found.metric == "auroc"
    assert found.estimate.value == pytest.approx(apart[0].value - apart[1].value, abs=1e-12)
    assert found.estimate.low is not None
    assert found.estimate.low > 0
    assert width(found.estimate) < 0.5 * min(map(width, apart))
    assert found.p == pytest.approx(2 / 1001)
    turned = paired_difference(np.eye(2)[label], two(chance), better, "binary", ["no", "yes"])
    assert turned.estimate.high == pytest.approx(-found.estimate.low)
    assert turned.p == found.p


@pytest.mark.slow
def test_paired_difference_of_equals_is_not_significant_too_often() -> None:
    rng, small = np.random.default_rng(0), 0
    for sim in range(60):
        label, chance = binormal(80, 1, rng)
        logit = np.log(chance / (1 - chance))
        first, second = (two(sigmoid(logit + rng.normal(size=80))) for _ in range(2))
        p = paired_difference(np.eye(2)[label], first, second, "binary", ["a", "b"], bootstrap=200, seed=sim).p
        assert p is not None
        small += p < 0.05
    assert small <= 8


def test_paired_difference_takes_patients_thresholds_and_metric() -> None:
    label, chance = binormal(60, 4, np.random.default_rng(0))
    patients = np.arange(60).repeat(4).astype(str)
    found = paired_difference(
        np.eye(2)[label],
        two(chance),
        two(chance),
        "binary",
        ["no", "yes"],
        metric="sensitivity",
        groups=patients,
        thresholds=(0.3, 0.5),
    )
    assert found.estimate.value == pytest.approx(
        ((chance >= 0.3) & (label == 1)).sum() / (label == 1).sum()
        - ((chance >= 0.5) & (label == 1)).sum() / (label == 1).sum()
    )
    assert found.estimate.low is not None
    same = paired_difference(np.eye(2)[label], two(chance), two(chance), "binary", ["no", "yes"], groups=patients)
    assert (same.estimate.value, same.estimate.low, same.p) == (0, None, None)


def test_paired_difference_says_what_it_cannot_compare() -> None:
    label, chance = np.zeros(20, dtype=int), two(np.linspace(0, 1, 20))
    found = paired_difference(np.eye(2)[label], chance, chance, "binary", ["no", "yes"])
    assert found.estimate.why == "auroc is undefined on these images"
    assert found.p is None
    with pytest.raises(DataError, match="did you mean 'kappa'"):
        paired_difference(np.eye(2)[label], chance, chance, "binary", ["no", "yes"], metric="kapa")
    with pytest.raises(DataError, match="use 1000"):
        paired_difference(np.eye(2)[label], chance, chance, "binary", ["no", "yes"], bootstrap=0)


def test_memory_does_not_grow_with_the_resamples() -> None:
    rng = np.random.default_rng(0)
    hot, chances = np.eye(2)[rng.integers(2, size=5000)], rng.dirichlet(np.ones(2), 5000)

    def peak(bootstrap: int) -> int:
        tracemalloc.start()
        evaluate(hot, chances, "multiclass", list("ab"), bootstrap=bootstrap)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    # All weights at once would be 200 x 5000 x 8 bytes = 8 MB more.
    assert peak(300) - peak(100) < 2**20
