"""Foreign checkpoints become bundles whose outputs are their maker's, whatever their layout."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tarfile
import types
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from faulty_server import Answer, Server
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import medzoo
from medzoo.__main__ import main
from medzoo.comparison.result import ComparisonResult
from medzoo.core.cache import cache_folder
from medzoo.core.errors import DataError, MedzooError, ZooError
from medzoo.importing.import_weights import Imported, import_weights
from medzoo.importing.known import KNOWN, record_real_file, recorded
from medzoo.zoo.bundle import open_bundle

SIZE = 64


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network(outputs: int = 3, channels: int = 3, seed: int = 0) -> Any:
    """A DenseNet-121 whose every value matters: statistics and scales of its own in each normalisation."""
    torch.manual_seed(seed)
    model = timm.create_model("densenet121", num_classes=outputs, in_chans=channels)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr,operator]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr,operator]
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


def images(channels: int = 3) -> Tensor:
    return torch.randn(2, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def old_names(name: str) -> str:
    """The names of torchvision before 0.3."""
    for word in ("norm", "conv"):
        for digit in "12":
            name = name.replace(f".{word}{digit}.", f".{word}.{digit}.") if "denselayer" in name else name
    return name


def without_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


def prefixed(state: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {start + key: value for key, value in state.items()}


def pooled_without_relu(model: Any, x: Tensor) -> Tensor:
    """What KimiaNet, TIAToolbox and mtdp compute with DenseNet's layers."""
    activation, model.features.norm5.act = model.features.norm5.act, nn.Identity()
    try:
        return model(x)
    finally:
        model.features.norm5.act = activation


def chexnet(model: Any, file: Path) -> None:
    state = {old_names(key): value for key, value in without_counters(model.state_dict()).items()}
    state = {key.replace("classifier.", "classifier.0."): value for key, value in state.items()}
    torch.save({"epoch": 3, "state_dict": prefixed(state, "module.densenet121."), "optimizer": {"lr": 1}}, file)


def legacy(model: Any, file: Path) -> None:
    torch.save(model.state_dict(), file, _use_new_zipfile_serialization=False)


def namespace(model: Any, file: Path) -> None:
    torch.save({"model": model.state_dict(), "args": argparse.Namespace(lr=0.1), "epoch": 1, "scaler": {}}, file)


def masked_autoencoder(model: Any, file: Path) -> None:
    decoder = {f"model.decoder.{n}.weight": torch.ones(2, 2) for n in range(3)}
    torch.save({"model": {**prefixed(model.state_dict(), "model.encoder."), **decoder}}, file)


def kimianet(model: Any, file: Path) -> None:
    state = {key.replace("features.", "module.model.0."): value for key, value in model.state_dict().items()}
    torch.save({key.replace("classifier.", "module.fc_4."): value for key, value in state.items()}, file)


def tiatoolbox(model: Any, file: Path) -> None:
    torch.save({key.replace("features.", "feat_extract."): value for key, value in model.state_dict().items()}, file)


def twins(model: Any, file: Path) -> None:
    torch.save({"model_state": {**model.state_dict(), **prefixed(model.state_dict(), "model.")}}, file)


def convolution_head(model: Any, file: Path) -> None:
    state = dict(model.state_dict())
    state["classifier.weight"] = state["classifier.weight"][:, :, None, None]
    torch.save(prefixed(state, "backbone."), file)


def momentum_contrast(model: Any, file: Path) -> None:
    other = network(seed=9).state_dict()
    both = {**prefixed(other, "module.encoder_k."), **prefixed(model.state_dict(), "module.encoder_q.")}
    torch.save({"state_dict": both}, file)


