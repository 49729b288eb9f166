"""``stress``: what was planted is found, a clean set is not accused, and damage is a function of seed and image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import class_folders
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn
from typer.testing import CliRunner

from medzoo import Stress, compare, create_model, evaluate, finetune, read_image, stress
from medzoo.__main__ import app
from medzoo.core.errors import MedzooError, UnknownNameError
from medzoo.data.input_spec import InputContract
from medzoo.models.info import ModelInfo
from medzoo.robustness.damage import DAMAGES, damaged
from medzoo.robustness.field_of_view import fields_of_view
from medzoo.robustness.image_kind import image_kind
from medzoo.robustness.measurement import Labels, Measured, damage_area, judge, measure, permutation_p
from medzoo.robustness.shortcuts import SHORTCUTS, without
from medzoo.robustness.stain import shift_stains

SIDE = 32
QUICK: dict[str, Any] = {"bootstrap": 99, "device": "cpu"}


class Reader(nn.Module):
    """A network that reads the brightness of one place of an image: the corner at the top left, or the centre."""

    def __init__(self, place: slice) -> None:
        super().__init__()
        self.num_classes, self.place = 2, place
        self.medzoo = ModelInfo("reader", "none", InputContract(size=SIDE), ("ill", "well"), "binary", positive="ill")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = x[:, :, self.place, self.place].mean((1, 2, 3))
        return torch.stack([seen, -seen], 1)


CORNER, CENTRE = slice(0, 6), slice(12, 20)


def marked(place: slice, count: int = 40) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Grey noise; the ill ones are bright in one place."""
    rng = np.random.default_rng(0)
    images = rng.integers(60, 140, (count, SIDE, SIDE, 1), dtype=np.uint8)
    ill = np.arange(count) % 2 == 0
    images[ill, place, place] = 250
    return [np.repeat(image, 3, 2) for image in images], ["ill" if one else "well" for one in ill]


@pytest.fixture(scope="module")
def corner() -> Stress:
    return stress(Reader(CORNER), marked(CORNER), damages=["blur", "jpeg"], **QUICK)


def test_a_corner_mark_that_gives_the_class_away_is_found(corner: Stress) -> None:
    found = {one.name: one for one in corner.shortcuts}
    assert {name for name, one in found.items() if one.found} == {"centre", "corners_alone"}
    assert found["centre"].auroc.value == 1.0 and found["centre"].p == 0.01
    assert found["corners"].auroc.value is not None and found["corners"].auroc.value < 0.75  # the mark is gone
    assert found["corners"].difference.low is not None and found["corners"].difference.low > 0
    assert sum(line.startswith("Short cut") for line in corner.findings) == 2
    assert str(corner).count("SHORT CUT") == 2


def test_a_network_that_looks_at_the_organ_is_not_accused() -> None:
    found = stress(Reader(CENTRE), marked(CENTRE), damages=(), **QUICK)
    assert not any(one.found for one in found.shortcuts)
    blank = next(one for one in found.shortcuts if one.name == "centre")
    assert (blank.auroc.value, blank.difference.value, blank.p) == (0.5, 0.5, 1.0)
    assert "No short cut was found" in found.findings[0]
    assert found.area is None and found.figures == ["shortcuts"]


