"""Every strategy trains what it says, measures honestly, and ends where an interrupted run ends."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from makers import class_folders, pictures
from torch import nn
from typer.testing import CliRunner

from medzoo import create_model, finetune, predict
from medzoo.__main__ import app
from medzoo.core.errors import MedzooError
from medzoo.engine.optimizers import layer_lr_scales, make_optimizer
from medzoo.engine.runtime import seeded
from medzoo.engine.schedule import TrainingConfig
from medzoo.finetuning import run as run_module
from medzoo.finetuning.early_stopping import EarlyStopping, best_epoch
from medzoo.finetuning.strategies import STRATEGIES, stage_at, unfreezing_stages
from medzoo.models.external import adopt
from medzoo.models.freezing import freeze
from medzoo.models.info import Model
from medzoo.models.saving import save_trained

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 8, "device": "cpu"}
DATA = pictures(("red", "green", "blue"), 8)


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The intervals have tests of their own."""
    monkeypatch.setattr("medzoo.finetuning.finetune.RESAMPLES", 20)


def values(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], model: nn.Module) -> set[str]:
    """The tensors that a run changed, of those that are still there in the same shape."""
    after = model.state_dict()
    return {
        key
        for key, value in before.items()
        if key in after and value.shape == after[key].shape and not torch.equal(value, after[key])
    }


def reloaded(model: Model, folder: Path) -> Model:
    """A model saved without its report, which takes longer to draw than these networks to train."""
    folder.mkdir()
    save_trained(model, folder)
    return create_model(folder)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "truncated"])
def test_every_strategy_learns_a_model_that_can_be_saved(name: str, tiny: Path, tmp_path: Path) -> None:
    report = finetune(tiny, DATA, strategy=name, epochs=6, batch_size=8, lr=3e-3, device="cpu")
    way = STRATEGIES[name]
    assert report.metrics["accuracy"].value is not None
    assert report.metrics["accuracy"].value >= 0.5
    assert report.settings["strategy"] == name
    assert len(report.history) == (6 if way.epochs else 0)
    assert all("valid" in record for record in report.history)
    assert report.model.medzoo.head == (way.head or "mlp")
    assert (report.features is not None) == (name in ("linear_probe", "feature_extraction"))
    with torch.no_grad():
        again = reloaded(report.model, tmp_path / "mine")
        images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        assert torch.equal(again(images), report.model(images))


