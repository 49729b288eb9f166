"""Files and names that are not what a user takes them for: each message says what they really are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from makers import write_pins
from safetensors.torch import load_file, save_file
from torch import Tensor

from medzoo import create_model
from medzoo.core.errors import UnknownNameError, ZooError
from medzoo.models.loading import build, fill
from medzoo.zoo.bundle import is_bundle_file
from medzoo.zoo.pins import INDEX, read_index
from medzoo.zoo.resolve import resolve
from medzoo.zoo.verify import pin_of

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1000000\n"


@pytest.mark.parametrize("published", [True, False])
def test_a_bundle_cloned_without_git_lfs(tiny: Path, tmp_path: Path, published: bool) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "tiny")
    if published:
        write_pins(tmp_path / INDEX, {"tiny": pin_of(tiny)})
    (bundle / "model.safetensors").write_bytes(POINTER)
    with pytest.raises(ZooError, match=r"model\.safetensors is a Git LFS pointer, .* 'git lfs pull'"):
        create_model("tiny" if published else bundle, zoo=tmp_path)


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_in_place_of_a_bundle(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    file = tmp_path / "model.pth"
    state = load_file(tiny / "model.safetensors")
    torch.save(state, file, _use_new_zipfile_serialization=not old)
    monkeypatch.chdir(tmp_path)
    for name in (file, "model.pth", "./model.pth"):
        with pytest.raises(ZooError, match=r"model\.pth is a file, not a bundle: .* may run code .*save_file"):
            create_model(name)
    bundle = shutil.copytree(tiny, tmp_path / "tiny")
    shutil.copyfile(file, bundle / "model.safetensors")
    with pytest.raises(ZooError, match=r"model\.safetensors .*\(it is a file of torch\.save, .*save_file"):
        create_model(bundle)
    save_file(torch.load(file, weights_only=True), bundle / "model.safetensors")  # as the message says
    assert create_model(bundle).medzoo.loaded == len(state)


def test_a_weights_file_in_place_of_its_folder(tiny: Path) -> None:
    with pytest.raises(ZooError, match=r"model\.safetensors is a file, not a bundle; give the folder"):
        create_model(tiny / "model.safetensors")


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (lambda key: f"module.{key}", "Its names begin with 'module.', .* DataParallel"),
        (lambda key: f"_orig_mod.{key}", "Its names begin with '_orig_mod.'"),
        (
            lambda key: key.replace("norm1.", "norm.1.").replace("conv1.", "conv.1."),
            r"'norm\.1' are those of torchvision",
        ),
    ],
)
def test_names_of_another_program(rename: Callable[[str], str], message: str, tmp_path: Path) -> None:
    model = build("densenet121", 3)
    tensors: dict[str, Tensor] = {rename(key): value for key, value in model.state_dict().items()}
    with pytest.raises(ZooError, match=rf"is missing; .* and \d+ more\. .*{message}") as caught:
        fill(model, tensors, tmp_path / "model.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 10_000, "y/" + "x" * 10_000, "a\0b", "/" + "y" * 300])
def test_a_very_long_name_and_one_with_a_zero(name: str, zoo: Path) -> None:
    with pytest.raises((ZooError, UnknownNameError)) as caught:
        create_model(name, zoo=zoo)
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "aux.v2", "tiny."])
def test_names_that_windows_reserves(name: str, tiny: Path, tmp_path: Path) -> None:
    write_pins(tmp_path / INDEX, {name: pin_of(tiny)})
    with pytest.raises(ZooError, match="Windows allows no folder of that name"):
        read_index(tmp_path)
    assert not is_bundle_file(f"{name.rstrip('.')}.json") or name == "tiny."


def test_a_path_with_forward_slashes_is_a_path_on_every_system(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medzoo.zoo.resolve.os.sep", "\\")
    assert resolve(str(tiny)).folder == tiny
    with pytest.raises(ZooError, match="no/where is not a bundle"):
        resolve("no/where")
