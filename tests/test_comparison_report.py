"""The report of a comparison: the words follow the intervals, and every file says the same."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from comparisons import EPOCHS, comparison, labelled
from PIL import Image

from medzoo.comparison.benefit import benefits
from medzoo.comparison.comparison import Comparison
from medzoo.comparison.curves import epochs, gain
from medzoo.comparison.notes import notes
from medzoo.comparison.protocol import Protocol
from medzoo.comparison.report import ComparisonView, sentences
from medzoo.comparison.result import ComparisonResult
from medzoo.comparison.statistics import PairedTest
from medzoo.comparison.styles import assign_styles
from medzoo.comparison.verdict import BETTER, OPEN, UNKNOWN, WORSE, p_value, signed, verdict
from medzoo.core.errors import MedzooError
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.scores import TASK_METRICS

STARTS = {"densenet121_in": 0.3, "<b>mine</b>": 5.0, "lame": 0.5}


@pytest.fixture(scope="module")
def found() -> ComparisonResult:
    """Three starts, two ways, two shares of the images, 2 x 4 folds; one start failed on the first folds."""
    protocol = Protocol(seeds=2, folds=4, fractions=(0.5, 1.0))
    return comparison(labelled(images=48), STARTS, protocol, strategies=("full", "linear_probe"), failing="lame")


@pytest.fixture(scope="module")
def folder(found: ComparisonResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    (folder / "cells").mkdir()
    assert found.save(folder) == folder / "report.html"
    return folder


def test_saved_beside_what_was_there(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"cells", "report.html", "table.md", "table.csv", "comparison.json", "pictures"}
    pictures = {path.stem for path in (folder / "pictures").iterdir()}
    assert pictures == {"forest", "means", "curves", "loss", "gain", "benefit"}
    for path in (folder / "pictures").iterdir():
        with Image.open(path) as picture:
            assert min(picture.size) > 100


def test_csv_holds_every_number_once(found: ComparisonResult, folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text(encoding="utf-8"))))
    metrics = TASK_METRICS["binary"].overall
    assert len(rows) == 2 * 2 * len(metrics) * len(STARTS)
    for metric in ("auroc", "brier"):
        for expected in found.table(metric, "linear_probe", 0.5):
            (row,) = (
                r
                for r in rows
                if (r["strategy"], r["fraction"], r["metric"], r["weights"])
                == ("linear_probe", "0.5", metric, expected.arm)
            )
            assert float(row["mean"]) == pytest.approx(expected.estimate.value, abs=1e-6)
            if expected.test is None:
                assert row["difference"] == row["p"] == row["p_holm"] == ""
            else:
                assert float(row["difference_low"]) == pytest.approx(expected.test.difference.low, abs=1e-6)
                assert float(row["p_holm"]) == pytest.approx(expected.test.adjusted, abs=1e-6)
    assert {row["failed"] for row in rows if row["weights"] == "lame"} == {"2"}


def test_json_gives_the_comparison_back(found: ComparisonResult, folder: Path) -> None:
    again = Comparison.from_dict(json.loads((folder / "comparison.json").read_text(encoding="utf-8")))
    assert again.table() == found.table()


def test_page_needs_no_other_file_and_escapes_names(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 6
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page
    assert "&lt;b&gt;mine&lt;/b&gt;" in page and "<b>mine</b>" not in page
    assert "8 of 96 runs failed" in page and "the GPU fell off" in page
    assert "Split 2 times into 4 folds by patient" in page
    assert "50 % minus 100 %" in page and "What these numbers can tell" in page
    assert "<h3>Convergence</h3>" in page and "With fewer training images" in page
    assert f'<tr><th>epochs</th><td class="text">{EPOCHS}</td></tr>' in page


def test_markdown_names_no_html(folder: Path) -> None:
    text = (folder / "table.md").read_text(encoding="utf-8")
    assert r"\<b\>mine\</b\>" in text
    assert text.count("| baseline |") == 4  # each strategy with each share


def test_sentences_follow_the_intervals(found: ComparisonResult) -> None:
    said = sentences(ComparisonView.of(found))
    assert len(said) == 4  # two starts beside the baseline, two strategies
    for strategy, line in zip(("full", "full", "linear_probe", "linear_probe"), said, strict=True):
        (row,) = (r for r in found.table(None, strategy) if line.startswith(r.arm))
        assert row.test is not None
        low, high = row.test.difference.low, row.test.difference.high
        assert low is not None and high is not None
        if low <= 0 <= high:
            assert "too close to call" in line
        assert signed(row.test.difference) in line
    assert any("better than densenet121_in" in line for line in said)


def test_what_the_numbers_can_tell_is_said(found: ComparisonResult) -> None:
    power, questions, images = notes(found)
    tests = [row.test for row in found.table() if row.test]
    assert f"{min(test.detectable or 9 for test in tests):.3f}" in power and "8 paired runs" in power
    assert "same models, other patients" in questions and "48 held-out images, averaged over 2 seeds" in questions
    needed = [row.patients.images_needed(0.03) for row in found.table() if row.patients]
    assert all(f"{count:,}" in images for count in needed) and "here are 48" in images
    assert all(note in str(found) for note in (power, questions, images))
    few = comparison(labelled(classes=4, task="multiclass", images=72), {"a": 1.0, "b": 1.5}, Protocol(folds=3))
    said = notes(few)
    assert "3 folds x 1 seed: too few runs for an interval" in said[0] and "Power" not in " ".join(said)
    assert "class 0 (18)" in said[-1]
    (row,) = (row for row in few.table() if row.test)
    assert signed(row.test.difference).endswith("(too few runs for an interval)")  # type: ignore[union-attr]
    assert row.patients is not None and row.patients.difference.low is not None


@pytest.mark.parametrize(
    ("difference", "adjusted", "word"),
    [
        (Estimate(0.1, 0.05, 0.15), 0.01, BETTER),
        (Estimate(-0.1, -0.15, -0.05), 0.01, WORSE),
        (Estimate(0.1, 0.05, 0.15), 0.05, OPEN),  # not after correction
        (Estimate(0.1, 0.0, 0.2), 0.01, OPEN),  # 0 is inside
        (Estimate(-0.1, -0.2, 0.1), None, OPEN),
        (Estimate(0.1, None, None, "one run gives no interval"), None, UNKNOWN),
        (Estimate(None, None, None, "no pair of runs is done"), None, UNKNOWN),
    ],
)
def test_verdicts(difference: Estimate, adjusted: float | None, word: str) -> None:
    said = verdict(PairedTest(difference, adjusted, 5, adjusted))
    assert said.word == word and said.decided == (word in (BETTER, WORSE))
    assert bool(said.why) == (word == UNKNOWN or (difference.low is not None and difference.low > 0 and word == OPEN))


def test_p_values_are_never_nought() -> None:
    assert [p_value(p) for p in (0.0, 0.0009, 0.001, 1.0)] == ["< 0.001", "< 0.001", "0.001", "1.000"]


def test_curves_are_mean_and_spread_over_the_runs_that_are_done(found: ComparisonResult) -> None:
    band = epochs(found, "lame", "auroc")
    assert band is not None and band.runs == 6  # of eight; two failed
    lines = np.array([[e["valid"]["auroc"] for e in r["history"]] for r in found.runs("lame") if r["status"] == "done"])
    assert band.middle == pytest.approx(lines.mean(0)) and band.spread == pytest.approx(lines.std(0, ddof=1))


def test_runs_that_stop_early_count_as_long_as_they_run() -> None:
    made = comparison(labelled(), {"a": 1.0})
    made.records[0]["history"][1:] = []  # type: ignore[index]
    band = epochs(made, "a", None)
    assert band is not None and len(band.middle) == EPOCHS
    last = [r["history"][-1]["loss"] for r in made.records[1:]]
    assert band.middle[-1] == pytest.approx(np.mean(last))


def test_gain_runs_from_few_images_to_all(found: ComparisonResult) -> None:
    points = gain(found)["densenet121_in"]
    assert [point.images for point in points] == sorted(
        {r["train_images"] for r in found.runs("densenet121_in")} | {points[0].images}
    )
    assert points[-1].estimate == found.table()[0].estimate


def test_fewer_images_gain_more_where_the_differences_say_so(found: ComparisonResult) -> None:
    mine, lame = benefits(found)
    assert (mine.arm, lame.arm) == ("<b>mine</b>", "lame") and [len(one.points) for one in (mine, lame)] == [2, 2]
    assert mine.points[1].estimate == found.table()[1].test.difference  # type: ignore[union-attr]
    runs = {
        (arm, share): np.array([found.value(r, "auroc") for r in found.runs(arm, None, share)])
        for arm in ("<b>mine</b>", "densenet121_in")
        for share in (0.5, 1.0)
    }
    few, many = (runs["<b>mine</b>", share] - runs["densenet121_in", share] for share in (0.5, 1.0))
    assert mine.trend.difference.value == pytest.approx(float((few - many).mean()))
    assert (mine.trend.runs, lame.trend.runs) == (8, 6)  # two of the lame ones failed
    assert benefits(comparison(labelled(), {"a": 1.0, "b": 2.0})) == []


def test_looks_stay_with_the_starts() -> None:
    styles = assign_styles(["a", "b", "c"], "b")
    assert len({(style.colour, style.marker) for style in styles.values()}) == 3
    assert assign_styles([str(i) for i in range(30)], "0")["29"]  # more starts than colours


def test_plot_writes_or_returns(found: ComparisonResult, tmp_path: Path) -> None:
    assert found.plot().axes
    assert found.plot(tmp_path / "new" / "curves.png", "curves").is_file()
    with pytest.raises(MedzooError, match="did you mean 'curves'"):
        found.plot(what="curve")


def test_one_run_of_one_start_has_a_page_too(tmp_path: Path) -> None:
    alone = comparison(labelled(images=20), {"only": 1.0}, Protocol(folds=1))
    page = alone.save(tmp_path).read_text(encoding="utf-8")
    assert "baseline" in page
    with pytest.raises(MedzooError, match="available: curves, loss"):
        alone.plot(what="gain")


def test_without_epochs_there_are_no_curves(tmp_path: Path) -> None:
    solved = comparison(labelled(images=20), {"a": 1.0, "b": 2.0}, Protocol(folds=2))
    for record in solved.records:
        record["history"].clear()
    page = solved.save(tmp_path).read_text(encoding="utf-8")
    assert {path.stem for path in (tmp_path / "pictures").iterdir()} == {"forest"}
    assert "Convergence" not in page
