"""``create_model``: heads, outputs, strictness, and the same backbone as timm, torchvision and torch.hub give."""

from __future__ import annotations

import importlib.util
import runpy
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
import timm
import torch
import torchvision
from makers import noise
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medzoo import create_model
from medzoo.core.errors import MedzooError, UnknownNameError, ZooError
from medzoo.models.heads import MLPHead
from medzoo.models.info import pooled_features
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import WEIGHTS
from training.publishing.publish import validate

TOP = Path(__file__).resolve().parents[1]
NAME = "densenet121_efi_ri"


@pytest.fixture(scope="module")
def images() -> Tensor:
    return noise(2)


def changed(bundle: Path, to: Path, change: Callable[[dict[str, Tensor]], object]) -> Path:
    """A copy of a bundle whose tensors were meddled with."""
    copytree(bundle, to)
    tensors = load_file(to / "model.safetensors")
    change(tensors)
    save_file(tensors, to / "model.safetensors")
    return to


def test_without_num_classes_the_weights_own_classifier_stays(zoo: Path, images: Tensor) -> None:
    model = create_model(NAME, zoo=zoo)
    info = model.medzoo
    assert not model.training
    assert model(images).shape == (2, 5)
    assert info.classes == SOURCES["efi"].labels
    assert (info.task, info.head, info.weights) == ("ordinal", "linear", NAME)
    assert (info.loaded, info.new, info.dropped) == (727, (), ())
    assert info.input.size == 32


def test_num_classes_puts_the_papers_head_on(zoo: Path, images: Tensor) -> None:
    model = create_model(NAME, num_classes=3, zoo=zoo)
    assert isinstance(model.classifier, MLPHead)
    kinds = [type(layer).__name__ for layer in model.classifier]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2 + ["Linear"]
    assert model(images).shape == (2, 3)
    info = model.medzoo
    assert (info.loaded, info.head, info.classes, info.task) == (725, "mlp", (), "")
    assert info.dropped == ("classifier.weight", "classifier.bias")
    assert set(info.new) == {f"classifier.{key}" for key in model.classifier.state_dict()}
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert "725 tensors loaded" in str(info)


def test_a_linear_head(zoo: Path, images: Tensor) -> None:
    model = create_model(NAME, num_classes=7, head="linear", zoo=zoo)
    assert isinstance(model.classifier, nn.Linear)
    assert model(images).shape == (2, 7)
    assert model.num_classes == 7


@pytest.mark.parametrize("options", [{"num_classes": 0}, {"head": None}, {"head": None, "num_classes": 0}])
def test_no_head_gives_the_pooled_features(zoo: Path, images: Tensor, options: dict) -> None:
    model = create_model(NAME, zoo=zoo, **options)
    with torch.no_grad():
        features = model(images)
        assert features.shape == (2, 1024)
        assert torch.equal(features, pooled_features(create_model(NAME, zoo=zoo), images))
    assert model.num_classes == 0
    assert model.medzoo.head == "none"
    assert model.medzoo.classes == ()


def test_a_module_of_ones_own(zoo: Path, images: Tensor) -> None:
    head = nn.Sequential(nn.Linear(1024, 8), nn.Tanh(), nn.Linear(8, 2))
    model = create_model(NAME, head=head, zoo=zoo)
    assert model.classifier is head
    assert model(images).shape == (2, 2)
    assert model.medzoo.head == "custom"
    assert model.num_classes == 2


def test_a_module_that_does_not_fit_says_so(zoo: Path) -> None:
    with pytest.raises(MedzooError, match=r"the head cannot take features \[N, 1024\]"):
        create_model(NAME, head=nn.Linear(512, 2), zoo=zoo)
    with pytest.raises(MedzooError, match=r"the head maps features \[2, 1024\] to \[2, 1, 1024\]"):
        create_model(NAME, head=nn.Unflatten(1, (1, 1024)), zoo=zoo)


