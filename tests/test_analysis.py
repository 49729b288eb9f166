"""``analyze``: each part against a direct computation, and all of them together on networks that were trained."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import class_folders, noise, pictures, save_bundle
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from medzoo import analyze, create_model, finetune
from medzoo.__main__ import app
from medzoo.analysis.analyze import Analysis
from medzoo.analysis.cka import LinearCKA
from medzoo.analysis.compatibility import InapplicableError
from medzoo.analysis.distance import block_distances, head_distance
from medzoo.analysis.interpolation import Interpolation, points, recalibrate
from medzoo.analysis.scoring import Scorer
from medzoo.analysis.shuffling import shuffle_tiles, tile_orders
from medzoo.analysis.stage_probes import MOST, few_enough, truncation_curve
from medzoo.analysis.stages import recorded, stages_of
from medzoo.core.atomic import write_json
from medzoo.core.errors import DataError, MedzooError
from medzoo.models.info import Model, pooled_features
from medzoo.zoo.bundle import RUN

CLASSES = ("red", "green", "blue")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same_state(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("data") / "colours", CLASSES, each=12)


@pytest.fixture(scope="module")
def tuned(tiny: Path, colours: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two solutions from one start, of other seeds: other heads, orders and splits."""
    folder = tmp_path_factory.mktemp("tuned")
    for seed in (0, 1):
        report = finetune(tiny, colours, epochs=4, batch_size=8, lr=3e-3, validation=0.5, seed=seed, device="cpu")
        write_json(report.save(folder / f"seed{seed}", images=False) / RUN, report.to_dict())  # with what was held out
    return folder / "seed0", folder / "seed1"


@pytest.fixture(scope="module")
def found(tuned: tuple[Path, Path], colours: Path) -> Analysis:
    return analyze(*tuned, colours, points=5, recalibrate=False, metric="accuracy", tiles=(1, 4), device="cpu")