def test_the_bar_shows_epoch_loss_and_the_last_epochs_metric(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    @contextmanager
    def bar(title: str, total: int) -> Iterator[Any]:
        yield lambda count, text: said.append(text)

    monkeypatch.setattr("medzoo.engine.loop.bar", bar)
    report = finetune(tiny, DATA, **QUICK)
    measured = report.history[0]["valid"]["balanced_accuracy"]
    assert re.fullmatch(r"epoch 1/2, loss \d\.\d{3}", said[1])
    assert re.fullmatch(rf"epoch 2/2, loss \d\.\d{{3}}, balanced_accuracy {measured:.3f}", said[-1])


@pytest.mark.parametrize(
    ("name", "passes"), [("linear_probe", 1), ("feature_extraction", 1), ("full", 2), ("lp_ft", 3)]
)
def test_no_image_goes_through_the_network_for_nothing(
    name: str, passes: int, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe sees each image once; two epochs see the training images twice and the held-out ones twice."""
    model = create_model(tiny, num_classes=3)
    seen = []
    model.conv1.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    report = finetune(model, DATA, strategy=name, **QUICK)
    assert sum(seen) == passes * 24
    rows = np.flatnonzero(report.held_out)
    found = predict(report.model, [report.examples.images[row] for row in rows]).probabilities
    assert report.probabilities == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("name", ["linear_probe", "feature_extraction"])
def test_a_head_alone_leaves_the_network_as_it_was(name: str, tiny: Path) -> None:
    model = create_model(tiny, num_classes=3)
    before = values(model)
    report = finetune(model, DATA, strategy=name, **QUICK)
    assert {key.split(".")[0] for key in changed(before, report.model)} <= {"fc"}
    assert report.features is not None
    assert report.features.values.shape == (24, 96)
    with torch.inference_mode():
        head = report.model.fc(torch.from_numpy(report.features.values[report.held_out]))
    assert head.softmax(1).numpy() == pytest.approx(report.probabilities, abs=1e-4)


def test_lp_ft_begins_at_the_probe(tiny: Path) -> None:
    probe = finetune(tiny, DATA, strategy="linear_probe", **QUICK)
    both = finetune(tiny, DATA, strategy="lp_ft", lr=1e-9, **QUICK)
    # The batch statistics have moved on; the values have not.
    torch.testing.assert_close(both.model.fc.weight, probe.model.fc.weight)
    torch.testing.assert_close(both.model.fc.bias, probe.model.fc.bias)
    assert len(both.history) == 2


def test_gradual_thaws_block_after_block(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured at the end of each epoch: what training changed, batch-norm statistics too."""
    model = create_model(tiny, num_classes=3)
    seen: list[set[str]] = []
    before = values(model)

    predict = run_module.FinetuneRun.predict

    def look(run: Any, net: nn.Module, *args: Any) -> Any:
        seen.append({key.split(".")[0] for key in changed(before, net)})
        return predict(run, net, *args)

    monkeypatch.setattr(run_module.FinetuneRun, "predict", look)
    stages = unfreezing_stages(model)
    assert stages == ["all", 3, 2, 1, 0, None]
    finetune(model, DATA, strategy="gradual", epochs=10, batch_size=8, device="cpu")
    first = [min((stage_at(done, 10, 6) for done in range(10) if part in seen[done]), default=None)
             for part in ("fc", "layer4", "layer3", "layer2", "layer1", "conv1")]  # fmt: skip
    assert first == [0, 1, 2, 3, 4, 5]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.medzoo.frozen == ""


@pytest.mark.parametrize(("epochs", "last_frozen"), [(1, -1), (2, 0), (3, 0), (7, 2), (20, 9)])
def test_gradual_ends_with_everything_thawed(epochs: int, last_frozen: int) -> None:
    stages = [stage_at(done, epochs, 6) for done in range(epochs)]
    assert stages == sorted(stages)
    assert stages[-1] == 5
    assert [done for done in range(epochs) if stages[done] < 5] == list(range(last_frozen + 1))


def test_truncated_keeps_two_blocks(zoo: Path, tmp_path: Path) -> None:
    data = pictures(("red", "green"), 4)
    report = finetune("densenet121_efi_ri", data, strategy="truncated", zoo=zoo, epochs=1, batch_size=4, device="cpu")
    assert report.model.medzoo.truncate == report.settings["truncate"] == 2
    assert not any("denseblock3" in key for key in report.model.state_dict())
    again = reloaded(report.model, tmp_path / "mine")
    assert set(again.state_dict()) == set(report.model.state_dict())
    with pytest.raises(
        MedzooError, match=r"cannot be truncated after it was made, here to 1 blocks; give the weight's name"
    ):
        finetune(report.model, data, truncate=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "ful"}, "no strategy named 'ful'; did you mean 'full'"),
        ({"strategy": "linear_probe", "patience": 2}, "solves for the head and has no epochs; leave patience out"),
        ({"strategy": "feature_extraction", "layer_decay": 0.5}, "trains the head alone; leave layer_decay out"),
        ({"layer_decay": 0.0}, "layer_decay is 0.0; give a number above 0 up to 1"),
        ({"patience": 0}, "patience is 0; give 1 epoch or more"),
        ({"strategy": "truncated"}, "truncate= keeps dense blocks, and ResNet has none"),
        ({"resume": True}, "give their folder with checkpoints="),
    ],
)
def test_impossible_options(tiny: Path, options: dict, message: str) -> None:
    with pytest.raises(MedzooError, match=message):
        finetune(tiny, DATA, **{**QUICK, **options})


