"""Copies of a zoo: as a folder and as a zip, verified on both sides."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, Repo, connected
from makers import make_run, noise, write_pins
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import medzoo
from medzoo.__main__ import app
from medzoo.core.errors import UnknownNameError, ZooError
from medzoo.models.golden import GOLDEN
from medzoo.models.verify import verify_weights
from medzoo.zoo.mirror import mirror, mirror_zip
from medzoo.zoo.pins import INDEX, read_index
from medzoo.zoo.resolve import published, resolve
from training.publishing.publish import plan, publish, send

NAME, OTHER = "test_resnet_hwsi_ri", "test_resnet_cxr_ri"

# The client's own: it uploads in a way that its HTTP library would like to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder zoo of two small weights, and their runs."""
    work = tmp_path_factory.mktemp("work")
    for name in (NAME, OTHER):
        make_run(name, work)
        publish(name, work, work / "zoo")
    return work


@pytest.fixture(scope="module")
def small(work: Path) -> Path:
    return work / "zoo"


@pytest.fixture
def hub(work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub that holds one of them, and what passes for timm's baseline."""
    with connected(monkeypatch, tmp_path / "hf") as hub:
        monkeypatch.setattr("medzoo.zoo.resolve.PINS", tmp_path / "pins.json")
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        send(plan(NAME, work, "hf://zoo"), tmp_path / "pins.json")
        timm = hub.repos["timm/densenet121.tv_in1k"] = Repo("timm/densenet121.tv_in1k")
        bundle = work / "zoo" / NAME
        config = json.loads((bundle / "config.json").read_text())
        del config["medzoo"]  # timm's have none
        files = {
            "config.json": json.dumps(config).encode(),
            "model.safetensors": (bundle / "model.safetensors").read_bytes(),
        }
        timm.commit(files, "weights")
        yield hub


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def say(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


# ---- as a folder


def test_a_mirror_is_the_same_zoo(small: Path, tmp_path: Path) -> None:
    assert content(mirror(tmp_path / "copy", zoo=small)) == content(small)
    model = tmp_path / "copy" / NAME / "model.safetensors"
    assert model.stat().st_mode & 0o444 == 0o444


def test_a_mirror_grows_and_what_is_there_stays(small: Path, tmp_path: Path) -> None:
    copy = mirror(tmp_path / "copy", [NAME], small)
    assert read_index(copy).keys() == {NAME}
    before = (copy / NAME).stat().st_ino
    mirror(copy, zoo=small)
    assert read_index(copy).keys() == {NAME, OTHER}
    assert (copy / NAME).stat().st_ino == before


def test_a_damaged_mirror_is_mended(small: Path, tmp_path: Path) -> None:
    copy = mirror(tmp_path / "copy", [NAME], small)
    (copy / NAME / "model.safetensors").write_bytes(b"rotten")
    mirror(copy, [NAME], small)
    assert resolve(NAME, copy).name == NAME


def test_what_is_damaged_is_not_mirrored(small: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(small, tmp_path / "bad")
    file = bad / NAME / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ZooError, match="sha256"):
        mirror(tmp_path / "copy", [OTHER, NAME], bad)
    assert read_index(tmp_path / "copy").keys() == {OTHER}
    with pytest.raises(ZooError, match="sha256"):
        mirror_zip(tmp_path / "copy.zip", [OTHER, NAME], bad)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "copy"]


def test_a_changed_config_is_noticed(small: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(small, tmp_path / "bad")
    config = bad / NAME / "config.json"
    config.write_text(config.read_text().replace("0.485", "0.475"))
    with pytest.raises(ZooError, match=r"config\.json is not the published file"):
        resolve(NAME, bad)


def test_mirroring_what_is_not_there(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError):
        mirror(tmp_path / "copy", ["nothing"], small)
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="is a file; give a folder"):
        mirror(tmp_path / "file", zoo=small)
    with pytest.raises(ZooError, match=r"cannot hold weights named '.*letters, digits"):
        mirror(tmp_path / "copy", [str(small / NAME)], small)


def test_from_the_hub_with_the_baseline(hub: Hub, tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = mirror(tmp_path / "copy", zoo="hf://zoo")
    assert read_index(copy).keys() == {NAME, "densenet121_in"}
    assert content(copy / NAME) == content(small / NAME)
    hub.requests.clear()
    monkeypatch.setenv("MEDZOO_ZOO", str(copy))
    assert medzoo.create_model(NAME).medzoo.weights == NAME
    assert resolve("densenet121_in").name == "densenet121_in"
    assert hub.requests == []
    assert published()[NAME].revision == hub.repos[f"zoo/{NAME}"].refs["main"]


# ---- as a zip


def test_an_unzipped_zip_is_the_same_zoo(small: Path, tmp_path: Path) -> None:
    made = mirror_zip(tmp_path / "carry", zoo=small)
    assert made == tmp_path / "carry.zip"
    shutil.unpack_archive(made, tmp_path / "zoo")
    assert content(tmp_path / "zoo") == content(small)
    assert medzoo.create_model(NAME, zoo=tmp_path / "zoo")(noise(1)).shape == (1, 2)


def test_a_zip_is_to_be_unzipped(small: Path, tmp_path: Path) -> None:
    made = mirror_zip(tmp_path / "carry.zip", [NAME], small)
    with pytest.raises(ZooError, match=r"carry\.zip is a file, not a folder; unzip it and give the folder"):
        medzoo.create_model(NAME, zoo=made)
    made.write_bytes(made.read_bytes()[:1000])
    with pytest.raises(ZooError, match=r"carry\.zip is a file, not a folder; give a folder or hf://ORG"):
        medzoo.get_weights(NAME, made)


def test_a_zip_that_the_disk_spoiled_is_not_kept(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = zipfile.ZipFile.writestr

    def spoil(self: zipfile.ZipFile, name: str, text: str) -> None:
        written(self, name, text)
        assert self.fp is not None
        self.fp.seek(5000)
        self.fp.write(b"\xff" * 8)
        self.fp.seek(0, 2)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", spoil)
    with pytest.raises(ZooError, match="was not written as it was read; check the disk"):
        mirror_zip(tmp_path / "carry.zip", [NAME], small)
    assert list(tmp_path.iterdir()) == []


# ---- checked


def test_a_weight_is_checked_to_its_outputs(small: Path) -> None:
    found = verify_weights(NAME, small)
    assert found.difference is not None
    assert found.difference < 1e-5
    assert "golden vector within" in str(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("outputs", "gives other outputs here: they differ by"),
        ("weights", "was made from other weights"),
        ("shape", "holds images"),
        ("garbage", "cannot be read as safetensors"),
        ("names", "is no golden vector"),
    ],
)
def test_a_golden_vector_that_does_not_fit(small: Path, tmp_path: Path, change: str, message: str) -> None:
    zoo = shutil.copytree(small, tmp_path / "zoo")
    path = zoo / NAME / GOLDEN
    with safe_open(path, framework="pt") as file:
        about, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if change == "outputs":
        tensors["logits"] = tensors["logits"] * 1.01
    elif change == "weights":
        about["weights"] = "0" * 64
    elif change == "shape":
        tensors["images"] = tensors["images"][:, :1].contiguous()
    elif change == "names":
        tensors = {"x": tensors["logits"]}
    save_file(tensors, path, metadata=about)
    if change == "garbage":
        path.write_bytes(b"\xff" * 100)
    with pytest.raises(ZooError, match=message):
        verify_weights(NAME, zoo)


def test_values_that_rot_after_publishing(small: Path, tmp_path: Path) -> None:
    zoo = shutil.copytree(small, tmp_path / "zoo")
    file = zoo / NAME / "model.safetensors"
    tensors = load_file(file)
    tensors["bn1.running_var"].fill_(float("inf"))
    save_file(tensors, file)
    with pytest.raises(ZooError, match=r"bn1\.running_var holds values that are not finite"):
        verify_weights(zoo / NAME)


# ---- the commands


def test_the_commands(small: Path, tmp_path: Path) -> None:
    zoo = ["--zoo", str(small)]
    shown = say("verify", *zoo)
    assert shown.count("golden vector within") == 2
    assert f"{NAME}: {small / NAME}" in say("download", NAME, *zoo)
    assert f"MEDZOO_ZOO={tmp_path / 'copy'}" in say("mirror", "--out", str(tmp_path / "copy"), *zoo)
    assert f"unzip {tmp_path / 'one.zip'} there" in say(
        "mirror", NAME, "--zip", "--out", str(tmp_path / "one.zip"), *zoo
    )
    (tmp_path / "copy" / OTHER / "model.safetensors").write_bytes(b"rotten")
    found = json.loads(CliRunner().invoke(app, ["verify", "--json", "--zoo", str(tmp_path / "copy")]).stdout)
    assert {entry["name"]: entry["sound"] for entry in found} == {NAME: True, OTHER: False}
    say("verify", "--zoo", str(tmp_path / "copy"), code=1)


def test_verifying_an_empty_zoo_is_a_mistake(tmp_path: Path) -> None:
    write_pins(tmp_path / INDEX, {})
    with pytest.raises(medzoo.MedzooError, match="nothing is published in this zoo"):
        CliRunner().invoke(app, ["verify", "--zoo", str(tmp_path)], catch_exceptions=False)
