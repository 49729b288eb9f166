"""The studies kept here: tables and cards are what their results say, and nothing large or private lies there."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from training.publishing.card import STUDIES as OF_CARDS
from training.publishing.card import write_cards
from training.publishing.evidence import read_evidence
from training.study.report import csv_of
from training.study.result import read_results
from training.study.side_by_side import markdown

FOLDERS = sorted(Path(__file__).parents[1].glob("docs/studies/*/"))
STUDIES = [folder for folder in FOLDERS if (folder / "study").is_dir()]
RECIPES = FOLDERS[0].parent / "2026-11-23-two-recipes"


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_tables_are_made_from_the_results(study: Path) -> None:
    outcomes = read_results(study / "study")
    assert outcomes
    assert (study / "study" / "table.md").read_text(encoding="utf-8") == markdown(outcomes)
    assert (study / "study" / "table.csv").read_text(encoding="utf-8") == csv_of(outcomes)


# Those of the study that the repository's own cards are made from lie in model_cards/ (test_cards.py).
@pytest.mark.parametrize("study", [study for study in STUDIES if study not in OF_CARDS], ids=lambda path: path.name)
def test_cards_are_made_from_results_and_run_records(study: Path, tmp_path: Path) -> None:
    for file in write_cards(tmp_path, read_evidence(study)):
        assert (study / "cards" / file.name).read_text(encoding="utf-8") == file.read_text(encoding="utf-8"), file.name
        if "_in.md" in file.name or "_ri.md" in file.name:
            record = study / "runs" / file.stem / "run.json"
            if record.is_file() and json.loads(record.read_text(encoding="utf-8"))["reduced"]:
                assert f"# {file.stem} (preview)" in file.read_text(encoding="utf-8")


def test_the_table_of_both_recipes_is_made_from_the_run_records(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(RECIPES / "make_table.py"), run_name="__main__")
    table = capsys.readouterr().out
    assert table.count("| paper |") == table.count("| medzoo |") - 1 == 12, "the eyes twice by one of the two"
    assert table in (RECIPES / "README.md").read_text(encoding="utf-8")


def test_the_table_of_defaults_is_made_from_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    study = FOLDERS[0].parent / "2026-11-25-defaults"
    runpy.run_path(str(study / "make_table.py"), run_name="__main__")
    assert capsys.readouterr().out in (study / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("study", FOLDERS, ids=lambda path: path.name)
def test_nothing_large_no_weight_and_no_place(study: Path) -> None:
    for file in study.rglob("*"):
        if file.is_file():
            assert file.stat().st_size < 2_000_000, file
            assert file.suffix in (".md", ".json", ".csv", ".html", ".png", ".jsonl", ".py"), file
            if file.suffix == ".json":
                text = file.read_text(encoding="utf-8")
                assert "/work/" not in text and "/home/" not in text and "/tmp/" not in text, file
