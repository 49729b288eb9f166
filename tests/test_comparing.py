"""``compare``: paired runs, kept and resumed, failures told, numbers from the predictions that were kept."""

from __future__ import annotations

import json
import os
import signal
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import class_folders, save_bundle
from sklearn.metrics import balanced_accuracy_score

from medzoo.comparison import workers as grid
from medzoo.comparison.compare import compare
from medzoo.comparison.comparison import Comparison
from medzoo.comparison.convergence import convergence
from medzoo.comparison.runs import DONE, FAILED, Run
from medzoo.core.errors import DataError, MedzooError, RunError
from medzoo.data.dataset import ImageDataset
from medzoo.data.fingerprint import fingerprint
from medzoo.data.input_spec import InputContract, group_by_preparation
from medzoo.features.extract import extract_features
from medzoo.finetuning.finetune import finetune

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 8, "lr": 3e-3, "device": "cpu", "folds": 2}
VOLATILE = ("seconds", "history")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("compare") / "colours", ("red", "green", "blue"), each=8)


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("starts")
    return [save_bundle(root / name, "test_resnet", ("a", "b"), "binary", seed) for seed, name in enumerate("xy")]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def found(data: Path, starts: list[Path], kept: Path) -> Comparison:
    return compare(data, starts, seeds=2, fractions=(0.5, 1), cells=kept, **QUICK)


def stable(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in VOLATILE}


def test_starts_are_paired_on_every_division(found: Comparison) -> None:
    assert (found.arms, found.baseline, found.strategies, found.fractions) == (["x", "y"], "x", ["full"], [1.0, 0.5])
    assert len(found.records) == 2 * 2 * 2 * 2 and not found.failures
    for fraction in found.fractions:
        mine, other = (found.runs(arm, fraction=fraction) for arm in found.arms)
        for one, two in zip(mine, other, strict=True):
            assert (one["repeat"], one["fold"], one["seed"], one["rows"]) == (
                two["repeat"],
                two["fold"],
                two["seed"],
                two["rows"],
            )
            assert one["probabilities"] != two["probabilities"] and one["id"] != two["id"]
    for repeat in range(2):
        held_out = [row for record in found.runs("x") if record["repeat"] == repeat for row in record["rows"]]
        assert sorted(held_out) == list(range(24))
    half, whole = (found.runs("x", fraction=fraction)[0] for fraction in (0.5, 1.0))
    assert half["train_images"] < whole["train_images"] and half["rows"] == whole["rows"]


def test_the_table_says_what_the_kept_predictions_say(found: Comparison) -> None:
    row = found.table()[1]
    scores, others = [], []
    for arm, into in (("y", scores), ("x", others)):
        for record in found.runs(arm):
            true = found.data.targets[record["rows"]].argmax(1)
            into.append(balanced_accuracy_score(true, np.array(record["probabilities"]).argmax(1)))
    assert row.estimate.value == pytest.approx(np.mean(scores))
    assert row.test is not None and row.test.runs == 4
    assert row.test.difference.value == pytest.approx(np.mean(scores) - np.mean(others))
    assert row.test.adjusted == row.test.p  # one comparison needs no correction
    assert found.table()[0].test is None
    with pytest.raises(DataError, match="no multiclass metric named 'dice'"):
        found.table("dice")


