"""Grad-CAM: the numbers of the paper's equations, the geometry of the picture, and files anyone can open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from makers import class_folders, pictures, save_bundle
from PIL import Image
from torch import nn

from medzoo import create_model, explain
from medzoo.core.errors import DataError, MedzooError
from medzoo.data.input_spec import InputContract
from medzoo.engine.runtime import seeded
from medzoo.inference.explain import Explanation, cam
from medzoo.models.info import ModelInfo

IMAGES = pictures(("red", "green", "blue"), 1)[0]


@pytest.fixture
def model(tiny: Path) -> Any:
    return create_model(tiny)


def normalised(model: Any, found: Explanation) -> torch.Tensor:
    """What the network saw, computed here once more."""
    contract = model.medzoo.input
    pixels = torch.from_numpy(found.image).permute(2, 0, 1).float() / 255
    return ((pixels - torch.tensor(contract.mean)[:, None, None]) / torch.tensor(contract.std)[:, None, None])[None]


def test_with_global_pooling_and_a_linear_head_it_is_the_class_activation_map(model: Any) -> None:
    # Zhou et al., CVPR 2016: the head's weights times the feature map.
    weights = model.get_submodule(model.pretrained_cfg["classifier"]).weight.detach()
    for found in explain(model, IMAGES, ["low", "mid", "high"]):
        with torch.no_grad():
            features = model.forward_features(normalised(model, found))[0]
        want = torch.einsum("k,khw->hw", weights[model.medzoo.classes.index(found.label)], features).relu()
        np.testing.assert_allclose(found.heat, want / want.max().clamp_min(1e-30), atol=1e-5)


def test_with_any_head_it_is_the_papers_equations_by_finite_differences(tiny: Path) -> None:
    with seeded(0):  # another head may find nothing that speaks for class 1
        model = create_model(tiny, num_classes=2, head="mlp").double()  # differences need the digits
    with torch.no_grad():
        batch = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        features = model.forward_features(batch)
    assert features.shape[2] > 1
    features.requires_grad_()
    (gradient,) = torch.autograd.grad(model.forward_head(features)[:, 1].sum(), features)
    with torch.no_grad():
        step, weights = 1e-4, torch.zeros(features.shape[1], dtype=torch.float64)
        for k in range(features.shape[1]):
            # Moving a whole channel by a step moves the logit by the sum of its gradient.
            moved = features.clone()
            moved[:, k] += step
            weights[k] = (model.forward_head(moved) - model.forward_head(features))[0, 1] / step
        want = torch.einsum("k,khw->hw", weights / features[0, 0].numel(), features[0]).relu()
    got = cam(features.detach(), gradient)[0]
    assert want.max() > 0
    np.testing.assert_allclose(got, (want / want.max()).float(), atol=1e-3)


class Bright(nn.Module):
    """A network whose only evidence is brightness, where it is: class 1 is bright, class 0 dark."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(8)
        self.num_classes = 2
        self.medzoo = ModelInfo("bright", "none", InputContract(size=64), ("dark", "bright"), "binary")

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.pool(-x), self.pool(x)], 1).relu()

    def forward_head(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, :3].mean((1, 2, 3)), x[:, 3:].mean((1, 2, 3))], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 3), (128, 192), (192, 128, 3)], ids=str)
def test_the_heat_lies_where_the_evidence_lies(shape: tuple[int, ...]) -> None:
    picture = np.zeros(shape, np.uint8)
    height, width = shape[:2]
    side = min(height, width)  # the centre crop that the network sees
    top, left = (height - side) // 2, (width - side) // 2
    picture[top : top + side // 4, left + side // 2 : left + 3 * side // 4] = 255
    bright, dark = explain(Bright(), picture, ["bright", "dark"])
    heat = bright.heat_map()
    assert heat.shape == (64, 64)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] < 16
    assert 32 <= np.unravel_index(heat.argmax(), heat.shape)[1] < 48
    assert heat[20:].max() == 0
    assert dark.heat_map()[8, 40] == 0
    overlay = np.asarray(bright.overlay())
    assert overlay.shape == (64, 64, 3)
    assert (overlay[32:] == 0).all()  # cold places stay as they are
    assert overlay[8, 40].tolist() != [255, 255, 255]  # hot ones are painted
    pair = np.asarray(bright.side_by_side())
    assert pair.shape == (256, 512, 3)
    np.testing.assert_array_equal(pair[::4, :256:4], np.broadcast_to(bright.image, (64, 64, 3)))
    np.testing.assert_array_equal(pair[::4, 256::4], overlay)


