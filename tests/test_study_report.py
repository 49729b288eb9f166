"""The study's report: its words, tables and pictures are derived from the outcomes, and are the same every time."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from comparisons import EPOCHS, comparison, labelled

from medzoo.comparison.protocol import Protocol
from medzoo.core.errors import RunError, ZooError
from medzoo.recommendation.agreement import agreement
from training.datasets import DATASETS
from training.study import study as study_module
from training.study.paper import TABLE_2
from training.study.ranking import ArmRanking
from training.study.report import write_report
from training.study.result import ARMS, ArmFacts, TargetResult, read_results
from training.study.side_by_side import differences, markdown, per_cent, table_rows
from training.study.summary import limits, summary

OPTIONS = {"image_size": 64, "epochs": EPOCHS, "seeds": 2, "folds": None, "strategies": ["full"], "fractions": [1.0]}
# Domain_IN is far better than IN, Domain_RI far worse.
CLEAR = (0.3, -4.0, 8.0, 0.4, 0.2)


def outcome(target: str, skills: tuple[float, ...], seen: int | None = None, *, failing: str = "") -> TargetResult:
    """An outcome of 60 images in 2 x 4 folds."""
    entry = DATASETS[target]
    weights = dict(
        zip(ARMS, ("densenet121_in", "d_ri", "d_in", "densenet121_all_ri", "densenet121_all_in"), strict=True)
    )
    made = comparison(
        labelled(target, entry.task, len(entry.classes)),
        dict(zip(ARMS, skills, strict=False)),
        Protocol(seeds=2, folds=4),
        failing=failing,
        weights=weights,
    )
    mask = None if seen is None else np.arange(60) < seen
    return TargetResult(
        target,
        entry.area,
        made,
        [
            ArmFacts(
                arm, weights[arm], f"{place:064x}", ("at most 50 images",) if place else (), "paper" if place else ""
            )
            for place, arm in enumerate(made.arms)
        ],
        OPTIONS,
        mask,
        {} if seen is None else {"exact copy": seen, "same patient": 0},
        {},
        ArmRanking({arm: {"LogME": skill, "LEEP": None} for arm, skill in zip(made.arms, skills, strict=False)}, 3.0)
        if seen
        else ArmRanking(),
        {"python": "3.11", "packages": {"torch": "2.6"}, "gpu": None, "git_commit": "0123456789abcdef"},
    )


@pytest.fixture(scope="module")
def outcomes() -> list[TargetResult]:
    """A clear target of the paper with seen images and failed runs, and one that the paper does not have."""
    return [
        outcome("shenzhen", CLEAR, seen=20, failing="All_RI"),
        outcome("crc_val_he_7k", (1.0, 1.0, 1.0), seen=0),
    ]


@pytest.fixture(scope="module")
def folder(outcomes: list[TargetResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    assert write_report(outcomes, folder) == folder / "report.html"
    return folder


def test_files(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"report.html", "table.md", "table.csv", "report.json", "pictures/forest.png"} | {
        f"pictures/{target}/{what}.png"
        for target in ("shenzhen", "crc_val_he_7k")
        for what in ("curves", "loss", "forest")
    }


def test_kept_outcomes_give_the_same_files(outcomes: list[TargetResult], folder: Path, tmp_path: Path) -> None:
    for one in outcomes[::-1]:
        one.save(tmp_path / "results")
    again = {one.target: one for one in read_results(tmp_path)}
    write_report([again[one.target] for one in outcomes], tmp_path / "new")
    for file in folder.rglob("*.*"):
        assert (tmp_path / "new" / file.relative_to(folder)).read_bytes() == file.read_bytes(), file.name


def test_the_paper_stands_beside_ours(outcomes: list[TargetResult], folder: Path) -> None:
    text = (folder / "table.md").read_text(encoding="utf-8")
    ours, paper, other = text.splitlines()[2:5]
    row = table_rows(outcomes)[0].ours["IN"]
    assert row.estimate == outcomes[0].comparison.table("accuracy")[0].estimate
    assert per_cent(row.estimate) in ours and "this study" in ours
    assert paper == "| | accuracy | the paper, D1 | 86.7 | 90.0 | 91.7 | 90.0 | 91.7 |"
    assert other.endswith("| - | - |") and "the paper, " not in text.replace(paper, "")
    cells = ours.split(" | ")
    assert cells[ARMS.index("Domain_IN") + 3].endswith("▲") and cells[ARMS.index("Domain_RI") + 3].endswith("▼")
    assert text.count("▲") == 2  # one in the table, one in its legend


def test_what_differs_is_said(outcomes: list[TargetResult]) -> None:
    first, second = differences(outcomes[0]), differences(outcomes[1])
    assert "60 of 662 images" in first and "64 px instead of 224" in first
    assert "weights of reduced pretraining: Domain_RI, Domain_IN, All_RI, All_IN" in first
    assert "not a target of the paper" in second and "60 of 7,180 images" in second
    full = replace(outcomes[0], options={**OPTIONS, "image_size": 224}, left_out={"exact copy": 3, "near copy": 0})
    assert not any("px" in word for word in differences(full))
    assert "3 images left out as seen in pretraining" in differences(full)


def test_weighted_classes_are_told_only_where_the_paper_differs() -> None:
    graded = outcome("deepdrid", (0.5, 0.5))  # the paper weighs its classes, these runs do not
    assert "no class weights in the loss" in differences(graded)
    for record in graded.comparison.records:
        record["settings"]["class_weights"] = [1.0, 2.0]
    assert not any("class weights" in word for word in differences(graded))


def test_the_summary_says_what_the_intervals_say(outcomes: list[TargetResult]) -> None:
    text = "\n".join(summary(outcomes))
    assert "Domain_IN beside IN, 2 targets: better in 1, too close to call in 1." in text
    assert "Domain_RI beside IN, 2 targets: worse in 1, too close to call in 1." in text
    assert "Domain_IN is better than IN" in text and "Domain_RI is worse than IN" in text
    assert "has seen 20 of 60 images" in text
    assert "2 runs failed" in text


def test_a_negative_result_is_said() -> None:
    said = summary([outcome("crc_val_he_7k", (1.0, 1.0, 1.0))])
    assert "On no target do these data show a difference between any arm and the baseline." in said
    assert "Domain_RI beside IN, 1 target: too close to call in all." in said


def test_without_seen_images_the_verdicts_may_change(outcomes: list[TargetResult]) -> None:
    nearly_all = replace(outcomes[0], seen=np.arange(60) < 56)
    (said,) = (line for line in summary([nearly_all]) if "has seen" in line)
    assert "56 of 60" in said and "becomes" in said
    (said,) = (line for line in summary([replace(outcomes[0], seen=np.ones(60, bool))]) if "has seen" in line)
    assert "none is left" in said


def test_limits_come_from_the_data(outcomes: list[TargetResult]) -> None:
    text = " ".join(limits(outcomes))
    assert "60 of 662" in text and "64 pixels" in text and "weights come from reduced pretraining" in text
    whole = [replace(outcomes[0], options={**OPTIONS, "image_size": 224}, arms=[])]
    assert "pixels" not in " ".join(limits(whole)) and "reduced" not in " ".join(limits(whole))


def test_csv_holds_both_tables(outcomes: list[TargetResult], folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text(encoding="utf-8"))))
    assert {(row["target"], row["images"]) for row in rows} == {
        ("shenzhen", "all"),
        ("shenzhen", "unseen"),
        ("crc_val_he_7k", "all"),
    }
    assert outcomes[0].unseen is not None
    expected = outcomes[0].unseen.table("accuracy")[0].estimate.value
    (row,) = (r for r in rows if (r["images"], r["metric"], r["weights"]) == ("unseen", "accuracy", "IN"))
    assert float(row["mean"]) == pytest.approx(expected, abs=1e-6)


def test_json_holds_what_the_page_says(outcomes: list[TargetResult], folder: Path) -> None:
    record = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert record["summary"] == summary(outcomes) and record["limits"] == limits(outcomes)
    shenzhen, other = record["targets"]
    assert shenzhen["paper"]["IN"] == TABLE_2["shenzhen"].validation["IN"] and other["paper"] is None
    assert shenzhen["verdicts"]["Domain_IN"].startswith("better (") and shenzhen["seen"] == 20
    assert [entry["arm"] for entry in shenzhen["convergence"]] == list(ARMS)


def test_page_holds_everything(folder: Path, outcomes: list[TargetResult]) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 1 + 3 + 3 and "<script" not in page and 'src="http' not in page
    for anchor in ("found", "table", "shenzhen", "crc_val_he_7k", "convergence", "seen", "agreement", "runs"):
        assert f'href="#{anchor}"' in page and f'id="{anchor}"' in page
    for text in (
        "86.7",
        "On images that no arm has seen",
        f"{outcomes[0].ranking.agreement(outcomes[0].comparison)['LogME']:+.2f}",
        "at most 50 images",
        f"{1:064x}",
        "the GPU fell off",
    ):
        assert text in page
    assert "no weights" in page  # the arms that the second target lacks


def test_without_agreement_and_other_arms(tmp_path: Path) -> None:
    alone = outcome("shenzhen", (1.0,))
    page = write_report([alone], tmp_path).read_text(encoding="utf-8")
    assert 'id="agreement"' not in page and "All differences" not in page
    assert "| - |" not in markdown([alone])


def test_table_2_is_whole() -> None:
    assert [row.label for row in TABLE_2.values()] == ["D1", "D2", "D3", "D4", "D5"]
    for name, row in TABLE_2.items():
        assert list(row.train) == list(row.validation) == list(ARMS)
        assert row.metric == ("kappa" if DATASETS[name].task == "ordinal" else "accuracy")
        assert all(row.train[arm] > row.validation[arm] for arm in ARMS)


def test_the_agreement_is_that_of_the_means(outcomes: list[TargetResult]) -> None:
    found = outcomes[0].ranking.agreement(outcomes[0].comparison)
    means = [row.estimate.value for row in outcomes[0].comparison.table()]
    assert found == {"LogME": agreement(CLEAR, means), "LEEP": None}
    assert found["LogME"] is not None and found["LogME"] > 0.5
    assert ArmRanking().agreement(outcomes[0].comparison) == {}


def test_what_is_not_there_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = []

    def resolve(weight: str, zoo: str) -> str:
        asked.append((weight, zoo))
        if (weight, zoo) not in {("densenet121_in", "second"), ("densenet121_hwsi_in", "first")}:
            raise ZooError(f"{zoo} has no {weight}")
        return weight

    few = np.eye(8, dtype=np.float32)[np.arange(17) % 8]  # as many as there are of Kather 2016
    monkeypatch.setattr(study_module, "resolve", resolve)
    monkeypatch.setattr(study_module, "available", lambda _: ["kather2016"])
    monkeypatch.setattr(study_module, "prepared", lambda *_, **__: (SimpleNamespace(targets=few), ()))
    with pytest.raises(RunError, match="no target enough images"):
        study_module.study(tmp_path, tmp_path, ["first", "second"], study_module.StudyOptions())
    said = capsys.readouterr().err
    assert "left out: All_IN (densenet121_all_in): first has no densenet121_all_in; second has no" in said
    assert "Domain_IN" not in said and "left out: IN" not in said
    assert ("densenet121_hwsi_in", "second") not in asked  # the first zoo has it
    assert "left out: kather2016: 2 images of its rarest class; --targets kather2016 includes it" in said
