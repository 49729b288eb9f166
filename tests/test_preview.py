"""Preview weights: half precision, found where no zoo is set, and said to be previews."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from makers import make_run, noise, write_pins
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import medzoo
from medzoo.__main__ import app as medzoo_app
from medzoo.core.errors import ZooError
from medzoo.models.golden import HALF_TOLERANCE, TOLERANCE
from medzoo.models.verify import verify_weights
from medzoo.zoo import preview
from medzoo.zoo.pins import INDEX, read_index
from medzoo.zoo.resolve import published, resolve, zoo_of
from training.__main__ import app as training_app
from training.publishing.card import repository_evidence
from training.publishing.gallery import write_gallery
from training.publishing.publish import publish

TOP = Path(__file__).resolve().parents[1]
NAME = "densenet121_efi_in"
WARNING = f"{NAME} is a preview: trained on 10 images at 32 px, not the full study"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with the run of one weight, and its zoo of previews."""
    work = tmp_path_factory.mktemp("work")
    make_run(NAME, work)
    publish(NAME, work, work / "preview", half=True)
    return work


@pytest.fixture
def here(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The previews as those of this checkout."""
    monkeypatch.setattr(preview, "PREVIEW", work / "preview")
    preview.warn_once.cache_clear()
    return work / "preview"


def test_kernels_are_in_half_precision_and_vectors_in_single(work: Path) -> None:
    whole = load_file(work / "runs" / NAME / "bundle" / "model.safetensors")
    half = load_file(work / "preview" / NAME / "model.safetensors")
    assert whole.keys() == half.keys()
    for key, value in half.items():
        assert value.dtype == (torch.float16 if value.ndim > 1 else whole[key].dtype)
        torch.testing.assert_close(value.float(), whole[key].float(), rtol=1e-3, atol=1e-7)
    assert 13.9e6 < (work / "preview" / NAME / "model.safetensors").stat().st_size < 15e6


def test_the_golden_vector_is_that_of_the_weights_as_trained(work: Path) -> None:
    golden = [load_file(work / part / "golden.safetensors") for part in (f"runs/{NAME}/bundle", f"preview/{NAME}")]
    assert torch.equal(golden[0]["logits"], golden[1]["logits"])
    found = verify_weights(NAME, work / "preview")
    assert found.difference is not None
    assert 0 < found.difference < HALF_TOLERANCE == found.tolerance
    assert f"(allowed {HALF_TOLERANCE}, half precision)" in str(found)
    whole = verify_weights(work / "runs" / NAME / "bundle")
    assert (whole.difference, whole.tolerance) == (0.0, TOLERANCE)


def test_other_weights_under_its_golden_vector_are_noticed(work: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(work / "preview" / NAME, tmp_path / NAME)
    golden = load_file(bundle / "golden.safetensors")
    golden["logits"][0, 0] += 2 * HALF_TOLERANCE * golden["logits"].abs().max()
    from medzoo.zoo.verify import sha256_of

    save_file(golden, bundle / "golden.safetensors", metadata={"weights": sha256_of(bundle / "model.safetensors")})
    with pytest.raises(ZooError, match=f"allowed is {HALF_TOLERANCE}"):
        verify_weights(bundle)


def test_half_precision_must_be_said(work: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(work / "preview" / NAME, tmp_path / NAME)
    config = json.loads((bundle / "config.json").read_text())
    config["medzoo"].pop("dtype")
    (bundle / "config.json").write_text(json.dumps(config))
    with pytest.raises(ZooError, match=r"not sound: .*conv0\.weight is torch\.float16"):
        verify_weights(bundle)
    config["medzoo"]["dtype"] = "int8"
    (bundle / "config.json").write_text(json.dumps(config))
    with pytest.raises(ZooError, match="dtype 'int8'"):
        verify_weights(bundle)


def test_card_and_run_record_say_so(work: Path) -> None:
    assert resolve(NAME, work / "preview").run["dtype"] == "float16"
    text = " ".join((work / "preview" / NAME / "README.md").read_text().split())
    assert "stored in half precision (float16) and loaded as float32" in text
    assert f"allows {HALF_TOLERANCE} of the largest" in text
    assert "half precision" not in (work / "runs" / NAME / "bundle" / "README.md").read_text()


def test_a_name_resolves_to_its_preview_where_no_zoo_is_set(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = medzoo.create_model(NAME, num_classes=4)
    assert model(noise(2)).shape == (2, 4)
    assert all(value.dtype != torch.float16 for value in model.state_dict().values())
    medzoo.create_model(NAME)
    assert caplog.messages == [WARNING], "one line, once"
    assert resolve(NAME).folder == here / NAME


def test_zoo_and_environment_and_hub_come_first(
    here: Path, zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ZooError, match=f"has no {NAME}"):
        resolve(NAME, zoo)
    with pytest.raises(ZooError, match="Three ways"):
        resolve(NAME, "hf://medzoo")
    with monkeypatch.context() as patch:
        patch.setenv("MEDZOO_ZOO", str(zoo))
        assert published() == read_index(zoo)
        with pytest.raises(ZooError, match=f"has no {NAME}"):
            resolve(NAME)
    assert zoo_of(NAME) == str(here)
    assert published().keys() == {NAME}
    pin = read_index(here)[NAME]
    write_pins(tmp_path / "pins.json", {NAME: type(pin)(pin.sha256, 1, repo=f"medzoo/{NAME}", revision="0" * 40)})
    monkeypatch.setattr("medzoo.zoo.resolve.PINS", tmp_path / "pins.json")
    assert zoo_of(NAME) == "hf://medzoo"
    assert published()[NAME].bytes == 1


@pytest.mark.parametrize("present", ["nothing", "an index alone", "another name"])
def test_without_it_the_error_names_three_ways(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: str
) -> None:
    monkeypatch.setattr(preview, "PREVIEW", tmp_path)
    if present != "nothing":
        shutil.copyfile(work / "preview" / INDEX, tmp_path / INDEX)
    if present == "another name":
        shutil.copytree(work / "preview" / NAME, tmp_path / NAME)
        assert resolve(NAME).folder == tmp_path / NAME
    name = "densenet121_all_in" if present == "another name" else NAME
    with pytest.raises(ZooError) as caught:
        resolve(name)
    for way in ("preview/", "medzoo import", f"training pretrain {name}"):
        assert way in str(caught.value)


def test_list_and_info_say_preview(here: Path) -> None:
    def shown(*words: str) -> str:
        result = CliRunner().invoke(medzoo_app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    lines = {line.split()[0]: line for line in shown("list").splitlines()}
    assert [name for name, line in lines.items() if "preview" in line] == [NAME]
    assert "published by timm" in lines["densenet121_in"]
    assert {entry["status"] for entry in json.loads(shown("list", "--json"))} == {
        "preview",
        "not trained yet",
        "published by timm",
    }
    page = shown("info", NAME)
    assert "preview: trained on 10 images at 32 px, not the full study" in page
    assert "kappa_quadratic 0.100" in page
    assert "eyepacs: Kaggle competition rules" in page
    assert not {"{", "}", "'", "None"} & set(page.split()) and "{" not in page
    record = json.loads(shown("info", NAME, "--json"))
    assert (record["status"], record["partial"], record["reduced"]) == ("preview", True, ["a test"])


def test_verify_without_names_checks_the_previews(here: Path) -> None:
    result = CliRunner().invoke(medzoo_app, ["verify"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{NAME}: ")


def test_cards_and_gallery_are_made_from_the_previews(here: Path, tmp_path: Path) -> None:
    evidence = repository_evidence()
    assert evidence.records[NAME]["dtype"] == "float16"
    write_gallery(tmp_path, evidence)
    assert '<span class="chip preview">preview</span>' in (tmp_path / "index.md").read_text()
    card = (tmp_path / f"{NAME}.md").read_text()
    assert read_index(here)[NAME].sha256 in card and "(float16)" in card
    assert read_index(here)[NAME].sha256 in (here / NAME / "README.md").read_text(), "published with the same facts"


def test_timm_reads_a_preview(work: Path) -> None:
    model = timm.create_model(f"local-dir:{work / 'preview' / NAME}", pretrained=True)
    golden = load_file(work / "preview" / NAME / "golden.safetensors")
    with torch.inference_mode():
        difference = (model.eval()(golden["images"]) - golden["logits"]).abs().max() / golden["logits"].abs().max()
    assert difference < HALF_TOLERANCE


def test_the_command_makes_it(work: Path, tmp_path: Path) -> None:
    words = ["publish", NAME, "--work", str(work), "--out", str(tmp_path / "preview"), "--half"]
    result = CliRunner().invoke(training_app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert read_index(tmp_path / "preview") == read_index(work / "preview"), "the same run gives the same files"


def test_a_copy_of_the_checkout_has_them_through_torch_hub(work: Path, tmp_path: Path) -> None:
    """In a process of its own: the real place, beside the package, and no setting."""
    clone = tmp_path / "clone"
    shutil.copytree(TOP / "medzoo", clone / "medzoo", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(TOP / "hubconf.py", clone / "hubconf.py")
    shutil.copytree(work / "preview", clone / "preview")
    code = f"import torch; print(torch.hub.load('.', '{NAME}', source='local', num_classes=4).medzoo.loaded)"
    done = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 700
    assert done.stderr.splitlines() == [WARNING]


REAL = TOP / "preview"


@pytest.mark.parametrize("name", sorted(read_index(REAL)) if (REAL / INDEX).is_file() else ())
def test_the_previews_of_this_repository(name: str) -> None:
    found = verify_weights(name, REAL)
    assert found.difference is not None
    assert found.bytes < 15e6
    assert {"seen.safetensors", "run.json", "README.md", "LICENSE"} <= {file.name for file in found.folder.iterdir()}