@pytest.mark.parametrize("num_classes", [None, 2])
def test_an_unknown_head(zoo: Path, num_classes: int | None) -> None:
    with pytest.raises(UnknownNameError, match="no head named 'mpl'; did you mean 'mlp'"):
        create_model(NAME, head="mpl", num_classes=num_classes, zoo=zoo)


def test_a_negative_number_of_classes(zoo: Path) -> None:
    with pytest.raises(MedzooError, match="num_classes is -1; give 1 or more, 0 for features, or None"):
        create_model(NAME, num_classes=-1, zoo=zoo)


def test_an_unknown_name_brings_the_nearest(zoo: Path) -> None:
    for options in ({"zoo": zoo}, {"pretrained": False}):
        with pytest.raises(MedzooError, match="did you mean 'densenet121_efi_ri'"):
            create_model("densenet121_efi_r", **options)


def test_another_image_size_stands_in_the_contract(zoo: Path) -> None:
    assert create_model(NAME, image_size=64, zoo=zoo).medzoo.input.size == 64
    with pytest.raises(MedzooError, match="an image size of 16 is too small"):
        create_model(NAME, image_size=16, zoo=zoo)


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_a_random_start_claims_nothing_it_has_not(name: str) -> None:
    info = create_model(name, pretrained=False).medzoo
    assert info.weights == f"{name} (random)"
    assert info.loaded == 0
    assert info.dropped == ()
    source = SOURCES[WEIGHTS[name].source] if WEIGHTS[name].source else None
    assert info.input.crop == (source.crop if source else "center")
    assert info.classes == WEIGHTS[name].labels
    assert info.task == (source.task if source else "")


def test_a_random_start_with_a_head() -> None:
    info = create_model(NAME, pretrained=False, num_classes=2).medzoo
    assert (info.loaded, info.dropped) == (0, ())
    assert "classifier.weight" not in info.new
    assert "classifier.8.weight" in info.new


def test_the_backbone_is_bit_equal_to_timms_torchvisions_and_the_hubs(zoo: Path, images: Tensor) -> None:
    tensors = load_file(zoo / NAME / "model.safetensors")
    ours = create_model(NAME, num_classes=4, zoo=zoo)
    from_timm = timm.create_model(f"local-dir:{zoo / NAME}", pretrained=True, num_classes=4).eval()
    from_vision = torchvision.models.densenet121(num_classes=5).eval()
    from_vision.load_state_dict(tensors, strict=True)
    with torch.no_grad():
        want = ours.forward_features(images)
        assert torch.equal(from_timm.forward_features(images), want)
        # torchvision ends its features before the last ReLU.
        assert torch.equal(from_vision.features(images).relu(), want)
        assert torch.equal(from_vision(images), create_model(NAME, zoo=zoo)(images))