def whole_module(model: Any, file: Path, *, old: bool = False) -> None:
    """A pickled module of a class that the reader cannot import."""
    module = types.ModuleType("makers_own_models")
    kind = type("DenseNet", (type(model),), {"__module__": "makers_own_models"})
    module.DenseNet = kind  # type: ignore[attr-defined]
    sys.modules["makers_own_models"] = module
    kept, model.__class__ = model.__class__, kind
    try:
        with warnings.catch_warnings(action="ignore"):  # the old form wants the class's source code
            torch.save(model, file, _use_new_zipfile_serialization=not old)
    finally:
        model.__class__ = kept
        del sys.modules["makers_own_models"]


def data_parallel(model: Any, file: Path) -> None:
    torch.save({"model": nn.DataParallel(model), "rng_state": torch.get_rng_state()}, file)


def zip_member(model: Any, file: Path) -> None:
    legacy(model, file.with_suffix(".pth"))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("README.txt", "weights")
        archive.write(file.with_suffix(".pth"), "weights/model.pth")


def tar_member(model: Any, file: Path) -> None:
    torch.save({"model_state": model.state_dict()}, file.with_suffix(".pth"))
    with tarfile.open(file, "w:gz") as archive:
        archive.add(file.with_suffix(".pth"), "DenseNet121/model.pth")


def safetensors(model: Any, file: Path) -> None:
    save_file(model.state_dict(), file)