def false_alarms(sets: int, patients: int, prevalence: float, per_patient: int) -> float:
    """How often two tests on images in which there is nothing accuse the model."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(sets):
        of = np.repeat(np.arange(patients), rng.integers(1, per_patient + 1, patients))
        ill = rng.permutation(patients) < prevalence * patients
        labels = Labels(np.eye(2, dtype=np.float32)[ill.astype(int)[of]], "binary", ("a", "b"), of.astype(str), None)
        accused = []
        for _ in range(2):  # images of one patient resemble one another
            score = 1 / (1 + np.exp(-rng.normal(size=patients)[of] - 0.5 * rng.normal(size=len(of))))
            found = np.stack([1 - score, score], 1).astype(np.float32)
            auroc = measure(labels, found, 100, 0).estimate("auroc")
            accused.append(judge(auroc, permutation_p(labels, found, 199, 0), tests=2))
        alarms += any(accused)
    return alarms / sets


def test_clean_sets_are_accused_in_less_than_one_of_twenty() -> None:
    assert false_alarms(100, 16, 0.5, 1) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("patients", "prevalence", "per_patient"), [(20, 0.2, 1), (40, 0.25, 3), (100, 0.1, 1)])
def test_clean_sets_of_other_sizes(patients: int, prevalence: float, per_patient: int) -> None:
    assert false_alarms(400, patients, prevalence, per_patient) < 0.05


def test_the_permutation_test_against_a_direct_computation() -> None:
    rng = np.random.default_rng(1)
    targets = (rng.random((30, 3)) < 0.4).astype(np.float32)
    targets[rng.random((30, 3)) < 0.2] = np.nan
    chances = np.round(rng.random((30, 3)), 1).astype(np.float32)  # with ties
    chances[:, 0] = np.where(targets[:, 0] == 1, 0.9, chances[:, 0])
    labels = Labels(targets, "multilabel", ("a", "b", "c"), np.array([str(i // 2) for i in range(30)]), None)
    order = np.argsort(np.unique(labels.groups, return_inverse=True)[1], kind="stable")
    pairs, dealt, rng = order.reshape(15, 2), np.empty_like(targets), np.random.default_rng(5)
    deals = rng.permuted(np.tile(np.arange(15), (60, 1)), axis=1)

    def auroc(truth: NDArray[np.float32]) -> float:
        known = [~np.isnan(column) for column in truth.T]
        return float(np.mean([roc_auc_score(truth[k, c], chances[k, c]) for c, k in enumerate(known)]))

    hits = 0
    for deal in deals:
        dealt[order] = targets[pairs[deal].ravel()]
        hits += auroc(dealt) >= auroc(targets) - 1e-9
    assert 0 < hits < 60
    assert permutation_p(labels, chances, 60, 5) == (1 + hits) / 61


def test_the_numbers_of_clean_images_are_those_of_evaluate(corner: Stress) -> None:
    want = evaluate(Reader(CORNER), marked(CORNER), **QUICK)
    assert {name: str(one) for name, one in corner.clean.items()} == {n: str(want.metrics[n]) for n in corner.clean}


def test_the_area_is_the_mean_over_the_strengths_as_a_share_of_clean(corner: Stress) -> None:
    clean, values = corner.clean["auroc"].value, [one.value for curve in corner.damage for one in curve.metric]
    assert corner.area is not None and corner.area.value == pytest.approx(np.mean(values) / clean)
    drawn = np.random.default_rng(0).uniform(0.6, 0.9, (3, 50))
    whole, *worse = (Measured({"auroc": 0.8 - k / 10}, {"auroc": drawn[k]}, 20) for k in range(3))
    area = damage_area(whole, worse, "auroc")
    assert area.value == pytest.approx(0.65 / 0.8)
    assert (area.low, area.high) == pytest.approx(np.quantile(drawn[1:].mean(0) / drawn[0], [0.025, 0.975]))
    assert damage_area(Measured({"kappa": -0.1}, {}, 20), worse, "kappa").value is None


def scene(count: int = 4, channels: int = 3) -> torch.Tensor:
    """Smooth images in [0, 1] with some contrast."""
    y, x = torch.meshgrid(torch.linspace(0, 6, SIDE), torch.linspace(0, 6, SIDE), indexing="ij")
    waves = torch.stack([torch.sin(x * (1 + k) + c) * torch.cos(y + k) for k in range(count) for c in range(channels)])
    return (waves.view(count, channels, SIDE, SIDE) * 0.35 + 0.5).clamp(0, 1)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_grows_with_its_strength_and_depends_on_seed_and_image_alone(name: str) -> None:
    images, numbers, kind = scene(), torch.tensor([5, 99, 7, 3]), DAMAGES[name]
    change = []
    for strength in kind.strengths:
        found = damaged(images, kind, strength, 0, numbers)
        assert found.shape == images.shape and found.min() >= 0 and found.max() <= 1
        torch.testing.assert_close(damaged(images[2:], kind, strength, 0, numbers[2:]), found[2:])
        change.append(float((found - images).abs().mean()))
    assert len(kind.strengths) == 5 and change == sorted(change) and change[1] > 0
    assert change[4] > 1.5 * change[0]


def test_seeds_differ_and_grey_images_stay_grey() -> None:
    numbers, noise = torch.arange(4), DAMAGES["noise"]
    assert not torch.equal(damaged(scene(), noise, 0.1, 0, numbers), damaged(scene(), noise, 0.1, 1, numbers))
    grey = scene(channels=1).expand(-1, 3, -1, -1)
    for name, kind in DAMAGES.items():
        if name != "stain":
            found = damaged(grey, kind, kind.strengths[-1], 0, numbers)
            torch.testing.assert_close(found[:, :1].expand_as(found), found, atol=1e-2, rtol=0)
            one = damaged(grey[:, :1], kind, kind.strengths[-1], 0, numbers)
            torch.testing.assert_close(one, found[:, :1], atol=1e-2, rtol=0)
    found = damaged(grey * 0 + 0.5, noise, 0.1, 0, numbers)
    assert float(found.std()) == pytest.approx(0.1, rel=0.05) and float(found.mean()) == pytest.approx(0.5, abs=0.005)


def test_stains_leave_white_white_and_change_each_stain_by_itself() -> None:
    tissue = scene() * 0.8 + 0.1
    torch.testing.assert_close(shift_stains(tissue, torch.ones(4, 2)), tissue, atol=1e-5, rtol=0)
    white = torch.ones(4, 3, 8, 8)
    torch.testing.assert_close(shift_stains(white, torch.full((4, 2), 2.0)), white)
    eosin = torch.exp(-torch.tensor([0.07, 0.99, 0.11])).view(1, 3, 1, 1)  # of density 1, about
    torch.testing.assert_close(shift_stains(eosin, torch.tensor([[3.0, 1.0]])), eosin, atol=1e-5, rtol=0)
    assert shift_stains(eosin, torch.tensor([[1.0, 2.0]]))[0, 1, 0, 0] < 0.2


def eyes(count: int = 40) -> tuple[NDArray[np.uint8], list[str]]:
    """Red discs in a dark frame; that of the ill ones is smaller."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    ill = np.arange(count) % 2 == 0
    radius = np.where(ill, 0.8, 0.98)[:, None, None]
    discs = (x**2 + y**2 < radius**2)[..., None] * np.array([170, 90, 40])
    return discs.astype(np.uint8), ["ill" if one else "well" for one in ill]


