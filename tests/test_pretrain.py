"""One weight from drawings to the zoo, and what a run says where it cannot go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from makers import noise
from safetensors.torch import load_file

import medzoo
from medzoo.core.errors import MedzooError, RunError
from medzoo.engine.checkpoints import Checkpoints
from medzoo.engine.losses import Loss, make_loss
from training.pretraining import pretrain as module
from training.pretraining.options import PretrainOptions
from training.pretraining.pretrain import pretrain
from training.pretraining.recipes import RECIPES
from training.publishing.publish import publish
from training.standins import write_standins

SETS = ("chestxray14", "breakhis", "eyepacs")
SMALL = PretrainOptions(image_size=32, epochs=2, batch_size=16, allow_partial=True, seed=3)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings in ``data`` and their caches in ``work/cache``."""
    top = tmp_path_factory.mktemp("drawings")
    write_standins(top / "data", dict.fromkeys(SETS, 40))
    return top


@pytest.fixture
def work(drawings: Path, tmp_path: Path) -> Path:
    if (drawings / "cache").is_dir():
        shutil.copytree(drawings / "cache", tmp_path / "work" / "cache")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def done(drawings: Path) -> Path:
    """The folder of a run on all three sources by a tiny network."""
    run = pretrain("test_efficientnet_all_ri", drawings / "data", drawings / "work", SMALL)
    shutil.copytree(drawings / "work" / "cache", drawings / "cache")
    return run


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_the_record_tells_the_whole_story(done: Path) -> None:
    record = read(done / "run.json")
    assert (record["schema"], record["kind"], record["name"]) == (1, "pretrain", "test_efficientnet_all_ri")
    assert record["medzoo"] == medzoo.__version__
    plan = RECIPES["paper"].plan
    assert record["recipe"]["plan"] == vars(replace(plan, epochs=2, batch_size=16, lr=plan.lr * 0.5**0.5))
    assert record["recipe"]["absent"] == "zero" and record["recipe"]["augment"]["efi"] == "none"
    assert (record["seed"], record["image_size"], record["random_start"]) == (3, 32, "plain")
    environment = record["environment"]
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0]
    assert {"git_commit", "git_dirty", "cores", "gpu", "python"} <= environment.keys()
    assert (environment["device"], environment["processes"], environment["compiled"]) == ("cpu", 1, False)
    assert record["peak_memory"]["process_mib"] > 50
    assert all(joules >= 0 for joules in record["energy_joules"].values())
    assert record["seconds"] == pytest.approx(sum(epoch["seconds"] for epoch in record["history"]), abs=0.1)
    said = " ".join(record["reduced"])
    assert "2 of 10 epochs" in said and "32 px" in said and "of 112,120 images of chestxray14" in said


def test_the_record_counts_the_images_it_was_made_from(done: Path) -> None:
    parts = read(done / "run.json")["data"]
    assert [part["name"] for part in parts] == list(SETS)
    for part in parts:
        assert part["images"] == part["train"]["images"] + part["valid"]["images"]
        assert part["rejected"] == 0
        assert part["split"] == "by patient"
        assert 0 < part["valid"]["patients"] < part["train"]["patients"]
        cache = done.parents[1] / "cache" / part["fingerprint"]
        assert len((cache / "rows.csv").read_text().splitlines()) == part["images"] + 1
        if part["name"] != "chestxray14":  # one label an image
            assert sum(part["train"]["counts"].values()) == part["train"]["images"]
        assert part["of"] in (112_120, 7_909, 49_169)


def test_every_epoch_is_logged_with_every_sources_metrics(done: Path) -> None:
    record = read(done / "run.json")
    assert [json.loads(line) for line in (done / "log.jsonl").read_text().splitlines()] == record["history"]
    assert [epoch["epoch"] for epoch in record["history"]] == [1, 2]
    for epoch in record["history"]:
        assert epoch["loss"] > 0 and epoch["images_per_second"] > 0 and epoch["lr"] > 0
        assert list(epoch["valid"]) == ["cxr", "hwsi", "efi"]
        for metrics in epoch["valid"].values():
            assert {"auroc", "average_precision", "labels", "left_out"} <= metrics.keys()
        assert {"accuracy", "kappa", "kappa_quadratic"} <= epoch["valid"]["efi"].keys()
    assert record["history"][1]["lr"] < record["history"][0]["lr"]


