"""The positive class of a binary task: how it is chosen, that numbers follow it, and that it is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from comparisons import comparison, labelled
from makers import class_folders, save_bundle
from typer.testing import CliRunner

from medzoo import create_model, evaluate, finetune
from medzoo.__main__ import app
from medzoo.comparison.compare import compare
from medzoo.comparison.comparison import Comparison
from medzoo.comparison.protocol import Protocol
from medzoo.core.errors import DataError
from medzoo.data.positive import choose_positive
from medzoo.engine.schedule import TrainingConfig
from medzoo.finetuning.options import FinetuneOptions
from medzoo.finetuning.report import Report
from medzoo.finetuning.resume import open_checkpoints
from medzoo.metrics import Metrics, paired_difference
from medzoo.metrics import evaluate as measure
from medzoo.metrics.operating import operating_point

CLASSES = ("COVID", "Normal")


@pytest.mark.parametrize(
    ("healthy", "ill"),
    [
        *[
            (name, "abc")
            for name in ("Normal", "NORMAL", "normal_lung", "healthy", "Benign", "benign tumor", "negative")
        ],
        *[
            (name, "abc")
            for name in ("No Finding", "NoFinding", "no_finding", "nofinding", "No findings", "None", "control")
        ],
        *[("0", "1"), ("False", "True"), ("no", "yes"), ("neg", "pos"), ("-", "+"), ("No_DR", "DR"), ("no tb", "tb")],
        *[
            ("noncovid", "covid"),
            ("non-COVID", "COVID"),
            ("Covid Negative", "Covid Positive"),
            ("uninfected", "infected"),
        ],
        *[("normal", "abnormal"), ("Normal", "not normal"), ("healthy", "unhealthy"), ("without mass", "nodule")],
    ],
)
def test_a_healthy_class_is_never_positive(healthy: str, ill: str) -> None:
    counts = {healthy: 1, ill: 9}  # though it is the rarer
    for classes in ([healthy, ill], [ill, healthy]):
        assert choose_positive("binary", classes, counts) == (ill, "")


def test_else_the_rarer_class_else_the_last_and_it_is_said() -> None:
    for classes in (
        ("cat", "dog"),
        ("normal", "benign"),
        ("nodule", "nonspecific pneumonia"),
        ("not normal", "atypical"),
    ):
        rare = dict(zip(classes, (2, 5), strict=True))
        chosen, note = choose_positive("binary", classes, rare)
        assert chosen == classes[0] and note.startswith(f"The positive class is {chosen}, the rarer")
        chosen, note = choose_positive("binary", classes, dict.fromkeys(classes, 3))
        assert chosen == classes[1] and "equally many" in note


def test_the_user_decides() -> None:
    counts = {"COVID": 3, "Normal": 9}
    assert choose_positive("binary", CLASSES, counts, "Normal") == ("Normal", "")
    with pytest.raises(DataError, match="no class named 'covid'; known: COVID, Normal"):
        choose_positive("binary", CLASSES, counts, "covid")
    with pytest.raises(DataError, match="ordinal task has no positive class"):
        choose_positive("ordinal", ("0", "1", "2"), {}, "1")
    assert choose_positive("multilabel", ("a", "b"), {}) == ("", "")


def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=120)
    chance = np.clip(0.35 * label + 0.65 * rng.random(120), 0, 1)
    return np.eye(2)[label], np.stack([1 - chance, chance], axis=1)


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_numbers_are_those_of_swapped_columns(threshold: float | None) -> None:
    targets, chances = drawn()
    first = measure(targets, chances, "binary", CLASSES, threshold=threshold, bootstrap=50, positive="COVID")
    swapped = measure(targets[:, ::-1], chances[:, ::-1], "binary", CLASSES[::-1], threshold=threshold, bootstrap=50)
    assert (first.positive, swapped.positive, first.classes) == ("COVID", "COVID", CLASSES)
    for name, estimate in swapped.values.items():
        assert first[name].value == pytest.approx(estimate.value)
        assert first[name].low == pytest.approx(estimate.low)
    assert first.confusion is not None and swapped.confusion is not None
    assert (first.confusion == swapped.confusion[::-1, ::-1]).all()
    last = measure(targets, chances, "binary", CLASSES, threshold=threshold, bootstrap=0)
    assert last.positive == "Normal" and last["average_precision"].value != pytest.approx(
        first["average_precision"].value
    )
    assert "positive class COVID" in str(first) and "sensitivity for COVID " in str(first)
    with pytest.raises(DataError, match="no class named 'TB'"):
        measure(targets, chances, "binary", CLASSES, positive="TB")


def test_operating_points_and_differences_follow() -> None:
    targets, chances = drawn()
    point = operating_point(targets, chances, CLASSES, sensitivity=0.8, bootstrap=50, positive="COVID")
    swapped = operating_point(targets[:, ::-1], chances[:, ::-1], CLASSES[::-1], sensitivity=0.8, bootstrap=50)
    assert point.positive == "COVID" and str(point).startswith("COVID from")
    assert (point.threshold, point.folds) == (swapped.threshold, swapped.folds)
    assert {n: e.value for n, e in point.values.items()} == pytest.approx(
        {n: e.value for n, e in swapped.values.items()}
    )
    worse = 0.5 * chances + 0.25
    form = {"metric": "f1", "bootstrap": 50}
    given = paired_difference(targets, chances, worse, "binary", CLASSES, positive="COVID", **form)
    other = paired_difference(targets[:, ::-1], chances[:, ::-1], worse[:, ::-1], "binary", CLASSES[::-1], **form)
    assert given.estimate.value == pytest.approx(other.estimate.value)


def test_numbers_kept_before_have_the_last_class_as_positive() -> None:
    targets, chances = drawn()
    kept = measure(targets, chances, "binary", CLASSES, bootstrap=0).to_dict()
    assert kept.pop("positive") == "Normal"
    assert Metrics.from_dict(kept).positive == "Normal"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = class_folders(tmp_path_factory.mktemp("positive"), ("green", "red"), each=12)
    (root / "green").rename(root / "COVID")
    (root / "red").rename(root / "Normal")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(tmp_path_factory.mktemp("weights") / "x", "test_resnet", ("a", "b"), "binary")


@pytest.fixture(scope="module")
def report(folders: Path, weights: Path) -> Report:
    return finetune(weights, folders, strategy="linear_probe", device="cpu")


def test_finetuning_names_it_and_the_bundle_keeps_it(report: Report, folders: Path, tmp_path: Path) -> None:
    assert (report.metrics.positive, report.metrics.classes) == ("COVID", CLASSES)
    assert report.at(sensitivity=0.9).positive == "COVID"
    folder = report.save(tmp_path / "mine")
    assert "Sensitivity for COVID" in (folder / "report.html").read_text()
    assert "| sensitivity for COVID |" in (folder / "README.md").read_text()
    assert json.loads((folder / "run.json").read_text())["metrics"]["positive"] == "COVID"
    config = json.loads((folder / "config.json").read_text())
    assert create_model(folder).medzoo.positive == "COVID"
    again = evaluate(folder, folders, bootstrap=0, device="cpu", threshold=0.0)
    assert again.metrics.positive == again.settings["positive"] == "COVID"
    assert again.metrics["sensitivity"].value == 1 and set(again.predictions.labels) == {"COVID"}
    assert evaluate(folder, folders, bootstrap=0, device="cpu", positive="Normal").metrics.positive == "Normal"
    # A bundle made before says nothing of it.
    name, info = next((name, part) for name, part in config.items() if isinstance(part, dict) and "positive" in part)
    (folder / "config.json").write_text(
        json.dumps({**config, name: {k: v for k, v in info.items() if k != "positive"}})
    )
    old = evaluate(folder, folders, bootstrap=0, device="cpu")
    assert old.metrics.positive == "Normal" and "sensitivity for Normal" in str(old)


def test_a_run_with_another_one_is_not_resumed(report: Report, tmp_path: Path) -> None:
    training = TrainingConfig(1, 8, 1e-3, 0.01)
    options = FinetuneOptions("full", training, "linear", "none", "none", 1.0, None, 0, "cpu")
    opened = [
        open_checkpoints(tmp_path / "c", False, model, report.examples, report.held_out, options)
        for model in (
            SimpleNamespace(medzoo=replace(report.model.medzoo, positive=one), state_dict=dict) for one in CLASSES
        )
    ]
    assert [one.settings.pop("positive") for one in opened if one] == list(CLASSES)
    assert opened[0] and opened[1] and opened[0].settings == opened[1].settings


def test_curves_name_it(report: Report) -> None:
    roc, calibration = report.plot(what="roc"), report.plot(what="calibration")
    assert roc.axes[0].get_ylabel() == "sensitivity for COVID"
    assert "probability of COVID" in {axes.get_xlabel() for axes in calibration.axes}
    assert report.plot(what="precision_recall").axes[0].get_ylabel() == "precision for COVID"
    # The point of the threshold lies on the curve of that class.
    x, y = (float(values[0]) for values in roc.axes[0].lines[-1].get_data())
    assert (1 - x, y) == pytest.approx((report.metrics["specificity"].value, report.metrics["sensitivity"].value))


def test_the_command_names_it(folders: Path, weights: Path, tmp_path: Path) -> None:
    given = ["finetune", str(weights), str(folders), "--strategy", "linear_probe", "--device", "cpu"]
    done = CliRunner().invoke(app, [*given, "--positive", "Normal", "--out", str(tmp_path / "mine")])
    assert done.exit_code == 0 and "sensitivity for Normal" in done.stdout
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "mine"), str(folders), "--positive", "COVID"])
    assert done.exit_code == 0 and "sensitivity for COVID" in done.stdout


def test_comparisons_choose_it_and_keep_it(folders: Path, weights: Path, tmp_path: Path) -> None:
    options = {"strategies": "linear_probe", "folds": 2, "device": "cpu", "cells": tmp_path}
    found = compare(folders, weights, **options)
    assert (found.positive, found.data.classes) == ("COVID", CLASSES)
    assert Comparison.from_dict(json.loads(json.dumps(found.to_dict()))).positive == "COVID"
    assert "sensitivity for COVID" in found.save(tmp_path / "report").with_name("table.md").read_text() or (
        "Sensitivity for COVID" in (tmp_path / "report" / "report.html").read_text()
    )
    other = compare(folders, weights, positive="Normal", **options)
    assert [a["id"] != b["id"] for a, b in zip(found.records, other.records, strict=True)] == [True, True]
    assert "positive" not in other.records[0]  # the last class: the ids of runs kept before
    for record in found.records:
        value = found.value(record, "sensitivity")
        rows, chances = record["rows"], np.array(record["probabilities"])
        ill = found.data.targets[rows, 0] == 1
        assert value == pytest.approx((chances[ill, 0] >= 0.5).mean(), abs=1e-6)


def test_comparisons_kept_before_give_the_same_numbers() -> None:
    data = replace(labelled(images=40), classes=CLASSES)
    found = comparison(data, {"a": 1.0, "b": 2.0}, Protocol(folds=2))
    kept = found.to_dict()
    assert kept.pop("positive") == ""
    old = Comparison.from_dict(kept)
    assert old.title("sensitivity") == "sensitivity for Normal"
    first = replace(old, positive="COVID")
    for record in old.records:
        assert old.value(record, "sensitivity") == pytest.approx(first.value(record, "specificity"))
