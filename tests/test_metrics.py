"""Values against scikit-learn, undefined metrics, wrong input, operating points."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import score
from sklearn import metrics as sk

from medzoo.core.errors import DataError, UnknownNameError
from medzoo.data.tasks import TASKS
from medzoo.metrics import Estimate, Metrics, choose_operating_point, evaluate, primary
from medzoo.metrics.outcomes import make_outcomes
from medzoo.metrics.scores import KAPPAS, TASK_METRICS
from medzoo.metrics.weighted import Weighted

Labelled = tuple[NDArray[np.float64], NDArray[np.float64]]


def exclusive(n: int, c: int, seed: int, digits: int = 15) -> Labelled:
    """Random one-hot labels and informative probabilities; few digits make ties."""
    rng = np.random.default_rng(seed)
    label = rng.integers(c, size=n)
    chances = 0.3 * np.eye(c)[label] + 0.7 * rng.dirichlet(np.ones(c), n)
    # The last class takes the rest, so that rounded rows still sum to 1.
    chances[:, :-1] = np.floor(chances[:, :-1] * 10**digits) / 10**digits
    chances[:, -1] = 1 - chances[:, :-1].sum(axis=1)
    return np.eye(c)[label], np.clip(chances, 0, 1)


def multilabel(n: int, c: int, seed: int, missing: float = 0.2) -> Labelled:
    rng = np.random.default_rng(seed)
    hot = (rng.random((n, c)) < 0.3).astype(float)
    chances = np.clip(0.3 * hot + 0.7 * rng.random((n, c)), 0, 1).round(2)
    return np.where(rng.random((n, c)) < missing, np.nan, hot), chances


def names(c: int) -> list[str]:
    return [f"class {k}" for k in range(c)]


def value(metrics: Metrics, name: str) -> float:
    found = metrics[name].value
    assert found is not None
    return found


def one_vs_rest(
    truth: NDArray[np.bool_], chance: NDArray[np.float64], predicted: NDArray[np.bool_]
) -> dict[str, float]:
    """What scikit-learn says of one class."""
    return {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "auroc": sk.roc_auc_score(truth, chance),
        "average_precision": sk.average_precision_score(truth, chance),
        "f1": sk.f1_score(truth, predicted),
        "sensitivity": sk.recall_score(truth, predicted),
        "specificity": sk.recall_score(truth, predicted, pos_label=0),
        "brier": sk.brier_score_loss(truth, chance),
    }


@pytest.mark.parametrize("bootstrap", [0, 20])
@pytest.mark.parametrize("digits", [1, 15])
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_binary_agrees_with_scikit_learn(bootstrap: int, digits: int, threshold: float | None) -> None:
    targets, chances = exclusive(150, 2, seed=1, digits=digits)
    metrics = evaluate(targets, chances, "binary", ["no", "yes"], bootstrap=bootstrap, threshold=threshold)
    truth, predicted = targets[:, 1] == 1, chances[:, 1] >= (threshold or 0.5)
    expected = one_vs_rest(truth, chances[:, 1], predicted) | {"kappa": sk.cohen_kappa_score(truth, predicted)}
    assert {name: value(metrics, name) for name in expected} == pytest.approx(expected, abs=1e-12)
    assert metrics.confusion is not None
    assert metrics.confusion.tolist() == sk.confusion_matrix(truth, predicted).tolist()
    for name, found in metrics.per_class["yes"].items():
        assert found == metrics[name]


@pytest.mark.parametrize("bootstrap", [0, 20])
@pytest.mark.parametrize("digits", [1, 15])
@pytest.mark.parametrize(("task", "c"), [("multiclass", 3), ("multiclass", 9), ("ordinal", 5), ("ordinal", 2)])
def test_exclusive_classes_agree_with_scikit_learn(bootstrap: int, digits: int, task: str, c: int) -> None:
    targets, chances = exclusive(200, c, seed=c, digits=digits)
    metrics = evaluate(targets, chances, task, names(c), bootstrap=bootstrap)
    label, predicted = targets.argmax(1), chances.argmax(1)
    expected = {
        "accuracy": sk.accuracy_score(label, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(label, predicted),
        "auroc": sk.roc_auc_score(targets, chances, average="macro"),
        "average_precision": sk.average_precision_score(targets, chances, average="macro"),
        "f1": sk.f1_score(label, predicted, average="macro"),
        "brier": np.mean(np.sum((targets - chances) ** 2, axis=1)),
        "kappa": sk.cohen_kappa_score(label, predicted),
    }
    if task == "ordinal":
        expected |= {name: sk.cohen_kappa_score(label, predicted, weights=kind) for name, kind in KAPPAS.items()}
    assert {name: value(metrics, name) for name in expected} == pytest.approx(expected, abs=1e-12)
    assert set(metrics.values) == set(expected) | {"ece"}
    for k, name in enumerate(names(c)):
        one = one_vs_rest(targets[:, k] == 1, chances[:, k], predicted == k)
        for key, found in metrics.per_class[name].items():
            if key != "ece":
                assert found.value == pytest.approx(one[key], abs=1e-12)


@pytest.mark.parametrize("bootstrap", [0, 20])
@pytest.mark.parametrize("threshold", [0.4, (0.2, 0.5, 0.6, 0.3)])
def test_multilabel_agrees_with_scikit_learn(bootstrap: int, threshold: float | tuple[float, ...]) -> None:
    targets, chances = multilabel(200, 4, seed=3)
    metrics = evaluate(targets, chances, "multilabel", names(4), bootstrap=bootstrap, threshold=threshold)
    ones = []
    for k, name in enumerate(names(4)):
        rows = ~np.isnan(targets[:, k])
        truth, chance = targets[rows, k] == 1, chances[rows, k]
        ones.append(one_vs_rest(truth, chance, chance >= np.broadcast_to(threshold, 4)[k]))
        found = metrics.per_class[name]
        assert {key: found[key].value for key in ones[-1]} == pytest.approx(ones[-1], abs=1e-12)
        assert metrics.positives[name] == truth.sum()
    for key in ones[0]:
        assert value(metrics, key) == pytest.approx(np.mean([one[key] for one in ones]), abs=1e-12)
    assert metrics.confusion is None


def test_ece_is_the_mean_gap_of_fifteen_bins() -> None:
    targets, chances = exclusive(500, 2, seed=0)
    edges, gap = np.linspace(0, 1, 16), 0.0
    for low, high in pairwise(edges):
        inside = (chances[:, 1] > low) & (chances[:, 1] <= high)
        if inside.any():
            gap += inside.mean() * abs(chances[inside, 1].mean() - targets[inside, 1].mean())
    assert value(evaluate(targets, chances, "binary", ["a", "b"], bootstrap=0), "ece") == pytest.approx(gap)
    # With several classes it speaks of the predicted one.
    sure = evaluate(
        np.eye(3)[[0, 1, 2, 0]],
        np.full((4, 3), 0.1) + 0.7 * np.eye(3)[[0, 1, 2, 1]],
        "multiclass",
        names(3),
        bootstrap=0,
    )
    assert value(sure, "ece") == pytest.approx(abs(0.8 - 0.75))


def everything(metrics: Metrics) -> list[tuple[str, Estimate]]:
    inner = [item for estimates in metrics.per_class.values() for item in estimates.items()]
    return [*metrics.values.items(), *inner]


@st.composite
def anything(draw: st.DrawFn) -> tuple[str, Labelled]:
    """Any task, from no image at all to a few, any labels, coarse probabilities with many ties."""
    task = draw(st.sampled_from(TASKS))
    n = draw(st.integers(0, 12))
    c = 2 if task == "binary" else draw(st.integers(1 if task == "multilabel" else 2, 4))
    if task == "multilabel":
        cells = st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=n * c, max_size=n * c)
        scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n * c, max_size=n * c)
        return task, (np.array(draw(cells)).reshape(n, c), np.array(draw(scores)).reshape(n, c))
    label = draw(st.lists(st.integers(-1, c - 1), min_size=n, max_size=n))
    hot = np.vstack([np.eye(c), np.full(c, np.nan)])[label].reshape(n, c)
    raw = draw(st.lists(st.integers(1, 3), min_size=n * c, max_size=n * c))
    weights = np.array(raw, dtype=float).reshape(n, c)
    return task, (hot, weights / weights.sum(axis=1, keepdims=True))


@settings(max_examples=40, deadline=None)
@given(anything(), st.booleans())
def test_any_labels_give_numbers_or_reasons(case: tuple[str, Labelled], grouped: bool) -> None:
    task, (targets, chances) = case
    classes = names(targets.shape[1])
    groups = np.array([f"p{k // 2}" for k in range(len(targets))]) if grouped else None
    metrics = evaluate(targets, chances, task, classes, groups=groups, bootstrap=20)
    fast = evaluate(targets, chances, task, classes, groups=groups, bootstrap=0)
    assert metrics.n == (~np.isnan(targets).all(axis=1)).sum()
    for (name, estimate), (_, quick) in zip(everything(metrics), everything(fast), strict=True):
        if estimate.value is None:
            assert estimate.why
            assert estimate.low is None
            assert estimate.high is None
            assert quick == estimate
        else:
            assert (-1 if "kappa" in name else 0) - 1e-9 <= estimate.value <= (2 if name == "brier" else 1) + 1e-9
            assert quick.value == pytest.approx(estimate.value, abs=1e-12)
            assert (estimate.low is None) == (estimate.high is None)
            assert estimate.low is not None or "no interval" in estimate.why
            assert estimate.low is None or estimate.high is None or estimate.low <= estimate.high
    copy = Metrics.from_dict(json.loads(json.dumps(metrics.to_dict(), allow_nan=False)))
    assert copy.to_dict() == metrics.to_dict()
    assert str(copy) == str(metrics)


@settings(max_examples=40, deadline=None)
@given(anything())
def test_fast_scores_are_scikit_learns(case: tuple[str, Labelled]) -> None:
    task, (targets, chances) = case
    outcomes = make_outcomes(targets, chances, task, names(targets.shape[1]))
    slow, fast = score(outcomes), Weighted(outcomes).once()
    assert slow.per_class.keys() == fast.per_class.keys()
    assert slow.whole.keys() == fast.whole.keys() == set(TASK_METRICS[task].whole)
    for name, values in {**slow.per_class, **slow.whole}.items():
        np.testing.assert_allclose({**fast.per_class, **fast.whole}[name], values, atol=1e-12, err_msg=name)


def test_one_class_present_is_undefined_not_zero() -> None:
    chances = exclusive(30, 3, seed=0)[1]
    metrics = evaluate(np.eye(3)[[1] * 30], chances, "ordinal", ["none", "mild", "severe"])
    for name in ("balanced_accuracy", "kappa", "kappa_linear", "kappa_quadratic", "auroc", "average_precision"):
        assert metrics[name] == Estimate(None, None, None, "only one class present: mild")
    assert value(metrics, "accuracy") == (chances.argmax(1) == 1).mean()
    assert metrics.per_class["mild"]["auroc"].why == "only images of this class"
    assert metrics.per_class["severe"]["sensitivity"].why == "no image of this class"
    assert "undefined (only one class present: mild)" in str(metrics)


def test_no_labelled_image() -> None:
    nothing = evaluate(np.full((3, 2), np.nan), np.full((3, 2), 0.5), "binary", ["no", "yes"])
    assert nothing.n == 0
    assert {estimate.why for _, estimate in everything(nothing)} == {"no labelled image"}


def test_a_mean_says_which_classes_it_leaves_out() -> None:
    targets, chances = exclusive(90, 3, seed=0)
    wider = np.hstack([targets, np.zeros((90, 1))]), np.hstack([chances, np.zeros((90, 1))])
    metrics = evaluate(*wider, "multiclass", names(4), bootstrap=50)
    plain = evaluate(targets, chances, "multiclass", names(3), bootstrap=50)
    for name in ("auroc", "balanced_accuracy", "f1"):
        assert metrics[name].why == "mean of 3 of 4 classes, without class 3"
        assert (metrics[name].value, metrics[name].low) == pytest.approx((plain[name].value, plain[name].low))
    assert metrics["accuracy"] == plain["accuracy"]


def test_unlabelled_images_change_nothing() -> None:
    targets, chances = exclusive(60, 3, seed=0)
    more = np.vstack([targets, np.full((5, 3), np.nan)]), np.vstack([chances, np.full((5, 3), 1 / 3)])
    patients = np.array([f"p{k // 2}" for k in range(65)])
    longer = evaluate(*more, "multiclass", names(3), groups=patients, bootstrap=50)
    assert (
        longer.to_dict()
        == evaluate(targets, chances, "multiclass", names(3), groups=patients[:60], bootstrap=50).to_dict()
    )


def test_primary_metrics_are_metrics_of_their_task() -> None:
    assert {task: primary(task) for task in TASKS} == {
        "binary": "auroc",
        "multiclass": "balanced_accuracy",
        "ordinal": "kappa_quadratic",
        "multilabel": "auroc",
    }
    for spec in TASK_METRICS.values():
        assert {spec.primary, *spec.means, *spec.whole} <= set(spec.overall)
        assert not spec.means.keys() & set(spec.whole)
        assert spec.reason
    with pytest.raises(UnknownNameError, match="did you mean 'ordinal'"):
        primary("ordnal")


TWO, FLAT = np.eye(2)[[0, 1]], np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("targets", "chances", "task", "threshold", "message"),
    [
        (TWO, FLAT, "regression", None, "no task named 'regression'"),
        (TWO, FLAT[:1], "binary", None, r"\(2, 2\) and probabilities \(1, 2\)"),
        (np.eye(3), np.full((3, 3), 1 / 3), "binary", None, r"must both be \[N, 2\]"),
        (TWO[:, 1], FLAT[:, 1], "binary", None, "one column for each"),
        (TWO * 2, FLAT, "binary", None, "other than 0, 1 and NaN"),
        (np.ones((2, 2)), FLAT, "binary", None, "exactly one class"),
        (np.array([[0, np.nan], [0, 1]]), FLAT, "multiclass", None, "exactly one class"),
        (TWO, FLAT * np.nan, "binary", None, "2 images have NaN"),
        (TWO, FLAT * 6, "binary", None, "softmax or sigmoid"),
        (TWO, FLAT / 2, "multiclass", None, "sum to 0.5, not 1"),
        (TWO, FLAT, "multiclass", 0.5, "takes no threshold"),
        (TWO, FLAT, "binary", 50, "outside \\[0, 1\\]"),
        (TWO, FLAT, "binary", float("nan"), "outside \\[0, 1\\]"),
        (TWO, FLAT, "binary", (0.5, 0.5), "give one number"),
        (TWO, FLAT, "multilabel", (0.5, 0.5, 0.5), "3 thresholds"),
    ],
)
def test_wrong_input_says_what_to_do(
    targets: NDArray[np.float64], chances: NDArray[np.float64], task: str, threshold: float | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(targets, chances, task, ["no", "yes"], threshold=threshold)


def test_wrong_options_say_what_to_do() -> None:
    with pytest.raises(DataError, match="named twice"):
        evaluate(TWO, FLAT, "binary", ["yes", "yes"])
    with pytest.raises(DataError, match="one patient id for each image"):
        evaluate(TWO, FLAT, "binary", ["no", "yes"], groups=["p"])
    with pytest.raises(DataError, match="groups_of"):
        evaluate(TWO, FLAT, "binary", ["no", "yes"], groups=["p", ""])
    with pytest.raises(DataError, match="bootstrap=-1"):
        evaluate(TWO, FLAT, "binary", ["no", "yes"], bootstrap=-1)


@pytest.mark.parametrize("aim", [0.5, 0.9, 1.0])
def test_operating_point_reaches_its_aim(aim: float) -> None:
    targets, chances = exclusive(60, 2, seed=4, digits=2)

    def at(threshold: float) -> tuple[float, float]:
        metrics = evaluate(targets, chances, "binary", ["no", "yes"], threshold=threshold, bootstrap=0)
        return value(metrics, "sensitivity"), value(metrics, "specificity")

    every = [at(t) for t in np.unique(np.append(chances[:, 1], 1.0))]
    found = at(choose_operating_point(targets[:, 1], chances[:, 1], sensitivity=aim))
    assert found[0] >= aim
    assert found[1] == max(specificity for sensitivity, specificity in every if sensitivity >= aim)
    found = at(choose_operating_point(targets[:, 1], chances[:, 1], specificity=aim))
    assert found[1] >= aim
    assert found[0] == max(sensitivity for sensitivity, specificity in every if specificity >= aim)
    assert sum(at(choose_operating_point(targets[:, 1], chances[:, 1]))) == pytest.approx(max(map(sum, every)))


def test_operating_point_may_be_to_predict_none() -> None:
    label, chance = np.array([0, 1, np.nan]), np.array([1.0, 0.2, 0.7])
    threshold = choose_operating_point(label, chance, specificity=1)
    assert 1 < threshold < 1.001
    metrics = evaluate(
        np.eye(2)[[0, 1]], np.array([[0, 1.0], [0.8, 0.2]]), "binary", ["no", "yes"], threshold=threshold
    )
    assert value(metrics, "specificity") == 1


def test_operating_point_refuses_what_it_cannot_use() -> None:
    with pytest.raises(DataError, match="keep 0"):
        choose_operating_point(np.ones(3), np.ones(3))
    with pytest.raises(DataError, match="not both"):
        choose_operating_point(np.array([0, 1]), np.array([0, 1]), sensitivity=0.9, specificity=0.9)
    with pytest.raises(DataError, match="not in"):
        choose_operating_point(np.array([0, 1]), np.array([0, 1]), sensitivity=90)
    with pytest.raises(DataError, match="one class at a time"):
        choose_operating_point(TWO, FLAT)


def test_table_shows_every_metric_and_class() -> None:
    targets, chances = exclusive(80, 3, seed=2)
    metrics = evaluate(
        targets,
        chances,
        "multiclass",
        ["a", "much longer name", "c"],
        groups=[f"p{k // 2}" for k in range(80)],
        bootstrap=50,
    )
    text = str(metrics)
    assert text.startswith("80 images of 40 patients; 95 % intervals from 50 resamples of patients")
    assert all(f"{name} " in text and str(estimate) in text for name, estimate in metrics.values.items())
    assert all(f"{label} " in text for label in metrics.classes)
    # Columns of numbers end where their names end.
    header, *rows = text.splitlines()[-4:]
    assert {len(header)} == {len(row) for row in rows}
    assert len(header) <= 120


def test_classes_with_few_images_are_noted() -> None:
    targets, chances = exclusive(80, 5, seed=2)
    metrics = evaluate(targets, chances, "multiclass", list("abcde"), bootstrap=20)
    assert (
        f"a ({metrics.positives['a']}), b (" in metrics.note
        and "c (" not in metrics.note
        and str(metrics).endswith(metrics.note)
    )
    assert not evaluate(targets, chances, "multiclass", list("abcde"), bootstrap=0).note  # no interval rests on them
    targets, chances = exclusive(400, 5, seed=2)
    assert not evaluate(targets, chances, "multiclass", list("abcde"), bootstrap=20).note