def test_torch_hub_gives_the_same(zoo: Path, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDZOO_ZOO", str(zoo))
    model = torch.hub.load(str(TOP), NAME, source="local", num_classes=4)
    assert model(images).shape == (2, 4)
    with torch.no_grad():
        assert torch.equal(model.forward_features(images), create_model(NAME, zoo=zoo).forward_features(images))
    assert torch.hub.load(str(TOP), NAME, source="local", pretrained=False).medzoo.loaded == 0


def test_torch_hub_has_one_entry_a_weight() -> None:
    entries = runpy.run_path(str(TOP / "hubconf.py"))
    assert set(WEIGHTS) <= set(entries)
    for name in WEIGHTS:
        assert entries[name].__name__ == name
        assert WEIGHTS[name].title in entries[name].__doc__
    for package in entries["dependencies"]:
        assert importlib.util.find_spec(package)


def test_timm_loads_the_whole_bundle_with_its_labels(zoo: Path, images: Tensor) -> None:
    model = timm.create_model(f"local-dir:{zoo / NAME}", pretrained=True).eval()
    with torch.no_grad():
        assert torch.equal(model(images), create_model(NAME, zoo=zoo)(images))
    assert list(model.pretrained_cfg["input_size"]) == [3, 32, 32]


def test_the_imagenet_baseline_takes_the_file_as_it_is(zoo: Path, images: Tensor) -> None:
    model = create_model("densenet121_in", zoo=zoo)
    want = load_file(zoo / "densenet121_in" / "model.safetensors")
    assert all(torch.equal(value, want[key]) for key, value in model.state_dict().items())
    assert model(images).shape == (2, 1000)


def test_a_folder_of_ones_own_of_any_architecture(tiny: Path, images: Tensor) -> None:
    for where in (tiny, str(tiny)):
        model = create_model(where)
        assert model(images).shape == (2, 3)
        assert model.medzoo.classes == ("low", "mid", "high")
    assert create_model(tiny, num_classes=6)(images).shape == (2, 6)


def test_a_missing_tensor(tiny: Path, tmp_path: Path) -> None:
    bad = changed(tiny, tmp_path / "bad", lambda tensors: tensors.pop("conv1.0.weight"))
    with pytest.raises(ZooError, match=r"bad/model.safetensors does not fit ResNet: conv1.0.weight is missing$"):
        create_model(bad)


def test_an_extra_tensor(tiny: Path, tmp_path: Path) -> None:
    bad = changed(tiny, tmp_path / "bad", lambda tensors: tensors.update(extra=torch.zeros(1)))
    with pytest.raises(ZooError, match="extra is not expected"):
        create_model(bad)


def test_a_tensor_of_another_shape(tiny: Path, tmp_path: Path) -> None:
    bad = changed(tiny, tmp_path / "bad", lambda tensors: tensors.update({"fc.bias": torch.zeros(4)}))
    with pytest.raises(ZooError, match=r"fc.bias is \(4,\), expected \(3,\)"):
        create_model(bad)


def test_many_wrong_tensors_are_counted(tiny: Path, tmp_path: Path) -> None:
    bad = changed(tiny, tmp_path / "bad", lambda tensors: [tensors.pop(key) for key in list(tensors)[:10]])
    with pytest.raises(ZooError, match=r"is missing; .* is missing; .* is missing and 7 more$"):
        create_model(bad)


def test_half_precision_is_not_taken_silently(tiny: Path, tmp_path: Path, images: Tensor) -> None:
    def halve(tensors: dict[str, Tensor]) -> None:
        tensors.update({key: value.half() for key, value in tensors.items() if value.is_floating_point()})

    model = create_model(changed(tiny, tmp_path / "half", halve))
    assert model(images).dtype == torch.float32


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", (2**60).to_bytes(8, "little") + b"{}"])
def test_a_file_that_is_no_safetensors(tiny: Path, tmp_path: Path, content: bytes) -> None:
    bad = copytree(tiny, tmp_path / "bad")
    (bad / "model.safetensors").write_bytes(content)
    with pytest.raises(ZooError, match=r"model.safetensors cannot be read as safetensors .*; fetch it again"):
        create_model(bad)


def test_a_truncated_file(tiny: Path, tmp_path: Path) -> None:
    bad = copytree(tiny, tmp_path / "bad")
    (bad / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:-1000])
    with pytest.raises(ZooError, match="cannot be read as safetensors"):
        create_model(bad)


def test_publishing_refuses_values_that_are_not_finite(zoo: Path, tmp_path: Path) -> None:
    def spoil(tensors: dict[str, Tensor]) -> None:
        tensors["features.conv0.weight"][0, 0, 0, 0] = torch.nan

    with pytest.raises(ZooError, match=r"features.conv0.weight .*holds values that are not finite"):
        validate(changed(zoo / NAME, tmp_path / "bad", spoil), NAME)
    with pytest.raises(ZooError, match=r"holds densenet121_efi_ri .*, expected densenet121_efi_in"):
        validate(zoo / NAME, "densenet121_efi_in")


def test_making_a_model_with_a_head_is_repeatable_under_a_seed(zoo: Path) -> None:
    heads = []
    for _ in range(2):
        torch.manual_seed(7)
        heads.append(create_model(NAME, num_classes=2, zoo=zoo).classifier[0].weight)
    assert torch.equal(*heads)