def test_the_run_leaves_curves_and_a_bundle_and_no_checkpoints(done: Path) -> None:
    assert {path.name for path in done.iterdir()} == {"run.json", "log.jsonl", "curves.png", "bundle"}
    names = {path.name for path in (done / "bundle").iterdir()}
    assert {"model.safetensors", "config.json", "README.md", "run.json", "curves.png"} <= names
    assert (done / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert read(done / "bundle" / "run.json") == read(done / "run.json")


def test_another_architecture_is_published_loaded_and_known_to_timm(done: Path, tmp_path: Path) -> None:
    folder = publish("test_efficientnet_all_ri", done.parents[1], tmp_path / "zoo")
    model = medzoo.create_model("test_efficientnet_all_ri", zoo=tmp_path / "zoo")
    state = load_file(folder / "model.safetensors")
    plain = timm.create_model("test_efficientnet", num_classes=22).eval()
    plain.load_state_dict(state)
    assert model.medzoo.classes[-1] == "Proliferative DR" and model.medzoo.task == "multilabel"
    images = noise(2)
    with torch.inference_mode():
        assert torch.equal(model(images), plain(images))
        headed = medzoo.create_model("test_efficientnet_all_ri", num_classes=3, zoo=tmp_path / "zoo")
        assert headed(images).shape == (2, 3)
    start = timm.create_model("test_efficientnet", num_classes=22).state_dict()
    moved = [key for key, value in state.items() if key.endswith("running_mean") and value.abs().max() > 0]
    assert moved and state.keys() == start.keys()


def test_the_same_command_makes_the_same_bits(drawings: Path, work: Path, done: Path) -> None:
    again = pretrain("test_efficientnet_all_ri", drawings / "data", work, SMALL)
    name = Path("bundle") / "model.safetensors"
    assert (again / name).read_bytes() == (done / name).read_bytes()


def failing(after: int) -> Callable[[str], Loss]:
    """A loss that is no number from its ``after``-th call on."""

    def make(task: str) -> Loss:
        loss, calls = make_loss(task), 0

        def broken(*args: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return loss(*args) * (torch.nan if calls >= after else 1.0)

        return broken

    return make


NAME = "test_resnet_efi_ri"
OFTEN = replace(SMALL, recipe="medzoo", checkpoint_every=0.0, batch_size=8)


@pytest.mark.usefixtures("done")
def test_a_loss_that_is_no_number_stops_and_the_last_checkpoint_is_sound(
    drawings: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = work / "runs" / NAME
    with monkeypatch.context() as patch:
        patch.setattr(module, "make_loss", failing(after=3))
        with pytest.raises(RunError) as error:
            pretrain(NAME, drawings / "data", work, OFTEN)
    said = str(error.value)
    for part in ("recipe medzoo", "loss is nan", "step 3 of epoch 1", "learning rate"):
        assert part in said
    assert len(said.splitlines()) <= 2
    files = Checkpoints(run / "checkpoints", {}).files
    assert [path.name for path in files] == ["at-00000-00000001.pt", "at-00000-00000002.pt"]
    kept = torch.load(files[-1], weights_only=True)["model"]
    assert all(torch.isfinite(value.float()).all() for value in kept.values())
    assert not (run / "run.json").exists()
    pretrain(NAME, drawings / "data", work, OFTEN)
    shutil.move(run, work / "mended")
    pretrain(NAME, drawings / "data", work, OFTEN)
    name = Path("bundle") / "model.safetensors"
    assert (work / "mended" / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.usefixtures("done")
def test_a_full_disk_stops_and_the_last_checkpoint_is_sound(
    drawings: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = Checkpoints.save, 0

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    def some(self: Checkpoints, *args: Any) -> None:
        nonlocal saved
        saved += 1
        if saved == 3:
            monkeypatch.setattr("medzoo.engine.checkpoints.torch.save", full)
        save(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", some)
        with pytest.raises(RunError, match="No space left on device"):
            pretrain(NAME, drawings / "data", work, OFTEN)
    left = [path.name for path in (work / "runs" / NAME / "checkpoints").iterdir()]
    assert sorted(left) == ["at-00000-00000001.pt", "at-00000-00000002.pt"]


@pytest.mark.usefixtures("done")
def test_restart_begins_anew(drawings: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "make_loss", failing(after=3))
        with pytest.raises(RunError):
            pretrain(NAME, drawings / "data", work, OFTEN)
    other = replace(OFTEN, seed=4)
    with pytest.raises(RunError, match="another seed"):
        pretrain(NAME, drawings / "data", work, other)
    run = pretrain(NAME, drawings / "data", work, replace(other, restart=True))
    assert read(run / "run.json")["seed"] == 4


def test_missing_data_are_said(drawings: Path, tmp_path: Path) -> None:
    with pytest.raises(MedzooError, match="eyepacs") as error:
        pretrain(NAME, tmp_path / "nowhere", tmp_path / "work", SMALL)
    assert len(str(error.value).splitlines()) <= 2
    with pytest.raises(MedzooError, match="--allow-partial"):
        pretrain(NAME, drawings / "data", tmp_path / "work", replace(SMALL, allow_partial=False))
    assert not (tmp_path / "work" / "runs" / NAME).exists()


def test_too_few_images_for_batch_normalisation_are_said(drawings: Path, tmp_path: Path) -> None:
    options = replace(SMALL, recipe="medzoo", batch_size=256, limit=8)
    with pytest.raises(RunError, match="training images in 1 steps of 4 chunks leave 1"):
        pretrain(NAME, drawings / "data", tmp_path / "work", options)


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_done(
    drawings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medzoo.engine.tracking.find_spec", lambda name: None)
    with pytest.raises(RunError, match="pip install wandb"):
        pretrain(NAME, drawings / "data", tmp_path / "work", replace(SMALL, log_with="wandb"))
    assert not (tmp_path / "work").exists()


def test_the_baseline_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--imagenet-weights"):
        pretrain("densenet121_in", tmp_path, tmp_path, SMALL)


@pytest.mark.usefixtures("done")
def test_the_imagenet_start_is_trained_from_a_file(drawings: Path, work: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    file = tmp_path / "imagenet.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=1000).state_dict(), file)
    run = pretrain("test_resnet_hwsi_in", drawings / "data", work, replace(SMALL, imagenet_weights=file))
    assert read(run / "run.json")["random_start"] is None
    assert load_file(run / "bundle" / "model.safetensors")["fc.weight"].shape[0] == 2
