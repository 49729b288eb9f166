"""Linear probes: the same optimum as the problem stated plainly, and honest with patients and missing labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from medzoo.core.errors import DataError
from medzoo.features.linear_probe import C_GRID, LinearProbe, cross_probe, fit_probe


def classes(n: int, f: int, c: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features of unequal scale, some of which tell the class."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % c
    features = rng.normal(size=(n, f))
    features[:, :c] += 1.5 * np.eye(c)[label]
    return (features * rng.uniform(0.1, 10, f) + 5).astype(np.float32), np.eye(c, dtype=np.float32)[label]


@pytest.mark.parametrize(("n", "f"), [(60, 8), (30, 50)], ids=["more images", "more features"])
def test_the_linear_layer_is_scikit_learns_on_standardised_features(n: int, f: int) -> None:
    features, targets = classes(n, f, 3)
    probe = fit_probe(features, targets, "multiclass")
    assert probe.c in C_GRID
    rows = StandardScaler().fit_transform(features.astype(np.float64))
    model = LogisticRegression(C=probe.c, max_iter=1000, tol=1e-8).fit(rows, targets.argmax(1))
    assert probe.weight.shape == (3, f) and probe.bias.shape == (3,)
    np.testing.assert_allclose(probe.probabilities(features), model.predict_proba(rows), atol=2e-3)


def test_two_classes_give_two_logits_of_the_plain_problem() -> None:
    features, targets = classes(50, 4, 2)
    probe = fit_probe(features, targets, "binary")
    rows = (features - features.mean(0)) / features.std(0)
    label = targets[:, 1]

    def loss(both: NDArray[Any]) -> float:
        logits = rows @ both[:4] + both[4]
        return float(np.logaddexp(0, np.where(label > 0, -logits, logits)).sum() * probe.c + both[:4] @ both[:4] / 2)

    best = minimize(loss, np.zeros(5)).x
    logits = features @ probe.weight.T + probe.bias
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], rows @ best[:4] + best[4], atol=0.02)


def test_the_penalty_fits_the_signal() -> None:
    strong, targets = classes(200, 40, 2)
    noise = np.random.default_rng(1).normal(size=(200, 40)).astype(np.float32)
    assert fit_probe(noise, targets, "binary").c < fit_probe(strong, targets, "binary").c


def test_class_weights_count_images_more_often() -> None:
    features, targets = classes(60, 3, 2)
    rows = np.r_[np.arange(0, 60, 2), np.arange(1, 60, 6)]  # three times as many of the first class
    even = fit_probe(features[rows], targets[rows], "binary", class_weights=np.array([1, 3], np.float32))
    plain = fit_probe(features[rows], targets[rows], "binary")
    assert even.probabilities(features)[:, 1].mean() > plain.probabilities(features)[:, 1].mean() + 0.05


def test_labels_are_fitted_one_by_one_on_the_images_labelled_for_them() -> None:
    features, targets = classes(80, 6, 2)
    several = np.c_[targets[:, 1], np.ones(80), np.zeros(80), np.full(80, np.nan)].astype(np.float32)
    several[::4, 0] = np.nan
    probe = fit_probe(features, several, "multilabel")
    known = ~np.isnan(several[:, 0])
    alone = fit_probe(features[known], several[known, :1], "multilabel", groups=np.arange(80)[known].astype(str))
    found = probe.probabilities(features)
    assert np.corrcoef(found[:, 0], alone.probabilities(features)[:, 0])[0, 1] > 0.98
    np.testing.assert_allclose(found[:, 1:], np.tile([80.5 / 81, 0.5 / 81, 0.5], (80, 1)), rtol=1e-5)
    assert not probe.weight[1:].any()


def test_a_class_without_images_is_never_predicted() -> None:
    features, targets = classes(40, 4, 2)
    wide = np.insert(targets, 1, 0, axis=1)
    found = fit_probe(features, wide, "ordinal").probabilities(features)
    assert found[:, 1].max() < 1e-8
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    only = fit_probe(features, np.eye(3, dtype=np.float32)[np.full(40, 2)], "ordinal").probabilities(features)
    assert only[:, 2].min() > 1 - 1e-6


def test_constant_features_give_the_shares() -> None:
    targets = np.eye(2, dtype=np.float32)[[0, 0, 0, 1] * 5]
    probe = fit_probe(np.full((20, 30), 3.0, np.float32), targets, "binary")
    np.testing.assert_allclose(probe.probabilities(np.zeros((1, 30), np.float32)), [[0.75, 0.25]], atol=1e-3)


def test_out_of_fold_probabilities_know_nothing_of_a_patient() -> None:
    """Features that only name the patient foretell nothing when patients are not divided, all when they are."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(30), 4)
    targets = np.eye(2, dtype=np.float32)[rng.integers(2, size=30)[patient]]
    features = (rng.normal(size=(30, 40))[patient] + 0.05 * rng.normal(size=(120, 40))).astype(np.float32)
    by_patient = cross_probe(features, targets, "binary", [f"p{p}" for p in patient])
    by_image = cross_probe(features, targets, "binary", [str(i) for i in range(120)])
    hit = [float((found.argmax(1) == targets.argmax(1)).mean()) for found in (by_patient, by_image)]
    assert hit[0] < 0.75 and hit[1] > 0.95


def test_rows_without_label_are_left_out_and_predicted() -> None:
    features, targets = classes(40, 4, 2)
    unknown = targets.copy()
    unknown[::5] = np.nan
    rest = ~np.isnan(unknown).any(1)
    groups = np.array([str(i) for i in range(40)])
    probe = fit_probe(features, unknown, "binary", groups=groups)
    again = fit_probe(features[rest], targets[rest], "binary", groups=groups[rest])
    np.testing.assert_array_equal(probe.weight, again.weight)
    assert np.isfinite(cross_probe(features, unknown, "binary", groups)).all()


def test_the_same_seed_gives_the_same_probe() -> None:
    features, targets = classes(40, 4, 2)
    one, two = (fit_probe(features, targets, "binary", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.weight, two.weight)


def test_one_patient_is_enough_for_a_probe() -> None:
    features, targets = classes(20, 4, 2)
    assert fit_probe(features, targets, "binary", groups=["p"] * 20).c in C_GRID


def test_probabilities_are_those_of_the_linear_layer() -> None:
    probe = LinearProbe(np.array([[1, 0], [0, 1]], np.float32), np.array([0.5, 0], np.float32), 1.0, "binary")
    features = np.array([[1, 2]], np.float32)
    np.testing.assert_allclose(np.log(probe.probabilities(features)), log_softmax([[1.5, 2.0]], axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((3, 2), np.float32)}, r"features \(3, 2\), targets \(20, 2\)"),
        ({"features": np.full((20, 2), np.nan, np.float32)}, "20 of 20 images have features that are not finite"),
        ({"targets": np.full((20, 2), np.nan, np.float32)}, "no image is labelled"),
        ({"groups": ["a"]}, "1 groups do not belong together"),
        ({"class_weights": np.ones(3, np.float32)}, "3 class weights for 2 classes of a binary task"),
        ({"class_weights": np.ones(2, np.float32), "task": "multilabel"}, "2 class weights .* multilabel"),
    ],
)
def test_refuses_what_does_not_belong_together(change: dict[str, Any], message: str) -> None:
    features, targets = classes(20, 2, 2)
    given = {"features": features, "targets": targets, "task": "binary", **change}
    with pytest.raises(DataError, match=message):
        fit_probe(given.pop("features"), given.pop("targets"), given.pop("task"), **given)