LAYOUTS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Any, Tensor], Tensor], dict[str, Any], str]] = {
    "timm's safetensors": (safetensors, nn.Module.__call__, {}, "linear"),
    "old form of torch.save": (legacy, nn.Module.__call__, {}, "linear"),
    "CheXNet": (chexnet, nn.Module.__call__, {}, "linear + sigmoid"),
    "argparse.Namespace inside": (namespace, nn.Module.__call__, {}, "linear"),
    "masked autoencoder": (masked_autoencoder, nn.Module.__call__, {}, "linear"),
    "KimiaNet": (kimianet, pooled_without_relu, {"final_activation": False}, "linear"),
    "TIAToolbox": (tiatoolbox, pooled_without_relu, {"final_activation": False}, "linear"),
    "equal copies": (twins, nn.Module.__call__, {}, "linear"),
    "1x1 convolution": (convolution_head, nn.Module.__call__, {}, "1x1 convolution"),
    "momentum contrast": (momentum_contrast, nn.Module.__call__, {}, "linear"),
    "whole module": (whole_module, nn.Module.__call__, {}, "linear"),
    "whole module, old form": (lambda m, f: whole_module(m, f, old=True), nn.Module.__call__, {}, "linear"),
    "whole DataParallel": (data_parallel, nn.Module.__call__, {}, "linear"),
    "member of a zip": (zip_member, nn.Module.__call__, {}, "linear"),
    "member of a tar": (tar_member, nn.Module.__call__, {}, "linear"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.inference_mode()
def test_every_layout_computes_what_its_maker_computed(tmp_path: Path, layout: str) -> None:
    write, forward, options, head = LAYOUTS[layout]
    model = network()
    write(model, tmp_path / "weights.file")
    expected = forward(model, images())
    found = import_weights(
        tmp_path / "weights.file", to=tmp_path / "zoo", name="theirs", task="multiclass", labels=list("abc"), **options
    )
    assert found.arch == "densenet121" and found.labels == ("a", "b", "c")
    assert any(head in step for step in found.steps), found.steps
    mine = medzoo.create_model("theirs", zoo=tmp_path / "zoo")
    assert torch.allclose(mine(images()), expected, atol=1e-5)
    assert mine.medzoo.loaded == 727 and mine.medzoo.new == () and mine.medzoo.dropped == ()


def test_a_file_is_told_apart_by_which_network_pools_how(tmp_path: Path) -> None:
    """The same tensors with and without the last ReLU: the option matters, or the test above says nothing."""
    model = network()
    with torch.inference_mode():
        assert (pooled_without_relu(model, images()) - model(images())).abs().max() > 1e-2


@torch.inference_mode()
def test_half_precision_is_widened(tmp_path: Path) -> None:
    model = network().half()
    torch.save(model.state_dict(), tmp_path / "x.pth")
    found = import_weights(tmp_path / "x.pth", to=tmp_path / "zoo", task="multiclass")
    assert any("widened" in step and "float16" in step for step in found.steps)
    assert torch.allclose(medzoo.create_model("x", zoo=tmp_path / "zoo")(images()), model.float()(images()), atol=1e-5)


@torch.inference_mode()
def test_one_channel_of_another_range_and_outputs_that_were_not_trained(tmp_path: Path) -> None:
    """TorchXRayVision: a whole module, values of -1024 to 1024, 18 outputs of which some have no name."""
    model = network(outputs=4, channels=1)
    whole_module(model, tmp_path / "xrv.pt")
    grey = torch.rand(2, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    theirs = (2 * grey - 1) * 1024
    expected = model(theirs)[:, [0, 2, 3]]
    found = import_weights(
        tmp_path / "xrv.pt",
        to=tmp_path / "zoo",
        task="multilabel",
        labels=["a", "", "c", "d"],
        mean=[0.5],
        std=[1 / 2048],
    )
    mine = medzoo.create_model("xrv", zoo=tmp_path / "zoo")
    assert found.labels == ("a", "c", "d") == mine.medzoo.classes
    contract = mine.medzoo.input
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (contract.mean, contract.std))
    outputs = mine((grey.repeat(1, 3, 1, 1) - mean) / std)
    assert torch.allclose(outputs, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def keras_file(model: Any, file: Path) -> None:
    """The network in the form of keras.applications."""
    h5py = pytest.importorskip("h5py")
    layers: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for key, value in model.state_dict().items():
        name, part = key.rsplit(".", 1)
        words = name.removeprefix("features.").split(".")
        if words[0] in ("conv0", "norm0"):
            layer = {"conv0": "conv1/conv", "norm0": "conv1/bn"}[words[0]]
        elif words[0] == "norm5":
            layer = "bn"
        elif words[0].startswith("denseblock"):
            block, unit = int(words[0][10:]) + 1, words[1][10:]
            layer = (
                f"conv{block}_block{unit}_"
                + {
                    **{"norm1": "0_bn", "conv1": "1_conv", "norm2": "1_bn", "conv2": "2_conv"},
                }[words[2]]
            )
        elif words[0].startswith("transition"):
            layer = f"pool{int(words[0][10:]) + 1}_" + {"norm": "bn", "conv": "conv"}[words[1]]
        else:
            layer = "fc3"
        array = value.numpy()
        if part == "num_batches_tracked":
            continue
        if array.ndim == 4:
            layers.setdefault(layer, {})["kernel"] = array.transpose(2, 3, 1, 0)
        elif layer == "fc3":
            layers.setdefault(layer, {})["kernel" if part == "weight" else "bias"] = array.T
        else:
            layers.setdefault(layer, {})[parts[part]] = array
    with h5py.File(file, "w") as out:
        out.attrs["layer_names"] = [name.encode() for name in layers]
        for name, values in layers.items():
            group = out.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in values]
            for part, array in values.items():
                group[f"{name}/{part}:0"] = array


@torch.inference_mode()
def test_keras_hdf5_with_its_own_epsilon(tmp_path: Path) -> None:
    model = network()
    # So small a variance that the epsilon is half of what is divided by.
    model.features.norm5.running_var *= 1e-5
    keras_file(model, tmp_path / "keras.h5")
    with_torchs = model(images())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.001e-5
    import_weights(tmp_path / "keras.h5", to=tmp_path / "zoo", task="multiclass", norm_eps=1.001e-5)
    mine, expected = medzoo.create_model("keras", zoo=tmp_path / "zoo")(images()), model(images())
    assert torch.allclose(mine, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(mine, with_torchs, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_another_architecture_by_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=2, init_values=0.1).eval()
    torch.save({"teacher": prefixed(model.state_dict(), "module.backbone.")}, tmp_path / "x.pth")
    found = import_weights(
        tmp_path / "x.pth", to=tmp_path / "zoo", arch="test_vit", model_args={"init_values": 0.1}, task="multiclass",
        image_size=160,
    )  # fmt: skip
    x = torch.randn(2, 3, 160, 160)
    assert torch.allclose(medzoo.create_model(found.name, zoo=tmp_path / "zoo")(x), model(x), atol=1e-5)
    with pytest.raises(ZooError, match="vision transformer of width 64"):
        import_weights(tmp_path / "x.pth", to=tmp_path / "zoo", name="again", task="multiclass")
    with pytest.raises(ZooError, match="no argument that shapes a network"):
        import_weights(
            tmp_path / "x.pth", to=tmp_path / "zoo", name="again", arch="test_vit",
            model_args={"checkpoint_path": "/etc/passwd"}, task="multiclass",
        )  # fmt: skip


def wrong(tmp_path: Path, content: bytes | dict[str, Any], **options: Any) -> str:
    file = tmp_path / "x.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(MedzooError) as caught:
        import_weights(file, to=tmp_path / "zoo", **{"task": "multiclass", **options})
    assert not (tmp_path / "zoo" / "x").exists()
    return str(caught.value)


def test_what_is_no_checkpoint_says_what_it_is(tmp_path: Path) -> None:
    assert "Git LFS pointer" in wrong(tmp_path, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "web page" in wrong(tmp_path, b"\n<!DOCTYPE html><html>log in</html>")
    assert "is empty" in wrong(tmp_path, b"")
    assert "no weights file" in wrong(tmp_path, b"hello, this is text")
    torch.save(network().state_dict(), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    assert "damaged or cut off" in wrong(tmp_path, whole[: len(whole) // 2])
    legacy(network(), tmp_path / "old.pth")
    old = (tmp_path / "old.pth").read_bytes()
    assert "in the middle of its values" in wrong(tmp_path, old[: len(old) // 2])


def test_a_wrong_layout_names_the_first_tensors_of_both(tmp_path: Path) -> None:
    state = network().state_dict()
    said = wrong(tmp_path, {"encoder.layer.0.weight": torch.ones(2), "encoder.layer.1.weight": torch.ones(2)})
    assert "encoder.layer.0.weight" in said and "--arch" in said
    said = wrong(tmp_path, {k: v for k, v in state.items() if "denseblock4" not in k}, arch="densenet121")
    assert "features.denseblock4.denselayer1.norm1.weight is missing" in said
    said = wrong(tmp_path, {**state, "features.conv0.weight": torch.ones(64, 1, 7, 7)})
    assert "takes 1 channels" in said and "--mean" in said


def test_two_networks_that_differ_are_asked_about(tmp_path: Path) -> None:
    both = {**prefixed(network().state_dict(), "a."), **prefixed(network(seed=5).state_dict(), "b.")}
    assert "holds two networks" in wrong(tmp_path, both) and "--prefix" in wrong(tmp_path, both)
    torch.save(both, tmp_path / "y.pth")
    import_weights(tmp_path / "y.pth", to=tmp_path / "zoo", task="multiclass", prefix="b.")
    with torch.inference_mode():
        mine = medzoo.create_model("y", zoo=tmp_path / "zoo")(images())
        assert torch.allclose(mine, network(seed=5)(images()), atol=1e-5)


def test_what_is_ambiguous_is_asked_in_words(tmp_path: Path) -> None:
    state = network().state_dict()
    assert "does not say what they mean" in wrong(tmp_path, state, task=None)
    assert "2 labels were given for a classifier of 3" in wrong(tmp_path, state, labels=["a", "b"])
    assert "name of weights of our own" in wrong(tmp_path, state, name="densenet121_all_in")
    assert "is no name for weights" in wrong(tmp_path, state, name="My Weights")
    import_weights(tmp_path / "x.pth", to=tmp_path / "zoo", name="mine", task="multiclass")
    assert "named mine already" in wrong(tmp_path, state, name="mine")


def test_the_bundle_says_where_it_is_from(tmp_path: Path) -> None:
    chexnet(network(), tmp_path / "model.pth.tar")
    found: Imported = import_weights(
        tmp_path / "model.pth.tar", to=tmp_path / "zoo", name="lab_cxr", task="multilabel", labels=["a", "b", "c"],
        licence="MIT", origin="our lab", seen=["chestxray14"],
    )  # fmt: skip
    record = open_bundle(found.folder).run
    assert (record["kind"], record["licence"], record["seen"]) == ("import", "MIT", ["chestxray14"])
    assert record["sha256"] == found.sha256 and record["steps"] == list(found.steps)
    card = (found.folder / "README.md").read_text(encoding="utf-8")
    assert "our lab" in card and found.sha256 in card and "Not for diagnosis" in card


def test_the_table_of_known_weights_is_whole() -> None:
    for entry in KNOWN.values():
        assert entry.file or entry.steps, entry.name
        assert entry.spec.use and (entry.spec.origin or entry.steps), entry.name
        assert not entry.sha256 or len(entry.sha256) == 64, entry.name
        assert timm.is_model(entry.spec.arch), entry.name
    assert [len(KNOWN[name].spec.labels) for name in ("xrv-all", "xrv-rsna", "kimianet")] == [18, 18, 30]


# ---- from a publisher's server


def served(tmp_path: Path) -> bytes:
    chexnet(network(), tmp_path / "served.pth.tar")
    return (tmp_path / "served.pth.tar").read_bytes()


def test_a_download_that_breaks_resumes_and_is_kept(tmp_path: Path) -> None:
    body = served(tmp_path)
    with Server({"/w/model.pth.tar": [Answer(body, cut=1_000_000), Answer(body)]}) as server:
        url = server.url("/w/model.pth.tar")
        found = import_weights(url, to=tmp_path / "zoo", name="a", task="multilabel")
        assert [headers.get("Range") for headers in server.headers("/w/model.pth.tar")] == [None, "bytes=1000000-"]
        again = import_weights(url, to=tmp_path / "zoo", name="b", task="multilabel")
        assert len(server.requests) == 2 and again.sha256 == found.sha256  # the second import asked nobody
    assert open_bundle(found.folder).run["address"] == url


def test_a_file_that_changed_since_its_first_import_is_refused(tmp_path: Path) -> None:
    body = served(tmp_path)
    torch.save(network(seed=7).state_dict(), tmp_path / "other.pth")
    with Server(
        {"/model.pth.tar": [Answer(body), Answer((tmp_path / "other.pth").read_bytes(), etag='"two"')]}
    ) as server:
        url = server.url("/model.pth.tar")
        import_weights(url, to=tmp_path / "zoo", name="a", task="multilabel")
        shutil.rmtree(cache_folder() / "downloads")
        with pytest.raises(ZooError, match="recorded at the first import"):
            import_weights(url, to=tmp_path / "zoo", name="b", task="multilabel")
    assert not (tmp_path / "zoo" / "b").exists()


def test_a_known_entry_is_held_to_its_published_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server({"/x.pt": [Answer(served(tmp_path))]}) as server:
        entry = replace(KNOWN["xrv-all"], file=server.url("/x.pt"))
        monkeypatch.setattr("medzoo.importing.import_weights.KNOWN", {"xrv-all": entry})
        with pytest.raises(ZooError, match="published is 56524913"):
            import_weights("xrv-all", to=tmp_path / "zoo")


def test_a_login_page_in_place_of_the_file_is_said_and_not_kept(tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><html><body>please log in</body></html>"
    with Server({"/m.pth": [Answer(page, etag='"page"'), Answer(served(tmp_path))]}) as server:
        with pytest.raises(ZooError, match="web page"):
            import_weights(server.url("/m.pth"), to=tmp_path / "zoo", name="a", task="multilabel")
        import_weights(server.url("/m.pth"), to=tmp_path / "zoo", name="a", task="multilabel")


# ---- beside others


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zoo of three small networks of different makers: sizes, channels and ranges differ."""
    top = tmp_path_factory.mktemp("mixed")
    for name, channels, seed in (("grey", 1, 1), ("colour", 3, 2)):
        torch.manual_seed(seed)
        model = timm.create_model("test_resnet", num_classes=2, in_chans=channels)
        torch.save(model.state_dict(), top / f"{name}.pth")
    common: dict[str, Any] = {"to": top / "zoo", "arch": "test_resnet", "task": "multilabel", "labels": ["a", "b"]}
    import_weights(top / "grey.pth", **common, image_size=48, mean=[0.5], std=[1 / 2048], seen=["chestxray14"])
    import_weights(top / "colour.pth", **common, image_size=32, crop="squash", licence="MIT")
    return top / "zoo"


def pictures(top: Path, name: str = "pictures") -> Path:
    rng = np.random.default_rng(0)
    for label in ("dark", "light"):
        (top / name / label).mkdir(parents=True)
        for number in range(8):
            values = rng.integers(0, 100, (60, 50)) + (120 if label == "light" else 0)
            Image.fromarray(values.astype(np.uint8)).save(top / name / label / f"{number}.png")
    return top / name


def test_compare_prepares_images_for_each_as_its_maker_did(mixed: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"folds": 2, "epochs": 1, "batch_size": 8, "strategies": "linear_probe", "device": "cpu"}
    found = medzoo.compare(pictures(tmp_path), zoo=mixed, **options)
    assert sorted(found.arms) == ["colour", "grey"]
    assert {record["weight"]: record["image_size"] for record in found.records} == {"grey": 48, "colour": 32}
    rows = {arm: sorted(map(tuple, (record["rows"] for record in found.runs(arm)))) for arm in found.arms}
    assert rows["grey"] == rows["colour"]  # paired: the same images in the same folds
    text = str(found)
    assert "as its maker did" in text and "licence" in text and "MIT" in text
    assert ComparisonResult.from_dict(found.to_dict()).facts == found.facts


def test_recommend_and_finetune_take_imported_weights_by_name(mixed: Path, tmp_path: Path) -> None:
    data = pictures(tmp_path, "ChestX-ray14")
    ranking = medzoo.recommend(data, zoo=mixed, folds=2, device="cpu")
    assert {one.weights for one in ranking.candidates} == {"grey", "colour"}
    assert any("grey was trained on chestxray14" in note for note in ranking.notes)
    report = medzoo.finetune("grey", data, zoo=mixed, strategy="linear_probe", device="cpu", batch_size=8)
    assert any("grey was trained on chestxray14" in note for note in report.data["notes"])


def test_imported_weights_are_listed_and_described(mixed: Path) -> None:
    assert medzoo.list_models(zoo=mixed)[-2:] == ["colour", "grey"]
    found = medzoo.get_weights("colour", mixed)
    assert (found.status, found.labels, found.licence) == ("imported", ("a", "b"), "MIT")
    assert medzoo.get_weights("grey", mixed).sources == ("chestxray14",)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=2).state_dict(), tmp_path / "my_model.pth")

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["medzoo", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        caught = capsys.readouterr()
        return int(stopped.value.code or 0), caught.out + caught.err

    zoo, words = tmp_path / "zoo", ("--as", "lab_cxr", "--arch", "test_resnet", "--licence", "ours")
    code, text = run("import", tmp_path / "my_model.pth", "--out", zoo, *words)
    assert code == 2 and "--task" in text
    code, text = run(
        "import", tmp_path / "my_model.pth", "--out", zoo, *words, "--task", "binary", "--labels", "no, yes"
    )
    assert code == 0 and "lab_cxr: test_resnet, 2 outputs" in text
    assert run("list", "--zoo", zoo)[1].splitlines()[-1].split() == ["lab_cxr", "imported", "test_resnet"]
    assert run("verify", "lab_cxr", "--zoo", zoo)[0] == 0
    code, text = run("list", "--known")
    assert code == 0 and "xrv-all" in text and "unverified" in text


def test_a_file_downloaded_by_hand_takes_the_facts_of_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="--like radimagenet-keras"):
        import_weights("radimagenet-keras", to=tmp_path / "zoo")
    file = tmp_path / "RadImageNet-DenseNet121_notop.h5"
    keras_file(network(), file)
    found = import_weights(file, to=tmp_path / "zoo", like="radimagenet-keras", task="multiclass")
    assert found.name == "radimagenet-keras" and found.verified is False
    run = open_bundle(found.folder).run
    assert run["seen"] == ["radimagenet"] and any("1.001e-05" in step or "0.00001001" in step for step in run["steps"])


def test_all_in_zoo_needs_no_names(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["compare", str(pictures(tmp_path)), "--zoo", str(mixed), "--all-in-zoo", "--folds", "2", "--json"]
    words += ["--strategies", "linear_probe", "--epochs", "1", "--device", "cpu"]
    for extra, code in (([], 0), (["grey"], 2)):
        monkeypatch.setattr(sys, "argv", ["medzoo", *words[:2], *extra, *words[2:]])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert (stopped.value.code or 0) == code


def test_a_publishers_list_is_what_an_audit_goes_by(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=2).state_dict(), tmp_path / "w.pth")
    (tmp_path / "list.csv").write_text("image,patient\n3.jpeg,\n,chestxray14:7\n")
    options: dict[str, Any] = {"to": tmp_path / "zoo", "arch": "test_resnet", "task": "multilabel"}
    import_weights(tmp_path / "w.pth", seen_list=tmp_path / "list.csv", **options)
    data = pictures(tmp_path)
    found = medzoo.audit(data, "w", zoo=tmp_path / "zoo")
    assert found.counts["same name"] == 2 and sorted(found.table()["image"]) == ["dark/3.png", "light/3.png"]
    rows = "".join(f"{label}/{n}.png,{label},chestxray14:000{n}\n" for label in ("dark", "light") for n in range(8))
    (data / "table.csv").write_text("path,label,patient\n" + rows)
    assert medzoo.audit(data / "table.csv", "w", zoo=tmp_path / "zoo").counts["same patient"] == 2
    (tmp_path / "bad.csv").write_text("name\nx\n")
    with pytest.raises(DataError, match="has image, patient, or both"):
        import_weights(tmp_path / "w.pth", name="b", seen_list=tmp_path / "bad.csv", **options)


def test_a_person_at_a_terminal_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=2).state_dict(), tmp_path / "w.pth")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("perhaps\nmultilabel\n"))
    words = ["medzoo", "import", str(tmp_path / "w.pth"), "--out", str(tmp_path / "zoo"), "--arch", "test_resnet"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code and "does not say what they mean" in capsys.readouterr().err
    assert medzoo.get_weights("w", tmp_path / "zoo").task == "multilabel"


def test_a_recorded_entry_is_verified_and_held_to_the_recorded_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medzoo.importing.known.RECORDED", tmp_path / "recorded.json")
    file = tmp_path / "x.h5"
    keras_file(network(), file)
    assert not KNOWN["radimagenet-keras"].verified
    found = import_weights(file, to=tmp_path / "zoo", like="radimagenet-keras", task="multiclass")
    record_real_file("radimagenet-keras", found.folder, found.sha256)
    assert KNOWN["radimagenet-keras"].verified and recorded()["radimagenet-keras"]["sha256"] == found.sha256
    keras_file(network(seed=4), file)
    with pytest.raises(ZooError, match=f"is {found.sha256}"):
        import_weights(file, to=tmp_path / "zoo", name="b", like="radimagenet-keras", task="multiclass")