def test_of_eyes_the_field_of_view_is_filled() -> None:
    images, labels = eyes()
    found = stress(Reader(CENTRE), (images, labels), damages=(), **QUICK)
    assert [one.name for one in found.shortcuts] == ["field", "corners_alone", "outside", "corners"]
    assert any("field of view" in note for note in found.notes)
    field = fields_of_view(images[:1])[0]
    assert field.mean() == pytest.approx((images[0, ..., 0] > 0).mean(), abs=0.02)
    pixels = torch.from_numpy(images[:1]).permute(0, 3, 1, 2) / 255
    left = without(pixels, images[:1], SHORTCUTS["field"], (0.2, 0.3, 0.4))
    assert left[0, :, 16, 16].tolist() == pytest.approx([0.2, 0.3, 0.4]) and left[0, :, 0, 0].tolist() == [0, 0, 0]


def test_of_tissue_the_stain_is_shifted_and_no_short_cut_looked_for() -> None:
    rng = np.random.default_rng(0)
    tiles = np.clip(np.array([190, 110, 180]) + rng.integers(-20, 20, (12, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    found = stress(Reader(CENTRE), (tiles, ["ill", "well"] * 6), bootstrap=0, device="cpu")
    assert [curve.name for curve in found.damage] == list(DAMAGES) and not found.shortcuts
    assert any("stained tissue" in note for note in found.notes)
    skin = np.flip(tiles, 3) // 2  # more red than blue, no dark frame
    skin = np.stack([skin[..., 2], skin[..., 1] // 2, skin[..., 0] // 3], 3)
    found = stress(Reader(CENTRE), (skin, ["ill", "well"] * 6), damages=(), bootstrap=0, device="cpu")
    assert not found.shortcuts and any("without a dark frame" in note for note in found.notes)


def test_it_is_saved_whole_and_replaces_nothing_else(corner: Stress, tmp_path: Path) -> None:
    folder = corner.save(tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == ["pictures", "report.html", "stress.json", "stress.txt"]
    record = json.loads((folder / "stress.json").read_text())
    assert record["kind"] == "stress" and record["area"]["value"] == corner.area.value  # type: ignore[union-attr]
    page = (folder / "report.html").read_text()
    assert page.count("short cut: the answer is known without the organ") == 2 and page.count("data:image/png") == 3
    corner.save(folder)
    (folder / "mine.txt").write_text("x")
    with pytest.raises(MedzooError, match="other files"):
        corner.save(folder)


def test_mistakes_name_what_is_allowed(corner: Stress) -> None:
    data = marked(CENTRE, 8)
    with pytest.raises(UnknownNameError, match="did you mean 'blur'"):
        stress(Reader(CENTRE), data, damages=["blurr"])
    with pytest.raises(UnknownNameError, match="no short cut named"):
        stress(Reader(CENTRE), data, shortcuts=["middle"])
    with pytest.raises(MedzooError, match="bootstrap is -1"):
        stress(Reader(CENTRE), data, bootstrap=-1)
    with pytest.raises(MedzooError, match="no figure named"):
        corner.plot(what="bars")


def test_a_fine_tuned_model_is_measured_on_what_was_held_out(
    tiny: Path, tmp_path: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medzoo.finetuning.finetune.RESAMPLES", 20)
    data = class_folders(tmp_path / "data", each=10)
    report = finetune(tiny, data, epochs=1, device="cpu", stress=True)
    assert report.stress is not None and report.stress.images == len(report.ids)
    assert report.stress.clean["auroc"].value == report.metrics["auroc"].value
    folder = report.save(tmp_path / "model")
    assert report.stress.findings[0][:30] in (folder / "README.md").read_text()
    assert "<h2>Damage</h2>" in (folder / "report.html").read_text()
    shown = CliRunner().invoke(
        app, ["stress", str(folder), str(data), "--damage", "blur", "--shortcut", "", "--bootstrap", "0", "--json"]
    )
    found = json.loads(shown.stdout)
    assert found["images"] == len(report.ids) and [curve["name"] for curve in found["damage"]] == ["blur"]
    assert any("fine-tuning held out" in note for note in found["notes"])
    everything = stress(folder, data, split="all", damages=(), shortcuts=(), bootstrap=0, device="cpu")
    assert everything.images == 20
    other = stress(create_model(folder), data, damages=(), shortcuts=(), bootstrap=0, device="cpu")
    assert other.images == 20


def test_a_comparison_shows_it_beside_its_numbers(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medzoo.finetuning.finetune.RESAMPLES", 20)
    data = class_folders(tmp_path / "data", each=8)
    found = compare(data, [tiny], folds=2, epochs=1, stress=True, device="cpu")
    assert list(found.facts["tiny"])[-2:] == ["kept under damage", "short cuts"]
    assert "kept under damage" in str(found) and found.facts["tiny"]["short cuts"].endswith("of 2 runs")
    page = found.save(tmp_path / "out").read_text()
    assert all(f'<th class="fact">{column}</th>' in page for column in found.facts["tiny"])
    assert f'<td class="fact">{found.facts["tiny"]["kept under damage"]}</td>' in page


def test_subgroups_and_the_site_are_measured_where_columns_are_named(tmp_path: Path) -> None:
    images, labels = marked(CENTRE, 80)
    site = np.where(np.arange(80) // 2 % 2 == 0, "north", "south")
    for image, name in zip(images, site, strict=True):  # a signature in the pixels, far from the centre
        image[24:] = 30 if name == "north" else 220
    ages = {"age": [str(20 + i % 60) for i in range(80)], "site": site.tolist()}
    model = create_model("densenet121_hwsi_ri", pretrained=False, image_size=SIDE)
    model.medzoo = Reader(CENTRE).medzoo
    chosen: dict[str, Any] = {"damages": (), "shortcuts": (), "device": "cpu"}
    found = stress(model, (images, labels), by=ages, bins={"age": (50,)}, site_column="site", bootstrap=50, **chosen)
    assert found.subgroups is not None and found.site is not None
    assert [one.name for one in found.subgroups.columns[0].subgroups] == ["below 50", "50 or more"]
    assert found.site.found and found.site.sites == ("north", "south")
    assert {"subgroups", "site"} <= set(found.to_dict())
    assert any(line.startswith("From the model's features, site told") for line in found.findings)
    page = (found.save(tmp_path / "out") / "report.html").read_text()
    assert "By age (cut at 50)" in page and "of this model" in page
    assert (tmp_path / "out" / "pictures" / "subgroups.png").is_file()
    with pytest.raises(MedzooError, match="no column"):
        stress(Reader(CENTRE), (images, labels), by=["sex"], **chosen)


@pytest.mark.real
@pytest.mark.parametrize(
    ("pattern", "kind"),
    [("eyepacs/train/*.jpeg", "eyes"), ("CRC-VAL-HE-7K/*/*", "tissue"), ("shenzhen/CXR_png/*.png", "grey")],
)
def test_the_kind_of_real_images_is_told(pattern: str, kind: str, real: Path) -> None:
    files = sorted(real.glob(pattern))[::20]
    assert image_kind(np.stack([read_image(file, 96) for file in files])) == kind
