"""Transferability scores against a direct computation of what their papers define."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.metrics import mutual_info_score

from medzoo.recommendation.agreement import agreement
from medzoo.recommendation.hscore import h_score
from medzoo.recommendation.leep import leep
from medzoo.recommendation.logme import log_me
from medzoo.recommendation.nce import nce
from medzoo.recommendation.scores import transfer_scores


def planted(n: int, f: int, c: int, signal: float, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % c
    features = rng.normal(size=(n, f))
    features[:, : min(c, f)] += signal * np.eye(c)[label][:, :f]
    return features, label


def brute_force_log_me(features: NDArray[Any], labels: NDArray[Any]) -> float:
    """The marginal likelihood of each class's 0 and 1 as a normal distribution, maximised over both precisions."""
    count, found = len(labels), []
    for each in np.unique(labels):
        target = (labels == each).astype(float)

        def loss(logs: NDArray[Any], target: NDArray[Any] = target) -> float:
            alpha, beta = np.exp(logs)
            covariance = features @ features.T / alpha + np.eye(count) / beta
            return -float(multivariate_normal.logpdf(target, np.zeros(count), covariance))

        starts = [(a, b) for a in (0, 4) for b in (0, 3)]
        ends = [minimize(loss, start, method="Nelder-Mead", bounds=[(-6, 25), (-5, 10)]).fun for start in starts]
        found.append(-min(ends) / count)
    return float(np.mean(found))


@pytest.mark.parametrize(("n", "f", "signal"), [(24, 5, 2.0), (24, 5, 0.5), (12, 20, 1.0)])
def test_log_me_is_the_largest_marginal_likelihood(n: int, f: int, signal: float) -> None:
    features, labels = planted(n, f, 3, signal)
    assert log_me(features, labels) == pytest.approx(brute_force_log_me(features, labels), abs=1e-4)


def test_log_me_is_where_the_papers_iteration_ends() -> None:
    features, labels = planted(60, 6, 2, 1.5)
    found = []
    for each in (0, 1):
        y, alpha, beta = (labels == each).astype(float), 1.0, 1.0
        for _ in range(2000):
            a = alpha * np.eye(6) + beta * features.T @ features
            m = beta * np.linalg.solve(a, features.T @ y)
            squares = beta * np.linalg.eigvalsh(features.T @ features)
            gamma, left = (squares / (alpha + squares)).sum(), ((features @ m - y) ** 2).sum()
            alpha, beta = gamma / (m @ m), (60 - gamma) / left
        a = alpha * np.eye(6) + beta * features.T @ features
        m = beta * np.linalg.solve(a, features.T @ y)
        left = ((features @ m - y) ** 2).sum()
        evidence = 30 * np.log(beta) + 3 * np.log(alpha) - 30 * np.log(2 * np.pi) - beta / 2 * left
        found.append((evidence - alpha / 2 * m @ m - np.linalg.slogdet(a)[1] / 2) / 60)
    assert log_me(features, labels) == pytest.approx(np.mean(found), abs=1e-6)


def test_log_me_of_features_that_say_nothing_is_that_of_noise_alone() -> None:
    labels = np.arange(20) % 2
    null = -0.5 * (math.log(2 * math.pi * 0.5) + 1)  # y ~ N(0, mean of y squared)
    assert log_me(np.zeros((20, 3)), labels) == pytest.approx(null)


def test_h_score_is_the_formula() -> None:
    features, labels = planted(80, 5, 4, 1.0)
    means = np.array([features[labels == label].mean(0) for label in labels])
    covariance, between = np.cov(features.T, bias=True), np.cov(means.T, bias=True)
    plain = np.trace(np.linalg.inv(covariance) @ between)
    assert h_score(features, labels, shrink=False) == pytest.approx(plain)
    estimator = LedoitWolf().fit(features)
    shrunk = np.trace(np.linalg.inv(estimator.covariance_) @ ((1 - estimator.shrinkage_) * between))
    assert h_score(features, labels) == pytest.approx(shrunk)


def test_only_the_shrunk_h_score_tells_weights_apart_with_few_images() -> None:
    (good, labels), (poor, _) = planted(30, 60, 3, 3.0), planted(30, 60, 3, 0.0)
    assert h_score(good, labels, shrink=False) == pytest.approx(h_score(poor, labels, shrink=False)) == 2
    assert h_score(good, labels) > h_score(poor, labels) + 0.1
    assert h_score(np.ones((30, 60)), labels) == 0


def test_leep_is_the_double_sum() -> None:
    rng = np.random.default_rng(0)
    source, labels = rng.dirichlet(np.ones(4), size=30), np.arange(30) % 3
    joint = {(y, z): sum(source[i, z] for i in range(30) if labels[i] == y) / 30 for y in range(3) for z in range(4)}
    marginal = {z: sum(joint[y, z] for y in range(3)) for z in range(4)}
    total = 0.0
    for i in range(30):
        total += math.log(sum(joint[labels[i], z] / marginal[z] * source[i, z] for z in range(4)))
    assert leep(source, labels) == pytest.approx(total / 30)