def test_nothing_is_run_twice(
    found: Comparison, data: Path, starts: list[Path], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medzoo.comparison.runs.finetune", lambda *_, **__: pytest.fail("a run was done again"))
    again = compare(data, starts, seeds=2, fractions=(0.5, 1), cells=kept, **QUICK)
    assert again.to_dict() == found.to_dict()


def test_a_killed_comparison_goes_on(
    found: Comparison, data: Path, starts: list[Path], kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in sorted(kept.glob("*.json"))[:13]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    compare(data, starts, seeds=2, fractions=(0.5, 1), cells=tmp_path, **QUICK)
    for file in kept.glob("*.json"):
        again, before = (json.loads((folder / file.name).read_text()) for folder in (tmp_path, kept))
        assert stable(again) == stable(before)


@pytest.mark.slow
def test_several_jobs_give_identical_rows(found: Comparison, data: Path, starts: list[Path], tmp_path: Path) -> None:
    """Slow: each worker process imports torch."""
    other = compare(data, starts, seeds=2, fractions=(0.5, 1), jobs=2, cells=tmp_path, **QUICK)
    assert [stable(dict(r)) for r in other.records] == [stable(dict(r)) for r in found.records]


def test_another_option_weight_or_data_set_is_another_run(found: Comparison, data: Path, starts: list[Path]) -> None:
    ids = {record["id"] for record in found.records}
    for changes in ({"lr": 1e-3}, {"image_size": 48}):
        other = compare(data, starts[:1], **{**QUICK, "epochs": 1, **changes})
        assert not ids & {record["id"] for record in other.records}
    images = np.zeros((4, 32, 32, 3), np.uint8)
    targets = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    examples = ImageDataset("e", images, tuple("wxyz"), targets, ("a", "b"), "binary")
    prints = {fingerprint(examples)}
    for changed in (
        replace(examples, images=images + 1),
        replace(examples, targets=examples.targets[::-1]),
        replace(examples, patients=np.array(["p", "p", "q", "q"])),
        replace(examples, ids=tuple("wxyv")),
    ):
        prints.add(fingerprint(changed))
    assert len(prints) == 5


def test_features_are_computed_once_for_each_weight(
    data: Path, starts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []

    def counting(model: Any, examples: Any, **options: Any) -> Any:
        computed.append(len(examples))
        return extract_features(model, examples, **options)

    monkeypatch.setattr("medzoo.comparison.features.extract_features", counting)
    monkeypatch.setattr("medzoo.finetuning.head_training.extract_features", counting)
    monkeypatch.setattr("medzoo.comparison.features._KEPT", OrderedDict())
    strategies = ["linear_probe", "feature_extraction"]
    options = {**QUICK, "epochs": 1}
    found = compare(data, starts, seeds=2, fractions=(0.5, 1), strategies=strategies, **options)
    assert computed == [24, 24] and not found.failures

    record = found.runs("y", "linear_probe", 0.5)[3]
    alone = finetune(
        starts[1],
        data,
        validation=np.isin(np.arange(24), record["rows"]),
        strategy="linear_probe",
        seed=record["seed"],
        device="cpu",
    )
    whole = found.runs("y", "linear_probe", 1.0)[3]  # of all training images, as this one
    np.testing.assert_allclose(alone.probabilities, whole["probabilities"], atol=1e-5)
    assert np.abs(alone.probabilities - record["probabilities"]).max() > 1e-3


def test_a_failed_run_is_told_and_stops_no_other(
    data: Path, starts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from medzoo.comparison import runs

    real = runs.finetune

    def sometimes(model: Any, *args: Any, seed: int, **options: Any) -> Any:
        if Path(model).name == "y" and seed == 1:
            raise RuntimeError("the card fell out")
        return real(model, *args, seed=seed, **options)

    monkeypatch.setattr(runs, "finetune", sometimes)
    result = compare(data, starts, cells=tmp_path, **QUICK)
    assert [record["status"] for record in result.records] == [DONE, DONE, DONE, FAILED]
    assert "RuntimeError" in result.failures[0]["detail"]
    assert "failed: y, seed 0, fold 1: the card fell out" in str(result)
    assert "failed: the card fell out" in capsys.readouterr().err
    row = result.table()[1]
    assert (row.runs, row.failed) == (1, 1) and row.test is not None and row.test.runs == 1
    assert len(list(tmp_path.glob("*.json"))) == 3  # a failure is not kept, and runs again
    monkeypatch.setattr(runs, "finetune", real)
    assert not compare(data, starts, cells=tmp_path, **QUICK).failures


def test_all_failed_is_an_error(
    data: Path, starts: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise MedzooError("no such thing")

    monkeypatch.setattr("medzoo.comparison.runs.finetune", broken)
    with pytest.raises(RunError, match="all 2 runs on colours failed; the first: no such thing"):
        compare(data, starts[:1], **QUICK)
    before, after = capsys.readouterr().err.split("x, full, seed 0", 1)  # said before the first run
    assert "2 folds x 1 seed: too few runs for an interval" in before and "Enough: 5 folds x 1 seed" not in after


def test_it_goes_through_json(found: Comparison) -> None:
    again = Comparison.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert str(again) == str(found)


def test_some_images_alone(found: Comparison) -> None:
    rows = np.zeros(24, bool)
    rows[::2] = True
    part = found.only(rows)
    values = []
    for record in found.runs("x"):
        kept = [i for i, row in enumerate(record["rows"]) if rows[row]]
        true = found.data.targets[np.array(record["rows"])[kept]].argmax(1)
        values.append((true == np.array(record["probabilities"])[kept].argmax(1)).mean())
    assert part.table("accuracy")[0].estimate.value == pytest.approx(np.mean(values))
    assert part.pooled("x").n == 12 and found.pooled("x").n == 24


def test_convergence_counts_epochs_and_images(found: Comparison) -> None:
    always = convergence(found, score=0.0)
    assert [(c.epochs, c.reached, c.runs) for c in always] == [(1.0, 4, 4)] * 2
    assert always[0].images == found.runs("x")[0]["train_images"]
    never = convergence(found, score=1.1)
    assert [(c.epochs, c.images, c.reached) for c in never] == [(None, None, 0)] * 2
    ends = [record["history"][-1]["valid"][found.primary] for record in found.runs("x")]
    assert convergence(found)[0].score == pytest.approx(np.mean(ends))
    area = np.mean([[e["valid"][found.primary] for e in record["history"]] for record in found.runs("y")])
    assert always[1].area == pytest.approx(area) and always[1].test is not None and always[1].test.runs == 4


def test_convergence_looks_at_all_training_images_alone(data: Path, starts: list[Path]) -> None:
    both = compare(data, starts[:1], fractions=(1, 0.5), **QUICK)
    (entry,) = convergence(both, score=0.0)
    whole = [record["train_images"] for record in both.runs("x", fraction=1.0)]
    assert entry.images == pytest.approx(np.mean(whole)) and entry.runs == len(whole)


def test_it_writes_among_nothing_else(found: Comparison, tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    found.save(tmp_path)  # type: ignore[attr-defined]
    found.save(tmp_path)  # type: ignore[attr-defined]
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(MedzooError, match=r"holds labels\.csv, which is no part of a comparison"):
        found.save(tmp_path)  # type: ignore[attr-defined]
    assert (tmp_path / "labels.csv").read_text() == "mine"


def die(*_: Any, **__: Any) -> None:
    """As the system ends a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_runs_alone(
    data: Path, starts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow: each worker process imports torch."""
    real = grid._run_elsewhere

    def sometimes(run: Run, *args: Any) -> Any:
        return die() if run.weights.name == "y" and run.split.fold == 1 else real(run, *args)

    monkeypatch.setattr(grid, "_run_elsewhere", sometimes)
    result = compare(data, starts, jobs=2, **QUICK)
    assert [record["status"] for record in result.records] == [DONE, DONE, DONE, FAILED]
    assert "its process was killed" in result.failures[0]["error"]


def test_one_split_is_measured_by_the_bootstrap(data: Path, starts: list[Path]) -> None:
    result = compare(data, starts, **{**QUICK, "folds": 1, "share": 0.5})
    row = result.table("accuracy")[1]
    assert row.runs == 1 and row.estimate.value is not None
    assert row.test is not None and row.test.runs == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lerning_rate": 1}, "no option of finetune named 'lerning_rate'"),
        ({"jobs": 0}, "jobs is 0"),
        ({"backend": "dask"}, "backend= is no option any more: .* scheduler='tcp://HOST:PORT' or 'local:N'"),
        ({"scheduler": "lokal:2"}, "'lokal:2' is no scheduler; give tcp://HOST:PORT or local:N"),
        ({"baseline": "z"}, "no baseline named 'z'"),
        ({"seeds": 0}, "seeds is 0"),
        ({"strategies": "fulll"}, "no strategy named 'fulll'"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work(
    changes: dict[str, Any], says: str, data: Path, starts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medzoo.comparison.runs.finetune", lambda *_, **__: pytest.fail("it began"))
    with pytest.raises(MedzooError, match=says):
        compare(data, starts, **{**QUICK, **changes})


def test_images_come_to_size_one_way_for_all() -> None:
    squashed, centred = InputContract(64, "squash"), InputContract(64)
    assert group_by_preparation({"a": centred, "b": centred}) == ([(centred, ["a", "b"])], ())
    groups, (note,) = group_by_preparation({"a": squashed, "b": centred}, image_size=32)
    assert groups == [(InputContract(32, "squash"), ["a", "b"])]
    assert note == "Images are brought to size as a takes them (squash), for all weights alike."
    groups, (note,) = group_by_preparation({"a": centred, "b": InputContract(32), "c": squashed, "d": centred})
    assert [names for _, names in groups] == [["a", "d"], ["b"], ["c"]]
    assert note.startswith("Images are prepared for each as its maker did: a, d at 64 px (center); b at 32 px")


def test_weights_of_one_name_and_of_none(data: Path, starts: list[Path]) -> None:
    with pytest.raises(RunError, match="two weights are called x"):
        compare(data, [starts[0], starts[0]], **QUICK)
    with pytest.raises(RunError, match="there are no weights"):
        compare(data, [], **QUICK)
    assert compare(data, starts[0], **{**QUICK, "epochs": 1}).arms == ["x"]
    result = compare(data, {"mine": starts[0]}, **{**QUICK, "epochs": 1})
    assert result.arms == ["mine"] and result.records[0]["weight"] == "x"