def test_nothing_that_speaks_for_a_class_gives_no_heat() -> None:
    found = next(explain(Bright(), np.zeros((64, 64), np.uint8), ["bright"]))
    assert (found.heat == 0).all()
    assert (np.asarray(found.overlay()) == 0).all()


def test_each_image_gets_its_most_probable_class_or_those_asked_for(model: Any) -> None:
    found = list(explain(model, IMAGES, batch_size=2))
    assert [one.number for one in found] == [0, 1, 2]
    for one in found:
        with torch.no_grad():
            chances = model(normalised(model, one)).softmax(1)[0]
        assert model.medzoo.classes[int(chances.argmax())] == one.label
        assert one.probability == pytest.approx(float(chances.max()), abs=1e-5)
    several = list(explain(model, IMAGES, ["high", "low"]))
    assert [(one.number, one.label) for one in several] == [(n, c) for n in range(3) for c in ("high", "low")]


@pytest.mark.parametrize("arch", ["test_efficientnet", "test_convnext", "densenet121", "swin_tiny_patch4_window7_224"])
def test_other_networks(arch: str, tmp_path: Path) -> None:
    if arch.startswith("swin"):
        model: Any = timm.create_model(arch, num_classes=2, img_size=64, embed_dim=24, depths=(1, 1, 1, 1)).eval()
        model.medzoo = ModelInfo(arch, arch, InputContract(size=64), ("a", "b"), "binary")
    else:
        model = create_model(save_bundle(tmp_path / "m", arch, ("a", "b"), "binary"), image_size=64)
    for found in explain(model, IMAGES[0], ["a", "b"]):
        assert found.heat.shape == (2, 2)
        assert found.heat.max() in (0.0, 1.0)


def test_a_grey_network_and_a_frozen_one(tiny: Path) -> None:
    grey = create_model(tiny, in_chans=1)
    found = next(explain(grey, IMAGES[0]))
    assert found.image.shape == (32, 32, 1)
    assert found.overlay().mode == "RGB"
    frozen = create_model(tiny).requires_grad_(False)
    np.testing.assert_array_equal(next(explain(frozen, IMAGES[0])).heat, next(explain(tiny, IMAGES[0])).heat)


def test_the_model_stays_as_it_was(model: Any) -> None:
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    list(explain(model, IMAGES))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_files_have_names_of_their_own(model: Any, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "Röntgen bilder", each=2)
    files = [found.save(tmp_path / "out") for found in explain(model, data, ["low", "high"])]
    assert len(set(files)) == 8
    assert files[0].name.startswith("00000_000_low_0.")
    for file in files:
        with Image.open(file) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (512, 256))
    odd = Explanation("a" * 300 + "?.png", 7, 'x/y:"z"', 0.5, np.zeros((32, 32, 3), np.uint8), np.zeros((1, 1), "f4"))
    assert odd.save(tmp_path / "odd").name == f"00007_{'a' * 60}_x_y__z__0.50.png"


def test_mistakes(model: Any, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(MedzooError, match="no class named 'hihg'; did you mean 'high'"):
        explain(model, IMAGES, ["hihg"])
    with pytest.raises(MedzooError, match="has no head"):
        explain(create_model(tiny, head=None), IMAGES)
    with pytest.raises(MedzooError, match="batch_size is 0"):
        explain(model, IMAGES, batch_size=0)
    with pytest.raises(DataError, match="no images"):
        explain(model, [])
    tokens: Any = timm.create_model("test_vit", num_classes=2, img_size=32).eval()
    tokens.medzoo = ModelInfo("v", "test_vit", InputContract(size=32), ("a", "b"), "binary")
    with pytest.raises(MedzooError, match=r"Grad-CAM needs a feature map \[N, C, h, w\]; test_vit gives \[1, "):
        next(explain(tokens, IMAGES[0]))
