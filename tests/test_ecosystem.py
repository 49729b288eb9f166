"""One file in other people's packages as they are installed: smp, torchvision, timm, torch.hub."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file

from medzoo import create_model
from medzoo.zoo.weights import WEIGHTS

TOP = Path(__file__).resolve().parents[1]
NAME = "densenet121_efi_ri"


def test_segmentation_models_take_the_file_as_their_encoder(zoo: Path) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    unet = smp.Unet("densenet121", encoder_weights=None).eval()
    unet.encoder.load_state_dict(load_file(zoo / NAME / "model.safetensors"))
    images = torch.rand(1, 3, 64, 64)
    ours = create_model(NAME, zoo=zoo)
    with torch.no_grad():
        maps = unet.encoder(images)
        # The encoder ends with the last normalisation without ReLU, or with it, as its version has it.
        assert torch.allclose(maps[-1].relu(), ours.forward_features(images), atol=1e-5)
        assert unet(images).shape == (1, 1, 64, 64)


def test_torchvision_takes_the_imagenet_file(zoo: Path) -> None:
    model = torchvision.models.densenet121().eval()
    model.load_state_dict(load_file(zoo / "densenet121_in" / "model.safetensors"), strict=True)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(images), create_model("densenet121_in", zoo=zoo)(images), atol=1e-4)


@pytest.mark.parametrize("options", [{"num_classes": 4}, {"features_only": True}, {"in_chans": 1}])
def test_timm_builds_on_the_bundle(zoo: Path, options: dict) -> None:
    model = timm.create_model(f"local-dir:{zoo / NAME}", pretrained=True, **options).eval()
    assert model(torch.rand(2, options.get("in_chans", 3), 64, 64)) is not None
    want = load_file(zoo / NAME / "model.safetensors")["features.denseblock4.denselayer16.conv2.weight"]
    flat = "features_denseblock4" if "features_only" in options else "features.denseblock4"
    assert torch.equal(model.state_dict()[f"{flat}.denselayer16.conv2.weight"], want)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """This checkout stands for the repository that torch.hub would fetch."""
    monkeypatch.setattr(torch.hub, "_get_cache_or_reload", lambda *args, **kwargs: str(TOP))


@pytest.mark.usefixtures("hub")
def test_torch_hub_lists_the_weights_and_nothing_else() -> None:
    assert sorted(torch.hub.list("org/medzoo", trust_repo=True)) == sorted(WEIGHTS)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", list(WEIGHTS))
def test_torch_hub_helps(name: str) -> None:
    text = torch.hub.help("org/medzoo", name, trust_repo=True)
    assert WEIGHTS[name].title in text
    assert "num_classes: Outputs of a new head" in text
    assert "Not for diagnosis" in text
    assert all(label in text for label in WEIGHTS[name].labels)


def test_torch_hub_passes_options_on(zoo: Path) -> None:
    model = torch.hub.load(str(TOP), NAME, source="local", num_classes=2, in_chans=1, truncate=1, zoo=str(zoo))
    assert model(torch.rand(1, 1, 32, 32)).shape == (1, 2)
