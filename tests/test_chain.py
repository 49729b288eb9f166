"""The whole chain on drawings through the commands: prepare, pretrain, publish, study, and what they leave behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from makers import noise
from safetensors.torch import load_file, save_file

import medzoo
from medzoo.cli import app as commandline
from medzoo.engine.loop import seeded
from medzoo.zoo.resolve import resolve
from medzoo.zoo.sources import SOURCES
from training.__main__ import app
from training.cache.prepare import Cache, open_cache
from training.datasets import DATASETS
from training.standins import write_standins
from training.study.result import read_results

# Images that the study uses of 40 drawn: EyePACS's test images of grade 0 are left out.
SETS = {"chestxray14": 40, "breakhis": 40, "eyepacs": 36, "deepdrid": 40}
NAMES = ("densenet121_efi_ri", "densenet121_all_ri", "densenet121_efi_in")


def run(*words: object) -> None:
    """Run a command of ``python -m training`` in this process, as the shell would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["training", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            commandline.run(app)
    assert not left.value.code


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Everything, once: 40 drawings a set, 32 pixels, one epoch."""
    top = tmp_path_factory.mktemp("chain")
    data, work, zoo, imagenet = top / "data", top / "work", top / "zoo", top / "imagenet.safetensors"
    write_standins(data, dict.fromkeys(SETS, 40))
    with seeded(0):
        save_file(timm.create_model("densenet121", pretrained=False).state_dict(), imagenet)
    common = ("--data", data, "--work", work, "--allow-partial", "--image-size", 32)
    run("prepare", *common)
    run("publish", "densenet121_in", "--imagenet-weights", imagenet, "--work", work, "--out", zoo)
    for name in NAMES:
        start = ("--imagenet-weights", imagenet) if name.endswith("_in") else ()
        run("pretrain", name, *common, "--epochs", 1, "--batch-size", 16, "--device", "cpu", *start)
        run("publish", name, "--work", work, "--out", zoo)
    arms = "IN,Domain_RI,Domain_IN,All_RI"
    study = ("study", *common, "--zoo", zoo, "--targets", "deepdrid", "--arms", arms, "--epochs", 1)
    study = (*study, "--folds", 2, "--device", "cpu")
    run(*study)
    yield SimpleNamespace(data=data, work=work, zoo=zoo, imagenet=imagenet, study=study)


def caches(chain: SimpleNamespace) -> dict[str, Cache]:
    found = [open_cache(manifest.parent) for manifest in (chain.work / "cache").glob("*/manifest.json")]
    return {cache.name: cache for cache in found}


def record(chain: SimpleNamespace, name: str) -> dict:
    return json.loads((chain.work / "runs" / name / "run.json").read_text())


def test_prepare_made_a_cache_of_every_set(chain: SimpleNamespace) -> None:
    assert set(caches(chain)) == set(SETS)
    for name, cache in caches(chain).items():
        assert len(cache) == SETS[name]
        assert min(cache.images.shape[1:3]) == 32
        assert cache.classes == DATASETS[name].classes


@pytest.mark.parametrize("name", NAMES)
def test_a_run_record_says_what_was_done_and_that_it_was_little(chain: SimpleNamespace, name: str) -> None:
    run_record = record(chain, name)
    source = SOURCES[name.split("_")[1]]
    assert (run_record["kind"], run_record["name"], run_record["medzoo"]) == ("pretrain", name, medzoo.__version__)
    said = "; ".join(run_record["reduced"])
    for data_set in source.datasets:
        assert f"{SETS[data_set]} of {DATASETS[data_set].total:,} images of {data_set}" in said
    assert "32 px instead of 224" in said
    assert "1 of 10 epochs" in said
    assert [part["name"] for part in run_record["data"]] == list(source.datasets)
    for part in run_record["data"]:
        assert part["train"]["images"] + part["valid"]["images"] == part["images"] == SETS[part["name"]]
        assert part["valid"]["images"] >= 1
        assert part["fingerprint"].startswith(f"{part['name']}-")
        assert part["split"] == "by patient"
        assert set(part["train"]["counts"]) == set(DATASETS[part["name"]].classes)
    (epoch,) = run_record["history"]
    assert epoch["loss"] > 0
    assert set(epoch["valid"]) == set(source.members)
    assert run_record["recipe"]["plan"]["batch_size"] == 16
    assert run_record["environment"]["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert (chain.zoo / name / "run.json").read_text() == (chain.work / "runs" / name / "run.json").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_no_record_names_the_machine_or_its_user(chain: SimpleNamespace, name: str) -> None:
    for file in ("run.json", "README.md", "config.json"):
        text = (chain.zoo / name / file).read_text()
        assert str(chain.work) not in text
        assert str(Path.home()) not in text
        assert "Traceback" not in text


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_so_too(chain: SimpleNamespace, name: str) -> None:
    card = (chain.zoo / name / "README.md").read_text()
    assert card.startswith("---\n")
    assert f"# {name}" in card
    assert "not the full weight" in card
    for note in record(chain, name)["reduced"]:
        assert note in card
    assert "Not for diagnosis" in card
    assert "10.18280/ts.400123" in card
    assert "32 x 32" in card
    assert "224 x 224" not in card


@pytest.mark.parametrize("name", NAMES)
def test_a_published_weight_is_what_its_name_says(chain: SimpleNamespace, name: str) -> None:
    bundle = resolve(name, chain.zoo)
    source = SOURCES[name.split("_")[1]]
    assert bundle.labels == source.labels
    assert (bundle.input.size, bundle.input.crop) == (32, source.crop)
    assert bundle.config["medzoo"]["reduced"] is True
    assert (bundle.info["source"], bundle.info["init"]) == (source.name, name[-2:])
    info = medzoo.get_weights(name, chain.zoo)
    assert (info.status, info.partial) == ("published", True)
    assert info.metrics == record(chain, name)["history"][-1]["valid"]
    with torch.no_grad():
        logits = medzoo.create_model(name, zoo=chain.zoo)(noise(2))
    assert logits.shape == (2, len(source.labels))
    assert logits.isfinite().all()


def test_an_in_weight_started_from_the_file_and_a_ri_weight_did_not(chain: SimpleNamespace) -> None:
    """One epoch of two steps moves a kernel little; another start lies far away."""
    first = "features.conv0.weight"
    start = load_file(chain.imagenet)[first]
    trained = {name: load_file(chain.zoo / name / "model.safetensors")[first] for name in NAMES}
    assert 0 < (trained["densenet121_efi_in"] - start).norm() < 0.3 * start.norm()
    assert (trained["densenet121_efi_ri"] - start).norm() > start.norm()
    baseline = load_file(chain.zoo / "densenet121_in" / "model.safetensors")
    assert all(torch.equal(value, baseline[key]) for key, value in load_file(chain.imagenet).items())


def test_no_patient_stands_on_both_sides_of_the_pretraining_split(chain: SimpleNamespace) -> None:
    """Each patient is counted once: the two sides add up to all of them."""
    for part in record(chain, "densenet121_all_ri")["data"]:
        cache = caches(chain)[part["name"]]
        assert cache.patients is not None
        assert part["train"]["patients"] + part["valid"]["patients"] == len(set(cache.patients))


def test_the_study_compared_the_arms_on_the_same_divisions(chain: SimpleNamespace) -> None:
    (outcome,) = read_results(chain.work / "study")
    assert (outcome.target, outcome.area, outcome.metric) == ("deepdrid", "efi", "kappa")
    comparison = outcome.comparison
    assert comparison.arms == ["IN", "Domain_RI", "Domain_IN", "All_RI"] and not comparison.failures
    assert comparison.data.patients and len(comparison.data.ids) == 40
    folds = [[record["rows"] for record in comparison.runs(arm)] for arm in comparison.arms]
    assert all(one == folds[0] for one in folds)
    assert sorted(row for fold in folds[0] for row in fold) == list(range(40))
    for one, other in ((0, 1), (1, 0)):
        assert not set(comparison.data.groups[folds[0][one]]) & set(comparison.data.groups[folds[0][other]])
    assert [row.runs for row in comparison.table(outcome.metric)] == [2, 2, 2, 2]
    assert len({arm.sha256 for arm in outcome.arms}) == 4
    assert [(arm.arm, bool(arm.reduced)) for arm in outcome.arms] == [
        ("IN", False),
        ("Domain_RI", True),
        ("Domain_IN", True),
        ("All_RI", True),
    ]
    assert outcome.seen is not None and not outcome.seen.any()  # other drawings than those of pretraining


def test_the_report_is_one_page_with_its_pictures_inside(chain: SimpleNamespace) -> None:
    page = (chain.work / "study" / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 1
    assert 'src="http' not in page
    for arm in ("IN", "Domain_RI", "Domain_IN", "All_RI"):
        assert arm in page
    assert "32 px instead of 224" in page
    table = (chain.work / "study" / "table.md").read_text()
    assert "deepdrid" in table.lower() and "kappa" in table


def test_a_finished_study_is_not_run_again_and_its_report_is_made_anew(
    chain: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [chain.work / "study" / name for name in ("results/deepdrid.json", "report.html", "table.md")]
    before = [file.read_bytes() for file in files]
    monkeypatch.setattr("medzoo.comparison.runs.finetune", lambda *_, **__: pytest.fail("a cell was run again"))
    run(*chain.study)
    assert [file.read_bytes() for file in files] == before
    files[1].unlink()
    run("study", "--work", chain.work, "--report-only")
    assert [file.read_bytes() for file in files] == before


def test_nothing_half_written_is_left(chain: SimpleNamespace) -> None:
    for place in (chain.zoo, chain.work / "runs", chain.work / "study"):
        found = [path for path in place.rglob("*") if path.suffix != ".lock"]  # which stays, and holds nothing
        hidden = [path for path in found if path.name.startswith(".") or path.suffix in (".tmp", ".part")]
        assert hidden == []
    assert list((chain.work / "cache").glob("*.partial")) == []


def test_a_complete_set_is_asked_for(chain: SimpleNamespace, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["training", "pretrain", "densenet121_efi_ri", "--data", str(chain.data), "--work", str(chain.work / "new")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            commandline.run(app)
    assert left.value.code == 2
    said = capfd.readouterr().err
    assert "holds 36 images of eyepacs, the complete set has 49,169" in said
    assert "--allow-partial" in said
    assert not (chain.work / "new" / "runs" / "densenet121_efi_ri").exists()
