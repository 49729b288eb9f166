"""``create_model``: input channels, truncation, feature maps and freezing, and what the model says of each."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from makers import pictures
from safetensors.torch import load_file
from torch import Tensor, nn

from medzoo import create_model, finetune, predict
from medzoo.core.errors import InputError, MedzooError, ZooError
from medzoo.data.input_spec import InputContract
from medzoo.engine.loader import normalize
from medzoo.models.freezing import freeze
from medzoo.models.heads import set_head
from medzoo.models.in_channels import convert_channels
from medzoo.models.info import ModelInfo
from medzoo.models.ledger import account, tensors_of
from medzoo.models.loading import build, fill, load_bundle
from medzoo.zoo.resolve import resolve

NAME = "densenet121_efi_ri"
WHOLE = 727  # tensors of a DenseNet-121 with its classifier


@pytest.fixture(scope="module")
def grey() -> Tensor:
    """Smooth grey pictures: what the border sees differs little from what stands beside it, as in a real image."""
    waves = torch.linspace(0, 6.28, 64)
    one = (waves.sin()[:, None] * waves.cos()[None] + 1) / 2
    return torch.stack([one, one**2, 1 - one])[:, None]


def counted(info: object) -> int:
    return info.loaded + len(info.converted) + len(info.dropped)  # type: ignore[attr-defined]


def test_one_channel_gives_what_three_equal_ones_gave(zoo: Path, grey: Tensor) -> None:
    whole, one = create_model(NAME, zoo=zoo), create_model(NAME, in_chans=1, zoo=zoo)
    assert one.features.conv0.weight.shape == (64, 1, 7, 7)
    assert one.medzoo.input.channels == 1
    assert counted(one.medzoo) == WHOLE
    assert [name.split()[0] for name in one.medzoo.converted] == [
        "features.conv0.weight",
        "features.norm0.running_mean",
    ]
    with torch.no_grad():
        want, got = (
            model.features.norm0(model.features.conv0(normalize(model.medzoo.input, grey))) for model in (whole, one)
        )
    # Two rows and columns on each side see zeros, which meant a colour and mean a grey now.
    inside = (..., slice(2, -2), slice(2, -2))
    assert torch.allclose(got[inside], want[inside], atol=1e-5)
    assert not torch.allclose(got, want, atol=1e-3)


def test_with_equal_means_the_conversion_is_exact_up_to_the_border(zoo: Path, grey: Tensor) -> None:
    contract = InputContract(size=64, mean=(0.4, 0.4, 0.4), std=(0.2, 0.25, 0.3))
    whole = create_model(NAME, zoo=zoo)
    for channels in (1, 2, 5):
        other = copy.deepcopy(whole)
        new, _ = convert_channels(other, contract, channels)
        assert new.mean == (0.4,) * channels
        with torch.no_grad():
            assert torch.allclose(other(normalize(new, grey)), whole(normalize(contract, grey)), atol=1e-4)


def test_there_and_back_grey_still_gives_the_same(zoo: Path, grey: Tensor) -> None:
    model = create_model(NAME, in_chans=1, zoo=zoo)
    with torch.no_grad():
        want = model(normalize(model.medzoo.input, grey))
        contract, _ = convert_channels(model, model.medzoo.input, 3)
        assert torch.allclose(model(normalize(contract, grey)), want, atol=1e-4)


def test_preprocessing_follows(zoo: Path) -> None:
    model = create_model(NAME, in_chans=1, zoo=zoo)
    picture = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    colour = np.repeat(picture[..., None], 3, axis=2)
    found = predict(model, [picture, colour])
    assert np.allclose(found.probabilities[0], found.probabilities[1], atol=1e-6)
    config = timm.data.resolve_model_data_config(model)
    assert config["input_size"] == (1, 32, 32)
    assert config["mean"] == model.medzoo.input.mean
    many = create_model(NAME, in_chans=4, zoo=zoo)
    assert many(torch.zeros(1, 4, 32, 32)).shape == (1, 5)
    with pytest.raises(InputError, match="the network takes 4 channels, and images are read as grey or RGB"):
        predict(many, [picture])


@pytest.mark.parametrize("channels", [0, -1])
def test_an_impossible_number_of_channels(zoo: Path, channels: int) -> None:
    with pytest.raises(MedzooError, match=rf"in_chans is {channels}; give 1 for grey images, 3 for RGB"):
        create_model(NAME, in_chans=channels, zoo=zoo)


def test_three_channels_are_left_alone(zoo: Path) -> None:
    info = create_model(NAME, in_chans=3, zoo=zoo).medzoo
    assert (info.loaded, info.converted) == (WHOLE, ())


@pytest.mark.parametrize(("blocks", "width"), [(1, 256), (2, 512), (3, 1024)])
def test_truncated_features_are_what_the_next_transition_saw(zoo: Path, blocks: int, width: int, grey: Tensor) -> None:
    whole, cut = create_model(NAME, zoo=zoo), create_model(NAME, truncate=blocks, num_classes=3, zoo=zoo)
    images = normalize(whole.medzoo.input, grey)
    seen = []
    getattr(whole.features, f"transition{blocks}").conv.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        whole(images)
        assert torch.equal(cut.forward_features(images), seen[0])
    assert cut.num_features == width
    assert cut(images).shape == (3, 3)
    info = cut.medzoo
    assert (info.truncate, info.head) == (blocks, "mlp")
    assert counted(info) == WHOLE
    assert all(name.startswith("classifier") for name in info.new)
    assert f"features.norm5.weight (was features.transition{blocks}.norm.weight)" in info.converted


def test_truncation_refuses_what_it_cannot_do(zoo: Path, tiny: Path) -> None:
    with pytest.raises(MedzooError, match="truncate=4: give 1 to 3 of 4 dense blocks"):
        create_model(NAME, truncate=4, num_classes=2, zoo=zoo)
    with pytest.raises(MedzooError, match="the pretrained classifier does not fit truncated features"):
        create_model(NAME, truncate=2, zoo=zoo)
    with pytest.raises(MedzooError, match="truncate= keeps dense blocks, and ResNet has none"):
        create_model(tiny, truncate=2, num_classes=2)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_truncated_grey_model_is_saved_and_loaded(zoo: Path, tmp_path: Path, head: str) -> None:
    model = create_model(NAME, truncate=1, in_chans=1, num_classes=2, head=head, zoo=zoo)
    report = finetune(model, pictures(("red", "green"), 6), epochs=1, batch_size=4, device="cpu")
    folder = report.save(tmp_path / "mine", images=False)
    again = create_model(folder)
    images = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(images), report.model(images))
    assert (again.medzoo.truncate, again.medzoo.input) == (1, model.medzoo.input)
    from_timm = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.no_grad():
        assert torch.allclose(from_timm.forward_features(images), again.forward_features(images), atol=1e-5)


def test_feature_maps_are_timms(zoo: Path) -> None:
    model = create_model(NAME, features_only=True, zoo=zoo)
    assert model.feature_info.channels() == [64, 256, 512, 1024, 1024]
    assert model.feature_info.reduction() == [2, 4, 8, 16, 32]
    reference = timm.create_model("densenet121", features_only=True).eval()
    tensors = load_file(zoo / NAME / "model.safetensors")
    reference.load_state_dict({key.replace(".", "_", 1): value for key, value in tensors.items()}, strict=False)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(model(images), reference(images), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)
    assert model.medzoo.head == "features"
    assert (counted(model.medzoo), len(model.medzoo.dropped)) == (WHOLE, 2)


def test_feature_maps_of_a_truncated_grey_model(zoo: Path) -> None:
    model = create_model(NAME, features_only=True, truncate=2, in_chans=1, zoo=zoo)
    assert [tuple(maps.shape[1:]) for maps in model(torch.rand(1, 1, 64, 64))] == [
        (64, 32, 32),
        (256, 16, 16),
        (512, 8, 8),
    ]
    with pytest.raises(MedzooError, match="features_only=True takes no head"):
        finetune(model, pictures(("red", "green"), 6), epochs=1)
    with pytest.raises(MedzooError, match="features_only=True gives feature maps, not classes"):
        predict(model, [np.zeros((64, 64), np.uint8)])
    with pytest.raises(MedzooError, match="features_only=True gives feature maps, which have no classes"):
        create_model(NAME, features_only=True, num_classes=2, zoo=zoo)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("what", "said"), [("all", "all"), (2, "stem and 2 blocks"), (0, "stem")])
def test_what_is_frozen_stays_as_it_is_in_training(zoo: Path, tmp_path: Path, what: str | int, said: str) -> None:
    model = create_model(NAME, num_classes=2, head="linear", freeze=what, zoo=zoo)
    assert model.medzoo.frozen == said
    assert f"frozen: {said}" in str(model.medzoo)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    report = finetune(model, pictures(("red", "green"), 6), epochs=1, batch_size=4, lr=0.01, device="cpu")
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    learned = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert {"classifier.weight", "classifier.bias"} <= changed
    assert not any(key.startswith(("features.conv0", "features.norm0")) for key in changed)
    if what == "all":
        assert changed == learned == {"classifier.weight", "classifier.bias"}
    if what == 2:
        still = ("features.denseblock1.", "features.transition1.", "features.denseblock2.", "features.transition2.")
        assert not any(key.startswith(still) for key in changed)
        assert "features.denseblock3.denselayer1.norm1.running_mean" in changed
    # The names are as before, so that the file fits every other program.
    assert load_bundle(resolve(report.save(tmp_path / "mine", images=False))).state_dict().keys() == before.keys()


def test_freezing_can_be_taken_back(zoo: Path) -> None:
    model = create_model(NAME, freeze="all", zoo=zoo)
    norm = model.features.norm0
    assert not model.train().features.norm0.training
    assert not copy.deepcopy(model).train().features.norm0.training
    assert freeze(model, None) == ""
    assert model.train().features.norm0.training
    assert model.features.norm0 is norm
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("what", ["some", -1, 5, True])
def test_freezing_what_is_not_there(zoo: Path, what: object) -> None:
    with pytest.raises(
        MedzooError, match=r"freeze=.* is not possible; give 'all', 0 \(the stem\) to 4 blocks, or None"
    ):
        create_model(NAME, freeze=what, zoo=zoo)  # type: ignore[arg-type]


def test_a_random_start_converts_alike_and_claims_nothing() -> None:
    info = create_model(NAME, pretrained=False, in_chans=1, truncate=1, num_classes=2, freeze="all").medzoo
    assert (info.loaded, info.converted, info.dropped) == (0, (), ())
    assert info.input.channels == 1
    assert "features.norm5.weight" in info.new


def test_nothing_is_drawn_for_what_is_loaded_anyway(zoo: Path) -> None:
    state = torch.random.get_rng_state()
    create_model(NAME, zoo=zoo)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_file_of_whole_numbers_is_refused(tiny: Path) -> None:
    tensors = load_file(tiny / "model.safetensors")
    with pytest.raises(ZooError, match=r"fc.bias is torch.int64, expected torch.float32"):
        fill(build("test_resnet", 3), {**tensors, "fc.bias": torch.zeros(3, dtype=torch.int64)}, tiny)


def test_a_contract_needs_a_deviation_for_every_mean() -> None:
    with pytest.raises(InputError, match="1 means and 3 deviations"):
        replace(InputContract(), mean=(0.5,))


def test_a_head_replaced_later_is_in_the_ledger(zoo: Path) -> None:
    model = create_model(NAME, in_chans=1, truncate=2, num_classes=3, head="linear", zoo=zoo)
    before = model.medzoo
    set_head(model, "mlp", 4)
    after = model.medzoo
    assert (after.loaded, after.converted, after.dropped) == (before.loaded, before.converted, before.dropped)
    assert after.new == tuple(f"classifier.{key}" for key in model.classifier.state_dict())
    assert counted(after) == WHOLE
    whole = create_model(NAME, zoo=zoo)
    set_head(whole, "linear", 4)  # the new tensors have the old ones' names
    assert whole.medzoo.new == whole.medzoo.dropped == ("classifier.weight", "classifier.bias")
    assert whole.medzoo.loaded == WHOLE - 2


def test_a_tensor_with_two_names_is_loaded_under_both() -> None:
    model = nn.Module()
    model.first = model.second = nn.Linear(2, 2)
    found = account(ModelInfo("tied", "tied", InputContract()), model, tensors_of(model))
    assert (found.loaded, found.converted, found.new, found.dropped) == (4, (), (), ())
