"""Subgroups and sites in ``finetune``, ``evaluate`` and ``compare``: what is planted in pixels is found and said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from makers import save_bundle
from PIL import Image
from typer.testing import CliRunner

from medzoo import evaluate, finetune
from medzoo.__main__ import app
from medzoo.comparison.compare import compare
from medzoo.comparison.comparison import Comparison
from medzoo.comparison.report import save
from medzoo.core.errors import DataError, MedzooError
from medzoo.data.dataset import ImageDataset
from medzoo.finetuning.report import Report
from medzoo.metrics.sites import SiteValidation, measure_sites
from medzoo.metrics.subgroups import measure_subgroups
from medzoo.reporting.subgroup_section import subgroup_section

PROBE = {"strategy": "linear_probe", "device": "cpu"}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medzoo.finetuning.finetune.RESAMPLES", 100)


def two_sites(signature: int = 120, each: int = 24, other: bool = True) -> ImageDataset:
    """Images of two sites; ill ones are bright, at ``south`` (if ``other``) dark, with blue added by its scanner."""
    rng = np.random.default_rng(0)
    images, labels, sites = [], [], []
    for site in ("north", "south"):
        for ill in (0, 1):
            for _ in range(each):
                image = rng.normal(100, 20, (32, 32, 3)) + rng.normal(0, 12)
                image[:, :, :2] += 30 * (1 - ill if other and site == "south" else ill)
                image[:, :, 2] += signature * (site == "south")
                images.append(np.clip(image, 0, 255).astype(np.uint8))
                labels.append(ill)
                sites.append(site)
    count = len(images)
    half = np.where(np.arange(count) % 2 == 0, "train", "test")
    sex = np.array(["f", "m", "m", "f"])[np.arange(count) % 4]
    return ImageDataset(
        "made",
        np.stack(images),
        tuple(map(str, range(count))),
        np.eye(2, dtype=np.float32)[labels],
        ("healthy", "ill"),
        "binary",
        splits=half,
        columns={"site": np.array(sites), "sex": sex, "age": np.array([str(20 + i) for i in range(count)])},
    )


@pytest.fixture(scope="module")
def report(tiny: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medzoo.finetuning.finetune.RESAMPLES", 100)
        options = {"by": ["sex", "age"], "bins": {"age": (50, 80)}, "site_column": "site"}
        return finetune(tiny, two_sites(), validation="leave-one-site-out", **options, **PROBE)


def test_a_site_signature_in_pixels_is_found_before_and_after(report: Report, tiny: Path) -> None:
    assert report.site_probes is not None
    assert all(probe.found and probe.accuracy.value > 0.9 for probe in report.site_probes)
    clean = finetune(tiny, two_sites(signature=0, other=False), site_column="site", **PROBE)
    assert clean.site_probes is not None and not any(probe.found for probe in clean.site_probes)
    assert clean.sites is None


def test_a_drop_on_an_unseen_site_is_found(report: Report) -> None:
    sites = report.sites
    assert sites is not None and [one.site for one in sites.sites] == ["north", "south"]
    assert [one.images for one in sites.sites] == [48, 48]
    assert sites.mean_drop.low is not None and sites.mean_drop.low > 0.2
    assert sites.random.value == report.metrics["auroc"].value
    assert "Drop on the same images +" in str(report) and ": a drop" in str(report)


def test_leaving_sites_out_resumes(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    monkeypatch.setattr("medzoo.finetuning.resume.MIN_INTERVAL", 0.0)
    place = tmp_path / "checkpoints"
    options = {"validation": "leave-one-site-out", "site_column": "site", "epochs": 1, "device": "cpu"}
    whole = finetune(tiny, two_sites(each=12), checkpoints=place, **options)
    shutil.rmtree(place / "site-2")  # as if it had been stopped before
    before = {path: path.stat().st_mtime_ns for path in place.glob("**/at-*.pt")}
    again = finetune(tiny, two_sites(each=12), checkpoints=place, resume=True, **options)
    after = {path: path.stat().st_mtime_ns for path in place.glob("**/at-*.pt")}
    assert {path.parent.name for path in before} == {"checkpoints", "site-1"}
    assert before.items() < after.items() and {path.parent.name for path in after.keys() - before.keys()} == {"site-2"}
    assert again.sites is not None and whole.sites is not None and again.sites.to_dict() == whole.sites.to_dict()
    again.save(tmp_path / "out", images=False)
    assert not place.exists()


def test_the_report_shows_subgroups_and_sites(report: Report, tmp_path: Path) -> None:
    assert report.subgroups is not None
    assert [column.name for column in report.subgroups.columns] == ["sex", "age", "site"]
    assert report.subgroups.columns[1].cuts == (50, 80)
    report.save(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    for text in (
        "By age (cut at 50, 80)",
        "Is the site in the features?",
        "On a site that was not trained on",
        "sex: ",
    ):
        assert text in page
    assert (tmp_path / "out" / "pictures" / "subgroups.png").is_file()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert set(record["site_probes"]) == {"before", "after"} and record["sites"]["metric"] == "auroc"
    assert record["subgroups"]["lines"] == report.subgroups.lines()


def test_few_patients_are_not_named_in_what_is_published(report: Report, tmp_path: Path, undrawn: None) -> None:
    assert report.sites is not None and report.site_probes is not None
    ward = np.where(np.arange(len(report.ids)) < 4, "Ward of Rarities", "surgery")
    made = (report.targets, report.probabilities, "binary", report.examples.classes)
    sites = (replace(report.sites.sites[0], site="Smallville", patients=9), report.sites.sites[1])
    small = replace(
        report,
        subgroups=measure_subgroups(*made, {"ward": ward}, bootstrap=20),
        sites=replace(report.sites, sites=sites),
        site_probes=tuple(replace(probe, left_out={"Tinytown": 3}) for probe in report.site_probes),
    )
    names = ("Ward of Rarities", "Smallville", "Tinytown")
    for images in (True, False):
        folder = small.save(tmp_path / "out", images=images)
        texts = [" ".join((folder / name).read_text().split()) for name in ("README.md", "run.json")]
        for name in names:
            assert name not in texts[0] and (name in texts[1]) is images
        assert "## By subgroup" in texts[0] and "auroc by ward: surgery" in texts[0] and "mean of 2 sites" in texts[0]
        assert "are not named here: 2." in texts[0]
    column = json.loads(texts[1])["subgroups"]["columns"][0]["subgroups"]
    assert [one["name"] for one in column] == ["surgery"] and not column[0]["metrics"]["positives"]
    replace(report, subgroups=None, sites=None, site_probes=None).save(tmp_path / "none", images=False)
    assert "By subgroup" not in (tmp_path / "none" / "README.md").read_text()


def test_a_column_without_any_gap_has_a_section_too(tmp_path: Path) -> None:
    chance = np.linspace(0.1, 0.9, 30)
    columns = {"site": np.array(["a"] * 25 + ["b"] * 5), "scanner": np.array(["x"] * 30)}
    made = (np.eye(2)[np.arange(30) % 2], np.stack([1 - chance, chance], axis=1))
    html = subgroup_section(measure_subgroups(*made, "binary", ["n", "y"], columns, bootstrap=20), tmp_path)
    assert "not measured" in html and "data:image/png" in html
    assert subgroup_section(None, tmp_path) == ""


def test_what_cannot_be_is_said_before_the_work(tiny: Path) -> None:
    data = two_sites(each=2)
    for options, said in (
        ({"validation": "leave-one-site-out"}, "needs the column of the site"),
        ({"by": ["sax"]}, "did you mean 'sex'"),
        ({"bins": {"age": (40,)}}, "name it in by="),
        ({"by": ["age"], "bins": {"age": (60, 40)}}, "give rising numbers"),
    ):
        with pytest.raises(MedzooError, match=said):
            finetune(tiny, data, **options, **PROBE)
    one = np.full(10, "a")
    with pytest.raises(DataError, match="at least two"):
        measure_sites(np.eye(2)[[0] * 10], np.ones((10, 2)), np.ones((10, 2)), one, "binary", ["n", "y"])


def test_commands_measure_by_columns_of_a_table(report: Report, tmp_path: Path) -> None:
    data, lines = two_sites(), ["path,label,sex,age"]
    for row in range(len(data)):
        Image.fromarray(data.images[row]).save(tmp_path / f"{row}.png")
        lines.append(f"{row}.png,{data.classes[data.labels[row]]},{'' if row % 4 == 0 else 'fm'[row % 2]},{20 + row}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    report.save(tmp_path / "model")
    words = ["evaluate", str(tmp_path / "model"), str(tmp_path / "table.csv"), "--bootstrap", "50", "--device", "cpu"]
    words += ["--by", "sex", "--by", "age", "--bins", "age=60", "--json", "--out", str(tmp_path / "measured")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "measured" / "metrics.json").read_text())["subgroups"]["columns"]
    assert [[one["name"] for one in column["subgroups"]] for column in found] == [
        ["f", "m", "missing"],
        ["below 60", "60 or more"],
    ]
    wrong = CliRunner().invoke(app, [*words, "--bins", "age"])
    assert wrong.exit_code and "such as age=40,60" in str(wrong.exception or wrong.output)
    direct = evaluate(report.model, data, by={"sex": data.columns["sex"]}, split="all", bootstrap=0, device="cpu")
    assert direct.subgroups is not None and "auroc by sex: f " in str(direct)


def test_compare_leaves_sites_out_and_probes_them(tmp_path: Path) -> None:
    starts = [save_bundle(tmp_path / name, "test_resnet", ("a", "b"), "binary", seed) for seed, name in enumerate("xy")]
    options = {"strategies": "linear_probe", "folds": 2, "device": "cpu", "cells": tmp_path / "runs"}
    asked = {"validation": "leave-one-site-out", "site_column": "site", "site_probe": True, "by": ["sex"]}
    result = compare(two_sites(), starts, **options, **asked)
    assert len(result.records) == 4  # those that leave a site out are beside them
    for found in result.groups.values():
        assert found.sites is not None and found.sites.mean_drop.low > 0
        assert [when for when, _ in found.probes] == ["before", "after"] and found.probes[0][1].found
        assert found.subgroups is not None and found.subgroups.columns[0].name == "sex"
    assert list(result.facts["x"])[-5:] == [
        "gap by site",
        "on an unseen site",
        "drop",
        "site probe before",
        "site probe after",
    ]
    assert "drop" in str(result) and set(result.to_dict()["groups"]) == {"x", "y"}
    page = result.save(tmp_path / "out").read_text()
    assert "Subgroups and sites: x" in page and "on an unseen site" in page
    again = Comparison.from_dict(json.loads(json.dumps(result.to_dict())))
    assert str(again) == str(result) and again.to_dict() == result.to_dict()
    assert save(again, tmp_path / "again").read_text() == page
    older = found.sites.to_dict()  # as it was written before it counted a site's patients
    del older["unnamed"]
    for one in older["sites"]:
        del one["patients"]
    assert SiteValidation.from_dict(older).lines() == found.sites.lines()
    with pytest.raises(MedzooError, match="give site_column="):
        compare(two_sites(), starts, validation="leave-one-site-out", **options)