def test_layer_decay_slows_the_first_blocks(tiny: Path) -> None:
    model = create_model(tiny, num_classes=3)
    scales = layer_lr_scales(model, 0.5)
    assert {key.split(".")[0]: scales[key] for key in scales} == {
        **{"conv1": 0.5**5, "bn1": 0.5**5, "layer1": 0.5**4, "layer2": 0.5**3, "layer3": 0.5**2},
        **{"layer4": 0.5, "fc": 1.0},
    }
    optimizer = make_optimizer(model, TrainingConfig(1, 2, 1.0, 0.1), scales)
    named = {id(parameter): name for name, parameter in model.named_parameters()}
    grouped = {named[id(p)]: group for group in optimizer.param_groups for p in group["params"]}
    assert set(grouped) == set(named.values())
    assert all(group["lr_scale"] == scales[name] for name, group in grouped.items())
    assert grouped["layer1.0.conv1.weight"]["weight_decay"] == 0.1
    assert grouped["layer1.0.bn1.weight"]["weight_decay"] == 0.0
    before = values(model)
    finetune(model, DATA, layer_decay=1e-6, **QUICK)
    moved = {key: float((value.detach() - before[key]).abs().max()) for key, value in model.named_parameters()}
    assert moved["conv1.0.weight"] < 1e-6 < 1e-4 < moved["fc.0.weight"]