@pytest.fixture
def two_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer probes where their score is not what is tested."""
    monkeypatch.setattr("medzoo.analysis.stage_probes.FOLDS", 2)


@pytest.fixture(scope="module")
def densenet(zoo: Path) -> Model:
    return create_model("densenet121_efi_ri", zoo=zoo, head=None)


# Linear CKA


def double_centred(x: Tensor) -> Tensor:
    """The U-centred Gram matrix of Székely and Rizzo (2014), another way to the unbiased estimator."""
    gram = x @ x.T
    gram.fill_diagonal_(0)
    n = len(gram)
    rows = gram.sum(1) / (n - 2)
    centred = gram - rows[:, None] - rows[None, :] + gram.sum() / ((n - 1) * (n - 2))
    return centred.fill_diagonal_(0)


def direct_cka(x: Tensor, y: Tensor) -> float:
    k, m = double_centred(x), double_centred(y)
    return float((k * m).sum() / ((k * k).sum() * (m * m).sum()).sqrt())


def test_cka_is_that_of_full_matrices_whatever_the_batches() -> None:
    x = drawn(37, 11) + 5
    y = x @ drawn(11, 6, seed=1) + 3 * drawn(37, 6, seed=2)
    fed = LinearCKA()
    for part in (slice(0, 5), slice(5, 6), slice(6, 37)):
        fed.add(x[part], y[part])
    assert 0.1 < direct_cka(x, y) < 0.9
    assert fed.value() == pytest.approx(direct_cka(x, y), rel=1e-9)


def linear_cka(x: torch.Tensor, y: torch.Tensor) -> float | None:
    both = LinearCKA()
    both.add(x, y)
    return both.value()


def test_cka_does_not_see_rotation_scale_and_shift() -> None:
    x = drawn(20, 7)
    turn, _ = torch.linalg.qr(drawn(7, 7, seed=3))
    assert linear_cka(x, 4 * x @ turn - 1e4) == pytest.approx(1, abs=1e-9)


def test_cka_of_unrelated_features_is_0_on_average_though_they_are_wide() -> None:
    values = [linear_cka(drawn(24, 200, seed=seed), drawn(24, 200, seed=1000 + seed)) for seed in range(60)]
    assert abs(np.mean(values)) < 0.03
    x, y = (drawn(24, 200, seed=seed) for seed in (0, 1000))
    x, y = x - x.mean(0), y - y.mean(0)
    biased = (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    assert biased > 0.7  # what the plain formula makes of the same


def test_cka_is_undefined_without_variation_and_needs_four_images() -> None:
    assert linear_cka(torch.ones(9, 3), drawn(9, 2)) is None
    with pytest.raises(DataError, match="at least 4 images, got 3"):
        linear_cka(drawn(3, 2), drawn(3, 2))


# Stages


def test_stages_give_what_truncated_networks_give(densenet: Model, zoo: Path) -> None:
    images, stages = noise(2), stages_of(densenet)
    assert [stage.name for stage in stages] == ["stem", "block 1", "block 2", "block 3", "block 4"]
    with torch.no_grad(), recorded(densenet, stages) as seen:
        whole = pooled_features(densenet, images)
    torch.testing.assert_close(seen["block 4"], whole)
    assert {stage.name: stage.width for stage in stages} == {name: values.shape[1] for name, values in seen.items()}
    for blocks in (1, 3):
        cut = create_model("densenet121_efi_ri", zoo=zoo, head=None, truncate=blocks)
        with torch.no_grad():
            torch.testing.assert_close(seen[f"block {blocks}"], cut(images))
    assert not any(layer._forward_hooks for layer in densenet.modules())


def test_a_truncated_network_has_its_stages(zoo: Path) -> None:
    cut = create_model("densenet121_efi_ri", zoo=zoo, head=None, truncate=2)
    assert [(stage.name, stage.module) for stage in stages_of(cut)] == [
        ("stem", "features.norm0"),
        ("block 1", "features.transition1.norm"),
        ("block 2", "features.norm5"),
    ]


# Distance


def test_distances_are_of_the_block_that_moved(densenet: Model) -> None:
    moved = deepcopy(densenet)
    with torch.no_grad():
        moved.features.denseblock2.denselayer1.conv1.weight += 0.5
        moved.features.transition3.norm.running_mean += 2
    blocks = {block.block: block for block in block_distances(densenet, moved)}
    assert list(blocks) == ["stem", "block 1", "block 2", "block 3", "block 4", "end"]
    count = moved.features.denseblock2.denselayer1.conv1.weight.numel()
    assert blocks["block 2"].distance == pytest.approx(0.5 * count**0.5, rel=1e-6)
    second = [p for name, p in densenet.named_parameters() if "block2" in name or "transition2" in name]
    size = float(torch.cat([p.detach().double().flatten() for p in second]).norm())
    assert blocks["block 2"].relative == pytest.approx(0.5 * count**0.5 / size, rel=1e-6)
    assert blocks["block 2"].statistics == 0
    assert blocks["block 3"].distance == 0
    assert blocks["block 3"].statistics == pytest.approx(2 * 1024**0.5)
    assert sum(block.parameters for block in blocks.values()) == sum(p.numel() for p in densenet.parameters())


def test_heads_are_apart_and_need_one_form(tuned: tuple[Path, Path], tiny: Path) -> None:
    first, second = (create_model(folder) for folder in tuned)
    head = head_distance(first, second)
    assert head.parameters == sum(p.numel() for p in first.get_submodule("fc").parameters())
    assert head.distance > 0
    with pytest.raises(InapplicableError, match="heads are not alike"):
        head_distance(create_model(tiny), second)


# The straight line


def test_the_ends_of_the_line_are_the_networks_to_the_last_bit(tuned: tuple[Path, Path]) -> None:
    first, second = (create_model(folder) for folder in tuned)
    was = deepcopy(first.state_dict()), deepcopy(second.state_dict())
    states = [deepcopy(network.state_dict()) for network in points(first, second, (0, 0.25, 1))]
    floats = [key for key, value in was[0].items() if value.is_floating_point()]
    assert all(torch.equal(states[0][key], was[0][key]) for key in floats)
    for key in floats:
        torch.testing.assert_close(states[1][key], 0.75 * was[0][key] + 0.25 * was[1][key])
    assert same_state(states[2], was[1])
    assert same_state(first.state_dict(), was[0]) and same_state(second.state_dict(), was[1])


def test_a_start_without_this_head_gets_the_other_one(tiny: Path, tuned: tuple[Path, Path]) -> None:
    start, after = create_model(tiny), create_model(tuned[0])
    state = next(points(start, after, (0,))).state_dict()
    assert torch.equal(state["layer1.0.conv1.weight"], start.state_dict()["layer1.0.conv1.weight"])
    heads = [key for key in state if key.startswith("fc.")]
    assert heads and all(torch.equal(state[key], after.state_dict()[key]) for key in heads)


def test_a_barrier_is_what_rises_above_the_line_between_the_ends() -> None:
    line = Interpolation("accuracy", (0, 0.5, 1), (0.8, 0.3, 1.0), (0.5, 2.0, 0.1), recalibrated=True, both_heads=True)
    assert line.loss_barrier == pytest.approx(2.0 - 0.3)
    assert line.score_barrier == pytest.approx(0.9 - 0.3)
    assert Interpolation("accuracy", (0, 1), (0.8, None), (1, 1), True, both_heads=True).score_barrier is None
    assert Interpolation("accuracy", (0, 1), (0.8, 0.9), (1, 1), True, both_heads=False).loss_barrier is None


@pytest.mark.parametrize("freeze", [None, "all"])
def test_recalibration_measures_batch_norm_and_changes_nothing_else(tiny: Path, freeze: str | None) -> None:
    model = create_model(tiny, num_classes=2, freeze=freeze)
    was = deepcopy(model.state_dict())
    batches = [noise(4), 2 * noise(4).flip(0) + 1]
    conv = model.conv1[0]
    maps = [conv(batch) for batch in batches]
    norm = model.conv1[1]
    recalibrate(model, batches)
    torch.testing.assert_close(norm.running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0))
    changed = {key.rpartition(".")[2] for key, value in model.state_dict().items() if not torch.equal(value, was[key])}
    assert changed <= {"running_mean", "running_var", "num_batches_tracked"}
    assert not any(layer.training for layer in model.modules())
    assert norm.momentum == 0.1


# Shuffled tiles


def test_tiles_go_where_their_orders_say() -> None:
    images, orders = drawn(3, 2, 12, 9), tile_orders(3, 3, seed=5)
    out = shuffle_tiles(images, orders)
    for image in range(3):
        for place, tile in enumerate(orders[image].tolist()):
            (r, c), (r0, c0) = divmod(place, 3), divmod(tile, 3)
            moved = images[image, :, 4 * r0 : 4 * r0 + 4, 3 * c0 : 3 * c0 + 3]
            assert torch.equal(out[image, :, 4 * r : 4 * r + 4, 3 * c : 3 * c + 3], moved)
    assert not torch.equal(out, images)


def test_orders_are_permutations_of_their_own_and_repeatable() -> None:
    orders = tile_orders(50, 4, seed=0)
    assert torch.equal(orders.sort(1).values, torch.arange(16).expand(50, 16))
    assert len({tuple(row) for row in orders.tolist()}) == 50
    assert torch.equal(orders, tile_orders(50, 4, seed=0))
    assert not torch.equal(orders, tile_orders(50, 4, seed=1))


def test_what_no_tile_covers_stays() -> None:
    images = drawn(2, 1, 11, 11)
    out = shuffle_tiles(images, tile_orders(2, 3, seed=0))
    assert torch.equal(out[..., 0, :], images[..., 0, :]) and torch.equal(out[..., -1], images[..., -1])
    assert torch.equal(out.flatten(1).sort(1).values, images.flatten(1).sort(1).values)
    with pytest.raises(InapplicableError, match="12x12 tiles"):
        shuffle_tiles(images, tile_orders(2, 12, seed=0))


# Truncation


def scorer(labels: np.ndarray, groups: np.ndarray) -> Scorer:
    return Scorer(np.eye(2, dtype=np.float32)[labels], groups, ("no", "yes"), "binary", "auroc", 0)


def test_the_truncation_curve_finds_the_stage_that_knows() -> None:
    rng, labels = np.random.default_rng(0), np.arange(80) % 2
    groups = np.array([f"patient:{n // 4 * 2 + n % 2}" for n in range(80)])  # two images each, of one class
    # The first stage knows the patients, whose labels it could learn by heart; the second knows the labels.
    patients = rng.normal(size=(40, 30))[np.unique(groups, return_inverse=True)[1]].astype(np.float32)
    known = np.hstack([patients, labels[:, None] + 0.1 * rng.normal(size=(80, 1))]).astype(np.float32)
    stem, block = truncation_curve({"stem": patients, "block 1": known}, scorer(labels, groups))
    assert (stem.kept, stem.features, block.kept, block.features) == ("stem", 30, "block 1", 31)
    assert stem.score.low is not None and stem.score.low < 0.5 < stem.score.high
    assert block.score.value > 0.95


def test_of_many_images_whole_patients_are_probed() -> None:
    count = 2 * MOST + 2
    groups, labels = np.array([f"patient:{n // 2}" for n in range(count)]), np.arange(count) // 2 % 2
    rows = few_enough(scorer(labels, groups))
    assert count // 3 - 20 < len(rows) <= MOST
    assert set(groups[rows]).isdisjoint(np.delete(groups, rows))
    assert len(few_enough(scorer(labels[:100], groups[:100]))) == 100


def test_one_patient_cannot_be_cross_validated() -> None:
    with pytest.raises(InapplicableError, match="one patient"):
        truncation_curve({"stem": np.zeros((4, 2), np.float32)}, scorer(np.arange(4) % 2, np.array(["a"] * 4)))


# All together


def test_two_solutions_are_scored_on_what_both_held_out(found: Analysis, tuned: tuple[Path, Path]) -> None:
    held_out = [set(json.loads((folder / "run.json").read_text())["held_out"]) for folder in tuned]
    assert found.measured == len(held_out[0] & held_out[1]) < found.images == 36
    assert f"the {found.measured} images that fine-tuning held out" in " ".join(found.notes)


def test_the_line_ends_at_the_scores_of_the_networks_themselves(found: Analysis) -> None:
    before, after = found.shuffled
    assert (before.network, after.network) == ("before", "after")
    assert found.line is not None and found.line.both_heads
    assert found.line.shares == (0, 0.25, 0.5, 0.75, 1)
    assert found.line.scores[0] == pytest.approx(before.scores[0].value)
    assert found.line.scores[-1] == pytest.approx(after.scores[0].value)
    assert after.scores[0].value > 0.9  # colours are learnt, and do not depend on the layout
    assert after.scores[1].value > 0.9
    assert found.line.loss_barrier >= 0


def test_parts_that_cannot_be_meant_are_left_out_with_a_reason(found: Analysis) -> None:
    assert found.truncation == ()
    assert "trained on these classes" in found.left_out["truncation"]
    assert list(found.left_out) == ["truncation"]


def test_numbers_words_and_picture(found: Analysis, tmp_path: Path) -> None:
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["line"]["loss_barrier"] == found.line.loss_barrier
    assert [layer["stage"] for layer in record["similarity"]] == ["act1", "layer1", "layer2", "layer3", "layer4"]
    assert [block["block"] for block in record["distance"]][-1] == "head"
    text = str(found)
    for word in ("linear CKA", "layer4", "a = 0.25", "barrier: loss", "4 x 4", "left out", "note: Scores"):
        assert word in text, word
    found.save(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "analysis.json").read_text()) == record
    with Image.open(tmp_path / "out" / "analysis.png") as image:
        assert image.size[0] > 1000
        assert len(image.convert("L").getcolors(256)) > 20


@pytest.mark.usefixtures("two_folds")
def test_a_pretrained_start_has_a_truncation_curve_and_the_other_ones_head(
    tiny: Path, tuned: tuple[Path, Path], colours: Path, tmp_path: Path
) -> None:
    out = analyze(tiny, tuned[0], colours, points=3, tiles=(2,), device="cpu")
    assert out.line is not None and not out.line.both_heads and out.line.recalibrated
    assert [cut.kept for cut in out.truncation] == [layer.stage for layer in out.similarity]
    assert out.truncation[-1].score.value > 0.9
    assert set(out.left_out) == {"distance of the heads", "shuffled tiles, before"}
    assert all(layer.cka is not None and -0.2 < layer.cka <= 1 for layer in out.similarity)
    assert out.plot(tmp_path / "a.png").is_file()


def test_models_given_stay_as_they_are_and_a_network_is_like_itself(tuned: tuple[Path, Path], colours: Path) -> None:
    model = create_model(tuned[0], freeze=1).train()
    state, modes = deepcopy(model.state_dict()), [layer.training for layer in model.modules()]
    images, labels = pictures(CLASSES, each=4)
    out = analyze(model, model, (images, labels), points=3, tiles=(1,), device="cpu")
    assert same_state(model.state_dict(), state)
    assert [layer.training for layer in model.modules()] == modes
    assert not any(layer._forward_hooks for layer in model.modules())
    assert [layer.cka for layer in out.similarity] == pytest.approx([1] * 5)
    assert all(block.distance == 0 and block.statistics in (0, None) for block in out.distance)
    assert len(set(out.line.losses)) == 1
    assert out.measured == out.images == 12


@pytest.mark.usefixtures("two_folds")
def test_other_architectures_leave_out_what_needs_one_form(
    tuned: tuple[Path, Path], colours: Path, tmp_path: Path
) -> None:
    other = save_bundle(tmp_path / "other", "test_efficientnet", ("a", "b"), "binary")
    out = analyze(other, tuned[0], colours, tiles=(2,), device="cpu")
    assert set(out.left_out) == {
        *("similarity", "distance", "distance of the heads", "straight line", "shuffled tiles, before")
    }
    assert "test_efficientnet before and test_resnet after" in out.left_out["distance"]
    assert out.truncation and out.shuffled and out.plot(tmp_path / "a.png").is_file()


def test_a_data_set_may_lack_some_classes(tuned: tuple[Path, Path]) -> None:
    images, labels = pictures(("red", "blue"), each=4)
    out = analyze(tuned[0], tuned[1], (images, labels), points=2, tiles=(1,), metric="accuracy", device="cpu")
    assert out.shuffled[1].scores[0].value > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 1}, "points=1"),
        ({"batch_size": 1}, "batch_size=1"),
        ({"tiles": ()}, "tiles="),
        ({"metric": "accurracy"}, "accuracy"),
    ],
)
def test_options_that_cannot_be_meant(tiny: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MedzooError, match=message):
        analyze(tiny, tiny, pictures(("red", "green"), each=2), device="cpu", **options)


def test_what_is_no_model_of_ours_is_refused(tiny: Path) -> None:
    with pytest.raises(MedzooError, match="before is a Linear"):
        analyze(torch.nn.Linear(2, 2), tiny, pictures(("red", "green"), each=2))
    with pytest.raises(MedzooError, match="before and after take 1 and 3 channels"):
        analyze(create_model(tiny, in_chans=1, num_classes=2), tiny, pictures(("red", "green"), each=2))


def test_the_command(tuned: tuple[Path, Path], colours: Path, tmp_path: Path) -> None:
    words = [
        "analyze",
        *map(str, tuned),
        str(colours),
        "--points",
        "2",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "o"),
    ]
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert record["kind"] == "analysis" and len(record["line"]["scores"]) == 2
    assert json.loads((tmp_path / "o" / "analysis.json").read_text()) == record
    assert (tmp_path / "o" / "analysis.png").is_file()


@pytest.mark.real
@pytest.mark.usefixtures("two_folds")
def test_real_tiles_truncate_well_and_survive_shuffling(real: Path) -> None:
    """Texture is what tells tissue: a random network's first blocks already beat chance by far."""
    model = create_model("densenet121_hwsi_ri", pretrained=False, image_size=32)
    out = analyze(model, model, real / "CRC-VAL-HE-7K", metric="accuracy", device="cpu")
    assert out.images == 72 and out.line is None and out.shuffled == ()
    assert [layer.cka for layer in out.similarity] == pytest.approx([1] * 5)
    assert max(cut.score.low or 0 for cut in out.truncation) > 1 / 9