def test_leep_bears_source_classes_that_no_image_has() -> None:
    source = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], np.float32)
    assert leep(source, np.array([0, 0, 1, 1])) == pytest.approx(0)
    assert leep(source, np.array([0, 1, 0, 1])) == pytest.approx(-math.log(2))


def test_nce_is_the_conditional_entropy() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.integers(4, size=200) * 7, rng.integers(3, size=200)
    pairs, alone = Counter(zip(z.tolist(), y.tolist(), strict=True)), Counter(z.tolist())
    direct = sum(n / 200 * math.log(n / alone[a]) for (a, _), n in pairs.items())
    assert nce(z, y) == pytest.approx(direct)
    shares = np.bincount(y) / 200
    assert nce(z, y) == pytest.approx(mutual_info_score(z, y) + (shares * np.log(shares)).sum())  # I(Y;Z) - H(Y)


def test_leep_of_certain_outputs_is_nce() -> None:
    rng = np.random.default_rng(1)
    z, y = rng.integers(4, size=100), rng.integers(3, size=100)
    assert leep(np.eye(4)[z], y) == pytest.approx(nce(z, y))


def test_scores_rise_with_the_signal() -> None:
    targets = np.eye(3, dtype=np.float32)[np.arange(90) % 3]
    ladder = [planted(90, 20, 3, signal)[0].astype(np.float32) for signal in (0.0, 1.0, 3.0)]
    outputs = [np.exp(x[:, :3]) / np.exp(x[:, :3]).sum(1, keepdims=True) for x in ladder]
    scores = [transfer_scores(x, targets, "multiclass", out) for x, out in zip(ladder, outputs, strict=True)]
    for name in ("LogME", "H-score", "LEEP", "NCE"):
        low, mid, high = (score[name] for score in scores)
        assert low is not None and mid is not None and high is not None and low < mid < high


def test_labels_are_scored_one_by_one_where_they_are_known() -> None:
    features, labels = planted(60, 8, 2, 1.0)
    rows = features.astype(np.float32)
    targets = np.c_[labels, labels, np.zeros(60)].astype(np.float32)
    targets[::3, 1] = np.nan
    known = np.flatnonzero(~np.isnan(targets[:, 1]))
    found = transfer_scores(rows, targets, "multilabel")
    assert found["LogME"] == pytest.approx((log_me(rows, labels) + log_me(rows[known], labels[known])) / 2)
    assert found["LEEP"] is None and found["NCE"] is None
    assert transfer_scores(rows, targets[:, 2:], "multilabel")["H-score"] is None


def test_rows_without_class_are_left_out() -> None:
    features, labels = planted(40, 4, 2, 1.0)
    rows, targets = features.astype(np.float32), np.eye(2, dtype=np.float32)[labels]
    targets[:10] = np.nan
    assert transfer_scores(rows, targets, "binary")["H-score"] == pytest.approx(h_score(rows[10:], labels[10:]))


def tau(x: list[float], y: list[float]) -> float:
    """Weighted tau by its definition, without ties: hyperbolic weights by the rank in x and in y, averaged."""

    def by(rank_of: list[float]) -> float:
        rank = {i: r for r, i in enumerate(sorted(range(len(x)), key=lambda i: -rank_of[i]))}
        pairs = [(i, j) for i in range(len(x)) for j in range(i)]
        weight = {(i, j): 1 / (rank[i] + 1) + 1 / (rank[j] + 1) for i, j in pairs}
        signed = sum(w * np.sign((x[i] - x[j]) * (y[i] - y[j])) for (i, j), w in weight.items())
        return float(signed / sum(weight.values()))

    return (by(x) + by(y)) / 2


def test_agreement_is_the_weighted_tau() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = rng.normal(size=(2, 6)).tolist()
        assert agreement(x, y) == pytest.approx(tau(x, y))
    assert agreement([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)


def test_agreement_counts_the_top_most() -> None:
    order = [5.0, 4.0, 3.0, 2.0, 1.0]
    top, bottom = agreement([4.0, 5.0, 3.0, 2.0, 1.0], order), agreement([5.0, 4.0, 3.0, 1.0, 2.0], order)
    assert top is not None and bottom is not None and top < bottom < 1


def test_agreement_without_enough_starts() -> None:
    assert agreement([], []) is None
    assert agreement([1.0, math.nan, 3.0], [None, 2.0, 3.0]) is None
    assert agreement([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert agreement([1.0, 2.0, math.nan, 3.0], [1.0, 2.0, -9.0, 3.0]) == pytest.approx(1)
    assert agreement([1.0, 1.0, 2.0], [1.0, 2.0, 3.0]) == pytest.approx(agreement([1.0, 2.0, 3.0], [1.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match="1 scores for 2 outcomes"):
        agreement([1.0], [1.0, 2.0])
