"""The ranking of weights without fine-tuning, from images to the verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import save_bundle
from PIL import Image
from typer.testing import CliRunner

import medzoo
from medzoo.__main__ import app
from medzoo.core.errors import DataError, MedzooError, UnknownNameError, ZooError
from medzoo.data.dataset import Examples, ImageDataset
from medzoo.finetuning.finetune import finetune
from medzoo.metrics import Difference, Estimate
from medzoo.models.create import create_model
from medzoo.models.info import Model
from medzoo.models.saving import save_model
from medzoo.recommendation.recommend import recommend
from medzoo.recommendation.result import Candidate, Recommendation


def tinted(n: int, classes: int = 2, task: str = "binary") -> Examples:
    """Pictures whose mean colour tells the class, but not always; two of each patient."""
    rng = np.random.default_rng(0)
    label = np.arange(n) // 2 % classes
    colour = np.full((n, 3), 128.0) + rng.normal(0, 40, (n, 3))
    colour[np.arange(n), label] += 50
    images = np.clip(colour[:, None, None] + rng.normal(0, 20, (n, 32, 32, 3)), 0, 255).astype(np.uint8)
    targets = np.eye(classes, dtype=np.float32)[label]
    names = tuple(f"class {c}" for c in range(classes))
    patients = np.array([f"p{i // 2}" for i in range(n)])
    return ImageDataset("tinted", images, tuple(map(str, range(n))), targets, names, task, patients)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network of random values, the same again, and one that has gone blind."""
    folder = tmp_path_factory.mktemp("bundles")
    made = {name: save_bundle(folder / name, "test_resnet", ("a", "b", "c"), "multiclass") for name in ("seer", "twin")}
    blind: Model = create_model(made["seer"])
    with torch.no_grad():
        for parameter in blind.parameters():
            parameter.zero_()
    made["blind"] = save_bundle(folder / "blind", "test_resnet", ("a", "b", "c"), "multilabel")
    save_model(blind, made["blind"])
    return made


def test_the_weight_that_sees_wins(bundles: dict[str, Path], tmp_path: Path) -> None:
    found = recommend(tinted(80), [bundles["blind"], bundles["seer"]])
    assert found.ranking == (str(bundles["seer"]), str(bundles["blind"]))
    seer, blind = found.candidates
    assert found.metric == "auroc" and seer.probe.value is not None and seer.probe.value > 0.7
    assert seer.probe.low is not None and seer.probe.low > 0.5
    assert seer.versus_best is None and blind.versus_best is not None
    assert blind.versus_best.estimate.value == pytest.approx(seer.probe.value - (blind.probe.value or 0))
    assert found.tied == found.ranking[:1] and "does best" in found.verdict
    for score in ("LogME", "H-score"):
        assert (seer.scores[score] or 0) > (blind.scores[score] or 0)
    assert seer.scores["LEEP"] is not None and seer.scores["NCE"] is not None
    assert blind.scores["LEEP"] is None and "do not exclude one another" in blind.why["LEEP"]
    assert found.data["images"] == 80 and found.data["patients"] == 40 and seer.seconds > 0
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["ranking"] == list(found.ranking)
    text = str(found)
    assert "No LEEP and NCE of " in text and found.verdict in text and text.index("seer") < text.index("blind")
    with Image.open(found.plot(tmp_path / "ranking.png")) as picture:
        assert picture.format == "PNG"
    assert found.candidates[0].probe == recommend(tinted(80), [bundles["seer"]]).candidates[0].probe


def test_the_same_weight_twice_is_too_close_to_call(bundles: dict[str, Path]) -> None:
    found = recommend(tinted(40), [bundles["seer"], bundles["twin"]])
    assert found.verdict.startswith("Too close to call:") and len(found.tied) == 2
    gap = found.candidates[1].versus_best
    assert gap is not None and gap.estimate.value == 0


@pytest.mark.parametrize(("task", "classes"), [("multiclass", 3), ("ordinal", 3), ("multilabel", 2)])
def test_every_task_is_ranked_by_its_own_metric(bundles: dict[str, Path], task: str, classes: int) -> None:
    examples = tinted(60, classes, task)
    targets = examples.targets.copy()
    targets[:4] = np.nan
    if task == "multilabel":
        targets[4:8, 0] = np.nan
    found = recommend(replace(examples, targets=targets), [bundles["seer"]], folds=3)
    assert found.metric == {"multiclass": "balanced_accuracy", "ordinal": "kappa_quadratic"}.get(task, "auroc")
    assert found.data["images"] == 56 and found.candidates[0].probe.value is not None
    assert found.verdict.startswith("Nothing to compare")


def test_the_zoos_weights_are_tried_and_the_others_named(zoo: Path) -> None:
    pictures = tinted(24)
    found = medzoo.recommend(pictures, zoo=zoo, image_size=32, folds=2)
    assert set(found.ranking) == {"densenet121_in", "densenet121_efi_ri"}
    assert len(found.unavailable) == 7 and "not in the zoo" in found.unavailable["densenet121_all_in"]
    by_name = {candidate.weights: candidate for candidate in found.candidates}
    assert by_name["densenet121_in"].versus_imagenet is None and by_name["densenet121_in"].scores["LEEP"] is not None
    assert by_name["densenet121_efi_ri"].versus_imagenet is not None
    assert "ImageNet weights" in found.verdict and "densenet121_all_in" in str(found)