def test_patience_keeps_the_best_epoch_by_images_that_are_not_held_out(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metric is scripted: best at the second epoch on the images set aside, ever better on those held out."""
    script = iter([0.2, 0.8, 0.5, 0.8, 0.1, 0.1, 0.1])
    kept: list[dict[str, torch.Tensor]] = []
    rows: list[set[int]] = []

    predict = run_module.FinetuneRun.predict

    def look(run: Any, net: nn.Module, images: Any, asked: torch.Tensor) -> Any:
        if torch.equal(asked, run.split.val):
            rows[:] = [set(side.tolist()) for side in (run.split.train, run.split.val, run.split.test)]
            kept.append(values(net))
        found.append(predict(run, net, images, asked))
        return found[-1]

    def values_of(run: Any, found: Any, asked: torch.Tensor) -> dict[str, float]:
        return {"accuracy": next(script) if torch.equal(asked, run.split.val) else float(len(kept))}

    found: list[Any] = []
    monkeypatch.setattr(run_module.FinetuneRun, "predict", look)
    monkeypatch.setattr(run_module.FinetuneRun, "metric_values", values_of)
    monkeypatch.setattr(run_module, "primary", lambda task: "accuracy")
    monkeypatch.setattr("medzoo.finetuning.record.primary", lambda task: "accuracy")
    report = finetune(tiny, DATA, patience=2, epochs=7, batch_size=8, device="cpu")
    assert len(report.history) == 4
    assert [record["epoch"] for record in report.history if record.get("kept")] == [2]
    assert report.settings["epoch_kept"] == 2
    assert report.probabilities is found[2], "two calls an epoch: the held-out images come first"
    for key, value in report.model.state_dict().items():
        assert torch.equal(value, kept[1][key]), key
    train, select, held_out = rows
    assert not train & select
    assert not held_out & (train | select)
    assert train | select | held_out == set(range(24))
    assert report.data["train"]["images"] + report.data["selection"]["images"] == 24 - len(held_out)
    assert any("chose epoch 2 of 4, by accuracy; the held-out images chose nothing" in n for n in report.data["notes"])


def test_patience_by_patient(tiny: Path, tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", each=12)
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*.png"))
    lines = [f"{path},{path.split('/')[0]},p{number // 3}" for number, path in enumerate(paths)]
    (root / "table.csv").write_text("\n".join(["path,label,patient", *lines]) + "\n")
    report = finetune(tiny, root / "table.csv", patience=1, **QUICK)
    assert report.data["selection"]["images"] % 3 == 0
    assert report.data["selection"]["images"] >= 3


def test_an_undefined_metric_chooses_nothing() -> None:
    history = [{"epoch": n, "selection": {"auroc": None}} for n in (1, 2, 3)]
    assert best_epoch(history, "auroc") is None
    net, early_stopping = nn.Linear(1, 1), EarlyStopping("auroc", 1)
    for last in (1, 2, 3):
        early_stopping.update(net, history[:last])
    before = values(net)
    assert early_stopping.restore(net, history) == 3
    assert changed(before, net) == set()
    assert [("last" in record, "kept" in record) for record in history] == [
        (False, False),
        (False, False),
        (False, True),
    ]


class PowerCutError(Exception):
    """What a test's interruption raises."""


def interrupted(monkeypatch: pytest.MonkeyPatch, epoch: int, *args: Any, **options: Any) -> None:
    """Fine-tune up to the measuring of an epoch."""
    predict = run_module.FinetuneRun.predict

    def stop(self: Any, *args: Any) -> Any:
        stop.calls += 1  # type: ignore[attr-defined]
        if stop.calls == epoch * (1 if options.get("patience") is None else 2):  # type: ignore[attr-defined]
            raise PowerCutError
        return predict(self, *args)

    stop.calls = 0  # type: ignore[attr-defined]
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        patch.setattr(run_module.FinetuneRun, "predict", stop)
        finetune(*args, **options)


@pytest.mark.parametrize(
    "options", [{}, {"strategy": "gradual"}, {"strategy": "lp_ft", "patience": 2}, {"strategy": "feature_extraction"}]
)
def test_an_interrupted_run_ends_with_the_same_bits(
    options: dict, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medzoo.finetuning.resume.MIN_INTERVAL", 0.0)
    folder = tmp_path / "mine.checkpoints"
    settings: dict[str, Any] = {**options, "epochs": 4, "batch_size": 8, "device": "cpu", "lr": 3e-3}
    whole = finetune(tiny, DATA, **settings)
    interrupted(monkeypatch, 3, tiny, DATA, checkpoints=folder, **settings)
    assert list(folder.glob("at-00002-*"))
    report = finetune(tiny, DATA, checkpoints=folder, resume=True, **settings)
    again = finetune(tiny, DATA, checkpoints=folder, resume=True, **settings)
    assert np.array_equal(again.probabilities, whole.probabilities), "a finished run is not run again"
    assert np.array_equal(report.probabilities, whole.probabilities)
    times = ("seconds", "images_per_second")
    plain = [[{k: v for k, v in record.items() if k not in times} for record in one.history] for one in (report, whole)]
    assert plain[0] == plain[1]
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, report.model.state_dict()[key]), key


def test_resume_refuses_other_settings_and_other_data(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("medzoo.finetuning.resume.MIN_INTERVAL", 0.0)
    folder = tmp_path / "mine.checkpoints"
    settings: dict[str, Any] = {**QUICK, "checkpoints": folder}
    interrupted(monkeypatch, 2, tiny, DATA, **settings)
    with pytest.raises(
        MedzooError, match="a run with another lr; give the same options to resume it, or leave resume out"
    ):
        finetune(tiny, DATA, resume=True, lr=0.1, **settings)
    other = [image.copy() for image in DATA[0]]
    other[0][0, 0] ^= 1
    with pytest.raises(MedzooError, match="a run with another data;"):
        finetune(tiny, (other, DATA[1]), resume=True, **settings)
    assert folder.exists()
    capfd.readouterr()
    finetune(tiny, DATA, **settings)
    assert "removing the checkpoints of an earlier run in" in capfd.readouterr().err
    finetune(tiny, DATA, **{**settings, "resume": True, "checkpoints": tmp_path / "none.checkpoints"})
    assert "holds no checkpoint; the run starts anew" in capfd.readouterr().err


def test_a_folder_of_other_things_is_not_taken_for_checkpoints(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    with pytest.raises(MedzooError, match="holds other files than checkpoints; give a folder of their own"):
        finetune(tiny, DATA, checkpoints=tmp_path, **QUICK)
    assert (tmp_path / "notes.txt").read_text() == "kept"


def small(arch: str, **options: Any) -> Any:
    with seeded(0):
        return timm.create_model(arch, pretrained=False, **options)


def test_a_timm_classifier_as_it_comes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = small("test_vit", num_classes=7)
    with caplog.at_level("INFO", logger="medzoo"):
        report = finetune(model, DATA, **QUICK)
    assert report.model is model
    assert "test_vit: new mlp head for 3 classes" in caplog.text
    assert "train all layers; class weights: none" in caplog.text
    assert model.medzoo.input.size == 160
    assert model.medzoo.input.mean == model.pretrained_cfg["mean"]
    again = reloaded(model, tmp_path / "mine")
    assert again.medzoo.input == model.medzoo.input


def test_a_timm_head_that_fits_is_kept() -> None:
    model = small("test_resnet", num_classes=3, in_chans=1)
    head = model.fc
    report = finetune(model, DATA, strategy="linear_probe", **QUICK)
    assert report.model.fc is head
    assert report.model.medzoo.input.channels == 1


@pytest.mark.usefixtures("undrawn")
def test_a_timm_network_whose_head_is_wider_than_its_features(tmp_path: Path) -> None:
    report = finetune(small("mobilenetv3_small_050"), DATA, strategy="feature_extraction", image_size=32, **QUICK)
    assert report.features is not None
    assert report.features.values.shape[1] == report.model.head_hidden_size != report.model.num_features
    again = create_model(report.save(tmp_path / "mine", images=False))
    with torch.no_grad():
        assert torch.equal(again(torch.ones(1, 3, 32, 32)), report.model(torch.ones(1, 3, 32, 32)))


def test_torchvision_networks_that_timm_has_become_timms() -> None:
    models = pytest.importorskip("torchvision.models")
    with seeded(0):
        model = models.resnet18(num_classes=5).eval()
    taken = adopt(model)
    assert taken.medzoo.arch == "resnet18"
    with torch.no_grad():
        images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(taken.eval()(images), model(images))
    report = finetune(model, DATA, strategy="gradual", image_size=32, **QUICK)
    assert report.model.num_classes == 3


@pytest.mark.parametrize(("arch", "head"), [("mobilenet_v3_small", "classifier.3"), ("shufflenet_v2_x0_5", "fc")])
def test_other_torchvision_classifiers_train_whole(arch: str, head: str, tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    with seeded(0):
        model = getattr(models, arch)()
    report = finetune(model, DATA, image_size=32, **QUICK)
    assert report.model is model
    assert model.get_submodule(head)[-1].out_features == 3
    with pytest.raises(MedzooError, match=r"a bundle holds a timm network, and torchvision \w+ is not one"):
        report.save(tmp_path / "mine")
    assert not list(tmp_path.iterdir())
    with pytest.raises(MedzooError, match="needs the features of a timm network"):
        finetune(model, DATA, strategy="linear_probe", **QUICK)
    for options in ({"strategy": "gradual"}, {"layer_decay": 0.5}):
        with pytest.raises(MedzooError, match="timm network"):
            finetune(model, DATA, **QUICK, **options)


def test_what_is_no_classifier_is_refused() -> None:
    models = pytest.importorskip("torchvision.models")
    with pytest.raises(MedzooError, match="a model of type Linear cannot be fine-tuned; give the name"):
        finetune(nn.Linear(3, 2), DATA)
    with pytest.raises(MedzooError, match="SqueezeNet does not end in one linear layer"):
        finetune(models.squeezenet1_1(weights=None), DATA)


def test_freezing_a_network_without_blocks_says_so() -> None:
    with pytest.raises(MedzooError, match="is no timm network"):
        model: Any = nn.Sequential(nn.Linear(2, 2))
        model.pretrained_cfg = {"classifier": "0"}
        freeze(model, 1)


@pytest.mark.posix
@pytest.mark.usefixtures("undrawn")
def test_the_command_goes_on_after_a_stop(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM in the second epoch saves the step; ``--resume`` ends the run and removes what was saved."""
    data, out = class_folders(tmp_path / "data"), tmp_path / "mine"
    words = ["finetune", str(tiny), str(data), "--out", str(out), "--epochs", "3", "--batch-size", "8"]
    words += ["--device", "cpu", "--json"]
    predict = run_module.FinetuneRun.predict

    def ask_to_stop(self: Any, *args: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return predict(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(run_module.FinetuneRun, "predict", ask_to_stop)
        stopped = CliRunner().invoke(app, words)
    assert stopped.exit_code != 0
    assert "stopped and saved; the same command with --resume continues" in stopped.stderr
    assert list((tmp_path / "mine.checkpoints").glob("at-00001-00000001*"))
    assert not out.exists()
    done = CliRunner().invoke(app, [*words, "--resume"])
    assert done.exit_code == 0, done.output
    assert [record["epoch"] for record in json.loads(done.stdout)["history"]] == [1, 2, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "mine"}
    refused = CliRunner().invoke(app, ["finetune", str(tiny), str(data), "--resume"])
    assert "--resume continues a run that was given --out" in str(refused.exception)
