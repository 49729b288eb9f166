"""What a network is before its first step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from medzoo.core.errors import UnknownNameError, ZooError
from medzoo.engine.runtime import seeded
from medzoo.zoo.weights import find
from training.pretraining.initialization import initialize, scale_to

ARCH = "test_resnet"
RANDOM, IMAGENET = find(f"{ARCH}_efi_ri"), find(f"{ARCH}_efi_in")


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file whose every tensor has a mean and a scale of its own."""
    with seeded(5):
        state = timm.create_model(ARCH, num_classes=1000).state_dict()
        for number, (key, value) in enumerate(state.items()):
            if value.is_floating_point():
                state[key] = torch.randn_like(value) * (0.01 + 0.02 * number) + 0.1 * number
    file = tmp_path_factory.mktemp("imagenet") / "weights.safetensors"
    save_file(state, file)
    return file


@pytest.fixture(autouse=True)
def _leaves_torchs_draws_alone() -> Iterator[None]:
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_in_start_is_the_file_bit_for_bit_but_for_the_classifier(imagenet: Path, tmp_path: Path) -> None:
    model = initialize(IMAGENET, 0, "plain", imagenet, tmp_path)
    file, found = load_file(imagenet), model.state_dict()
    classifier = {key for key in file if key.startswith("fc.")}
    assert len(classifier) == 2
    assert found.keys() == file.keys()
    for key in file.keys() - classifier:
        assert torch.equal(found[key], file[key]), key
    assert found["fc.weight"].shape[0] == 5
    again, other = (
        initialize(IMAGENET, 0, "plain", imagenet, tmp_path),
        initialize(IMAGENET, 1, "plain", imagenet, tmp_path),
    )
    assert torch.equal(found["fc.weight"], again.state_dict()["fc.weight"])
    assert not torch.equal(found["fc.weight"], other.state_dict()["fc.weight"])


def test_the_plain_start_is_the_architectures_own_by_seed(tmp_path: Path) -> None:
    one, same, other = (initialize(RANDOM, seed, "plain", None, tmp_path).state_dict() for seed in (3, 3, 4))
    with seeded(3):
        want = timm.create_model(ARCH, num_classes=5).state_dict()
    for key, value in one.items():
        assert torch.equal(value, want[key]) and torch.equal(value, same[key]), key
    assert not torch.equal(one["conv1.0.weight"], other["conv1.0.weight"])
    assert not list(tmp_path.iterdir())


def test_meanvar_keeps_each_layers_mean_and_variance_and_nothing_else(imagenet: Path, tmp_path: Path) -> None:
    model = initialize(RANDOM, 0, "meanvar", imagenet, tmp_path)
    file, plain = load_file(imagenet), initialize(RANDOM, 0, "plain", None, tmp_path).state_dict()
    compared = 0
    for key, value in model.named_parameters():
        if key.startswith("fc."):
            assert value.shape[0] == 5
            assert torch.equal(value, plain[key]), key
            continue
        count, want = value.numel(), file[key]
        std = want.std(correction=0)
        assert abs(value.mean() - want.mean()) < 5 * std / count**0.5, key
        assert abs(value.std() / std - 1) < 5 / (2 * count) ** 0.5, key
        assert abs(torch.corrcoef(torch.stack([value.flatten(), want.flatten()]))[0, 1]) < 5 / count**0.5, key
        compared += 1
    assert compared > 10
    for key, value in model.named_buffers():
        assert torch.equal(value, plain[key]), key
    same = initialize(RANDOM, 0, "meanvar", imagenet, tmp_path).state_dict()
    assert all(torch.equal(value, same[key]) for key, value in model.state_dict().items())


def test_a_single_value_is_its_own_mean() -> None:
    model = nn.Module()
    model.scale = nn.Parameter(torch.zeros(1))
    with seeded(0):
        scale_to(model, {"scale": torch.tensor([0.25])})
    assert model.scale.item() == 0.25


def test_an_unknown_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="meanvar"):
        initialize(RANDOM, 0, "mean_var", None, tmp_path)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("entry", "random"), [(IMAGENET, "plain"), (RANDOM, "meanvar")])
def test_imagenet_weights_that_cannot_be_had_are_said(entry: object, random: str, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=f"{ARCH}_in"):
        initialize(entry, 0, random, None, tmp_path)  # type: ignore[arg-type]


def test_a_file_of_another_architecture_is_refused(imagenet: Path, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="does not fit"):
        initialize(find("test_efficientnet_efi_in"), 0, "plain", imagenet, tmp_path)