def test_names_that_cannot_be_had_are_errors(zoo: Path, bundles: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="densenet121_efi_rx"):
        recommend(tinted(8), ["densenet121_efi_rx"], zoo=zoo)
    with pytest.raises(ZooError, match="has no densenet121_all_in"):
        recommend(tinted(8), ["densenet121_all_in"], zoo=zoo)
    with pytest.raises(MedzooError, match="no weights were given"):
        recommend(tinted(8), [], zoo=zoo)
    with pytest.raises(MedzooError, match="1 folds cannot be cross-validated"):
        recommend(tinted(8), [bundles["seer"]], folds=1)
    with pytest.raises(DataError, match="4 patients or images cannot be split into 5 folds"):
        recommend(tinted(8), [bundles["seer"]])
    blank = replace(tinted(8), targets=np.full((8, 2), np.nan, np.float32))
    with pytest.raises(DataError, match="no image of tinted is labelled"):
        recommend(blank, [bundles["seer"]])


def ranked(*gaps: tuple[float, float, float]) -> Recommendation:
    """A first weight, and others this far behind it."""
    first = Candidate("first", Estimate(0.9, 0.85, 0.95), {}, {}, 1.0)
    others = [
        Candidate(f"other {i}", Estimate(0.9 - gap[0], 0.7, 0.9), {}, {}, 1.0, Difference("auroc", Estimate(*gap), 0.5))
        for i, gap in enumerate(gaps)
    ]
    return Recommendation({"images": 400, "name": "x"}, "auroc", (first, *others), {}, {}, 1.0)


def test_verdicts_in_words() -> None:
    assert ranked((0.05, 0.01, 0.09)).verdict == (
        "first does best (auroc 0.900 (0.850 to 0.950)), ahead of other 0 by 0.050 (0.010 to 0.090)."
    )
    close = ranked((0.01, -0.02, 0.04), (0.02, -0.01, 0.05), (0.2, 0.1, 0.3))
    assert close.tied == ("first", "other 0", "other 1")
    assert close.verdict.startswith(
        "Too close to call: first, other 0 and other 1 do not differ significantly on 400 images"
    )
    better = replace(close.candidates[0], versus_imagenet=Difference("auroc", Estimate(0.1, 0.05, 0.15), 0.01))
    with_imagenet = replace(close, candidates=(better, *close.candidates[1:]))
    assert with_imagenet.verdict.endswith("Better than the ImageNet weights: first.")
    worse = replace(better, versus_imagenet=Difference("auroc", Estimate(-0.1, -0.15, -0.05), 0.01))
    assert replace(close, candidates=(worse,)).verdict.endswith(
        "first is the only available weight (auroc 0.900 (0.850 to 0.950))."
    )
    assert replace(close, candidates=(worse, *close.candidates[1:])).verdict.endswith(
        "None is clearly better than the ImageNet weights."
    )
    undefined = replace(better, probe=Estimate(None, None, None, "only one class present: a"))
    assert (
        replace(close, candidates=(undefined,)).verdict == "No verdict: auroc is undefined (only one class present: a)."
    )


def test_the_command(bundles: dict[str, Path], tmp_path: Path) -> None:
    examples, data = tinted(24), tmp_path / "data"
    for number, (image, label) in enumerate(zip(examples.images, examples.targets.argmax(1), strict=True)):
        path = data / f"class{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    command: list[Any] = ["recommend", data, bundles["seer"], bundles["blind"], "--folds", 3]
    result = CliRunner().invoke(app, [*map(str, command), "--json", "--out", str(tmp_path / "ranks")])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["ranking"][0] == str(bundles["seer"]) and found["data"]["images"] == 24
    assert found["settings"]["folds"] == 3 and "No patients are known" in found["notes"][0]
    assert (tmp_path / "ranks" / "ranking.png").stat().st_size > 1000
    assert json.loads((tmp_path / "ranks" / "recommendation.json").read_text())["verdict"] == found["verdict"]
    result = CliRunner().invoke(app, list(map(str, command)))
    assert result.exit_code == 0 and found["verdict"] in result.stdout


@pytest.mark.real
@pytest.mark.slow
def test_it_takes_under_a_tenth_of_fine_tunings_time(zoo: Path, real: Path) -> None:
    files = sorted((real / "shenzhen" / "CXR_png").glob("*.png"))
    images = [Image.open(path).convert("L").resize((64, 64)) for path in files]
    labels = [int(path.stem[-1]) for path in files]
    found = recommend((images, labels), ["densenet121_efi_ri"], zoo=zoo, image_size=64)
    assert (found.candidates[0].probe.value or 0) > 0.6  # random features of a tuberculosis data set
    one = finetune("densenet121_efi_ri", (images, labels), zoo=zoo, image_size=64, epochs=1)
    assert found.seconds < one.seconds * 20 / 10
