"""Cards and the gallery: every number from a record, none where nothing was measured, readable by the Hub's client."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from comparisons import comparison, labelled
from huggingface_hub import ModelCard

from medzoo.comparison.protocol import Protocol
from medzoo.core.errors import RunError
from medzoo.data.input_spec import InputContract
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.loader import ImageArray, Loader
from medzoo.engine.runtime import Execution
from medzoo.importing.known import KNOWN
from medzoo.zoo.preview import preview_pins
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import WEIGHTS
from training.pretraining.corpus import Corpus, Slice
from training.pretraining.validation import validate
from training.publishing.card import CARDS, bundle_card, card, repository_evidence, write_cards
from training.publishing.card_check import check_card
from training.publishing.charts import HEIGHT, WIDTH, curves, forest
from training.publishing.evidence import Evidence, read_evidence, transfers
from training.publishing.gallery import write_gallery
from training.study.ranking import ArmRanking
from training.study.result import ArmFacts, TargetResult

NAME = "densenet121_efi_in"


def record(**changes: Any) -> dict[str, Any]:
    """The record of a run of an eye weight, its numbers such that each can be told from every other."""
    labels = {label: {"auroc": 0.71 + i / 100, "average_precision": 0.31 + i / 100} for i, label in enumerate("abcd")}
    valid = {"kappa": 0.4321, "kappa_quadratic": 0.6543, "auroc": None, "labels": labels, "left_out": ["Severe DR"]}
    ends = {"intervals": {"kappa_quadratic": [0.6011, 0.7022]}, "resampled": {"groups": 9, "images": 12}}
    plan = {"epochs": 2, "batch_size": 32, "lr": 0.001, "weight_decay": 0.01}
    side = {"images": 44_123, "patients": 21_987, "counts": dict.fromkeys(SOURCES["efi"].labels, 1_234)}
    return {
        "schema": 1,
        "kind": "pretrain",
        "name": NAME,
        "medzoo": "9.8.7",
        "recipe": {"name": "paper", "title": "the study's", "plan": plan},
        "image_size": 96,
        "seed": 5,
        "reduced": [],
        "data": [
            {
                "name": "eyepacs",
                "source": "efi",
                "images": 48_999,
                "of": 49_169,
                "split": "by patient",
                "train": side,
                "valid": {**side, "images": 4_876, "patients": 2_345},
                "notes": ["<script>alert(1)</script>"],
            }
        ],
        "environment": {"gpu": None},
        "history": [
            {"epoch": 1, "loss": 0.9, "valid": {"efi": {"kappa_quadratic": 0.5}}},
            {"epoch": 2, "loss": 0.7, "valid": {"efi": {**valid, **ends}}},
        ],
        "seconds": 321.0,
        **changes,
    }


def outcome(*, folds: int = 5, reduced: tuple[str, ...] = ()) -> TargetResult:
    """What the study might find on an eye target, some of whose images a weight has seen."""
    data = labelled("deepdrid", "ordinal", 5, images=100)
    weights = {"IN": "densenet121_in", "Domain_IN": NAME}
    found = comparison(data, {"IN": 0.5, "Domain_IN": 3.0}, Protocol(folds=folds), weights=weights)
    arms = [
        ArmFacts("IN", "densenet121_in", "0" * 64),
        ArmFacts("Domain_IN", NAME, "1" * 64, reduced, "paper", "c0ffee"),
    ]
    seen = np.arange(100) < 7
    return TargetResult(
        "deepdrid", "efi", found, arms, {"epochs": 4, "image_size": 96}, seen, {"exact copy": 7}, {}, ArmRanking(), {}
    )


@pytest.fixture
def evidence() -> Evidence:
    counts = {"images": 1_600, "exact copy": 11, "near copy": 22, "same patient": 33, "not seen": 1_534}
    return Evidence({NAME: record()}, [outcome()], {NAME: {"deepdrid": {"counts": counts}}})


def test_the_cards_in_the_repository_are_what_the_tables_and_the_evidence_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medzoo.zoo.preview.PREVIEW", CARDS.parent / "preview")
    evidence = repository_evidence()
    for name in preview_pins():
        record, bundle = evidence.records[name], CARDS.parent / "preview" / name
        made_anew = bundle_card(WEIGHTS[name], record, evidence, bundle)
        assert (bundle / "README.md").read_text() == made_anew, f"run: python -m training card ({name})"
    made = write_cards(tmp_path, evidence)
    assert {file.name for file in made} == {file.name for file in CARDS.glob("*.md")}
    for file in made:
        assert (CARDS / file.name).read_text() == file.read_text(), f"run: python -m training card ({file.name})"


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_the_hub_reads_every_card(name: str, tmp_path: Path) -> None:
    file = write_cards(tmp_path)[list(WEIGHTS).index(name)]
    check_card(file)
    data = ModelCard.load(file).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("timm", "image-classification", "other")
    assert data.eval_results is None
    source = WEIGHTS[name].source
    assert ("base_model" in data.to_dict()) == (source is not None and WEIGHTS[name].init == "in")
    assert {SOURCES[one].tag for one in (SOURCES[source].members if source else ())} <= set(data.tags)


def test_a_weight_that_nobody_trained_shows_no_numbers(evidence: Evidence) -> None:
    text = card(WEIGHTS[NAME], None, evidence)  # rows of its name, but no run
    assert "**Not trained yet.**" in text
    assert not {"## Metrics", "## Transfer", "## Recipe", "model-index", "held out"} & set(re.split(r"\n|\| ", text))
    assert not re.search(r"\b0\.[0-9]{3}\b(?!, 0|\.|,|\n0)", text.split("## Intended use")[1])


def test_every_number_of_the_record_stands_in_the_card(evidence: Evidence) -> None:
    text = card(WEIGHTS[NAME], evidence.records[NAME], evidence)
    assert "| Kappa, quadratic weights | **0.654 (0.601 to 0.702)** |" in text
    assert "| Cohen's kappa | 0.432 |" in text
    assert "| AUROC | undefined |" in text
    assert "| efi | b | 0.720 | 0.320 |" in text
    prose = " ".join(text.split())
    assert "Left out of efi, because all held-out images are of one kind: Severe DR." in prose
    assert "| eyepacs | 48,999 of 49,169 | 44,123 (21,987 patients) | 4,876 (2,345 patients) | by patient |" in text
    assert "| eyepacs | No DR | 1,234 | 1,234 |" in text
    assert "96 x 96" in prose and "seed 5" in prose and "medzoo 9.8.7" in prose and "321 s of training" in prose
    base, mine = evidence.results[0].comparison.table("kappa")
    unseen = evidence.results[0].unseen
    assert mine.test is not None and unseen is not None
    assert ": 100 images, 5 runs | " in text
    line = (
        f" px | Cohen's kappa | {mine.estimate} | {base.estimate} | {mine.test.difference} | {mine.test.adjusted:.3f} |"
    )
    assert f"{line} 7 | {unseen.table('kappa')[1].estimate} |" in text
    assert "| 1,600 | 11 | 22 | 33 | 1,534 |" in text
    for heading in ("Use", "Input", "Intended use", "Risks", "Cite"):
        assert f"\n## {heading}\n" in text
    for call in ("medzoo.create_model(", "timm.create_model(", "torch.hub.load("):
        assert f'{call}"' in text
    assert "Not for diagnosis" in text and "doi:10.18280/ts.400123" in text


def test_the_model_index_holds_the_same_numbers(evidence: Evidence, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(card(WEIGHTS[NAME], evidence.records[NAME], evidence))
    check_card(file)
    data = ModelCard.load(file).data
    validation, study = data.eval_results
    assert data.model_name == NAME
    assert (validation.dataset_type, validation.metric_type, validation.metric_value) == (
        "eyepacs",
        "kappa_quadratic",
        0.6543,
    )
    assert validation.metric_args == {"ci95": [0.6011, 0.7022]}
    estimate = evidence.results[0].comparison.table("kappa")[1].estimate
    assert estimate.value is not None and estimate.low is not None and estimate.high is not None
    assert (study.dataset_type, study.metric_value) == ("deepdrid", round(estimate.value, 4))
    ends = [round(estimate.low, 4), round(estimate.high, 4)]
    assert study.metric_args == {"runs": 5, "images": 100, "ci95": ends}


def test_a_reduced_run_says_so_and_leaves_its_numbers_out_of_the_index(evidence: Evidence) -> None:
    text = card(WEIGHTS[NAME], record(reduced=["2 of 10 epochs"]), evidence)
    assert (
        "**Preview of a reduced run, not the full weight:** 2 of 10 epochs." in text and f"# {NAME} (preview)" in text
    )
    assert "model-index" not in text


def test_one_run_has_the_bootstraps_interval() -> None:
    (found,) = transfers(NAME, [outcome(folds=1)])
    assert found.runs == 1 and found.estimate.low is not None and found.baseline is not None
    assert transfers("densenet121_all_ri", [outcome()]) == []
    text = card(WEIGHTS[NAME], record(), Evidence({}, [outcome(folds=1)]))
    assert ": 100 images, 1 run | " in text and f" px | Cohen's kappa | {found.estimate} |" in text
    assert "One run: differences of a few images mean nothing." in text


def test_evidence_is_read_from_a_work_folder(evidence: Evidence, tmp_path: Path) -> None:
    for file, value in {
        f"runs/{NAME}/run.json": evidence.records[NAME],
        f"audits/{NAME}/deepdrid.json": evidence.audits[NAME]["deepdrid"],
    }.items():
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(json.dumps(value))
    results = evidence.results[0].save(tmp_path / "study" / "results")
    found = read_evidence(tmp_path)
    assert (found.records, found.audits[NAME]) == (evidence.records, evidence.audits[NAME])
    assert transfers(NAME, found.results) == transfers(NAME, evidence.results)
    results.write_text("[")
    with pytest.raises(RunError, match=r"deepdrid.json cannot be read .*; run the study again, or remove it"):
        read_evidence(tmp_path)


def test_the_gallery_shows_what_was_measured_and_runs_nothing_of_a_records(evidence: Evidence, tmp_path: Path) -> None:
    write_gallery(tmp_path, evidence)
    assert {file.stem for file in tmp_path.iterdir()} == {"index", *WEIGHTS, *KNOWN}
    assert not [file for file in tmp_path.iterdir() if "<script>alert" in file.read_text()]
    index = (tmp_path / "index.md").read_text()
    assert "Kappa, quadratic weights 0.654 (0.601 to 0.702)" in index
    assert f"kappa {evidence.results[0].comparison.table('kappa')[1].estimate}" in index
    assert index.count("not trained yet</span></td>") == len(WEIGHTS) - 2
    page = (tmp_path / f"{NAME}.md").read_text()
    assert page.count("<svg ") == 3  # loss, kappa, and the forest plot
    assert "## Transfer" in page and 'class="interval"' in page
    assert "unverified" in (tmp_path / "xrv-all.md").read_text().lower()


def test_charts_have_axes_that_hold_their_values(evidence: Evidence) -> None:
    loss, kappa = curves(evidence.records[NAME]["history"])
    assert loss.lines[0].points.startswith("0.0,") and kappa.lines[0].points.split()[1].startswith(f"{WIDTH}.0,")
    assert [tick.label for tick in kappa.y][:: len(kappa.y) - 1] == ["0", "1"]
    assert float(kappa.lines[0].points.split()[0].split(",")[1]) == HEIGHT / 2  # 0.5 on an axis from 0 to 1
    found = forest(transfers(NAME, evidence.results), {"deepdrid": "DeepDRiD"})
    assert found is not None and found.zero is not None
    (row,) = found.rows
    assert 0 <= row.low <= row.at <= row.high <= WIDTH
    difference = evidence.results[0].comparison.table("kappa")[1].test
    assert difference is not None and row.text == f"{difference.difference:+.3f}"


class Sized:
    """As much of a cache as validation looks at."""

    def __init__(self, count: int, patients: np.ndarray) -> None:
        self.count, self.groups = count, patients

    def __len__(self) -> int:
        return self.count


def test_the_last_epochs_intervals_are_resampled_by_patient() -> None:
    rng = np.random.default_rng(0)
    source = SOURCES["efi"]
    grades = rng.integers(0, 5, 60)
    patients = np.array([f"p{i // 2}" for i in range(60)])
    cache: Any = Sized(60, patients)
    # Two data sets whose patients are called alike, and are others.
    parts = tuple(Slice(source, cache, first, (), 60) for first in (0, 60))
    targets = np.tile(np.eye(5, dtype=np.float32)[grades], (2, 1))
    corpus = Corpus(source, parts, targets, np.ones(120, bool))
    images = rng.integers(0, 255, (120, 32, 32, 3)).astype(np.uint8)
    loader = Loader([ImageArray(images, AUGMENTS["none"])], replace(InputContract(), size=32))
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=5)
    runtime = Execution("cpu").start()
    plain = validate(model, loader, corpus, runtime)["efi"]
    found = validate(model, loader, corpus, runtime, bootstrap=100)["efi"]
    assert "intervals" not in plain
    assert found["resampled"] == {"groups": 60, "images": 120}
    assert found["accuracy"] == plain["accuracy"]
    assert found["kappa_quadratic"] == pytest.approx(plain["kappa_quadratic"])
    low, high = found["intervals"]["accuracy"]
    assert low < found["accuracy"] < high
