"""``finetune``: every form of data, honest splits, numbers that can be checked, and a bundle that others load."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
import timm
import torch
from makers import class_folders, noise, pictures
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from medzoo import create_model, finetune, predict
from medzoo.core.errors import MedzooError
from medzoo.finetuning.report import Report
from medzoo.metrics import evaluate

QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 8, "device": "cpu"}


class Pictures(Dataset):
    """A torch data set as torchvision's: images, class numbers and ``classes``."""

    def __init__(self, images: list, labels: list[str], classes: list[str]) -> None:
        self.images, self.labels, self.classes = images, labels, classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.images[index]), self.classes.index(self.labels[index])


def table(root: Path, patients: list[str] | None = None, each: int = 10, name: str = "table.csv") -> Path:
    """A CSV of pictures, perhaps with a column of patients."""
    class_folders(root, each=each)
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*.png"))
    lines = ["path,label,patient" if patients else "path,label"]
    for number, path in enumerate(paths):
        lines.append(f"{path},{path.split('/')[0]}" + (f",{patients[number]}" if patients else ""))
    (root / name).write_text("\n".join(lines) + "\n")
    return root / name


@pytest.fixture(scope="module")
def learnt(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run that is long enough to learn the colours, with a head of each kind of layer."""
    data = class_folders(tmp_path_factory.mktemp("learnt") / "colours", ("red", "green", "blue"), each=15)
    return finetune(tiny, data, epochs=8, batch_size=8, lr=3e-3, device="cpu")


@pytest.fixture(scope="module")
def saved(learnt: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That run with all its pictures; nobody may write to it."""
    return learnt.save(tmp_path_factory.mktemp("saved") / "mine")


def test_it_learns_and_says_what_it_measured(learnt: Report) -> None:
    assert learnt.metrics["accuracy"].value == 1.0
    assert learnt.model.medzoo.classes == ("blue", "green", "red")
    assert learnt.model.medzoo.task == "multiclass"
    assert learnt.data["train"] == {"images": 36, "counts": {"blue": 12, "green": 12, "red": 12}}
    assert learnt.data["valid"] == {"images": 9, "counts": {"blue": 3, "green": 3, "red": 3}}
    assert [record["epoch"] for record in learnt.history] == list(range(1, 9))
    assert learnt.history[-1]["valid"]["accuracy"] == 1.0
    assert not learnt.model.training


def test_the_numbers_are_those_of_the_held_out_images(learnt: Report) -> None:
    again = evaluate(learnt.targets, learnt.probabilities, "multiclass", learnt.model.medzoo.classes, bootstrap=0)
    for name, estimate in learnt.metrics.values.items():
        assert again[name].value == pytest.approx(estimate.value), name
    assert len(learnt.ids) == len(set(learnt.ids)) == 9
    named = [learnt.model.medzoo.classes[i] for i in learnt.targets.argmax(1)]
    assert [name.split("/")[0] for name in learnt.ids] == named


def test_the_report_reads_well(learnt: Report) -> None:
    text = str(learnt)
    assert "tiny on colours: trained on 36 images, measured on 9 held out (by image: no patients are known)" in text
    assert "accuracy" in text
    assert "note: No patients are known: images of one patient may stand on both sides of the split." in text
    record = json.loads(json.dumps(learnt.to_dict(), allow_nan=False))
    assert record["settings"]["epochs"] == 8
    assert record["settings"]["image_size"] == 32
    assert record["metrics"]["values"]["accuracy"]["value"] == 1.0


def test_predictions_of_new_pictures(learnt: Report) -> None:
    images, labels = pictures(("blue", "green", "red"), 4, seed=99)
    assert predict(learnt.model, images).labels == labels


def test_the_curves_are_a_picture(learnt: Report, tmp_path: Path) -> None:
    with Image.open(learnt.plot(tmp_path / "deep" / "curves.png")) as image:
        assert image.format == "PNG"
        assert image.width > 600


def test_a_saved_model_is_the_same_model(learnt: Report, saved: Path) -> None:
    files = {path.name for path in saved.iterdir()}
    assert files == {
        *("model.safetensors", "head.safetensors"),
        *("config.json", "run.json", "README.md", "curves.png", "report.html", "pictures"),
    }
    model, images = create_model(saved), noise(4)
    with torch.no_grad():
        assert torch.equal(model(images), learnt.model(images))
    info = model.medzoo
    assert (info.classes, info.task, info.head, info.weights) == (("blue", "green", "red"), "multiclass", "mlp", "mine")
    assert info.input == learnt.model.medzoo.input
    new = pictures(("red",), 2, seed=5)[0]
    assert predict(saved, new).labels == ["red", "red"]
    assert (saved / "README.md").read_text().startswith("---\n")
    assert json.loads((saved / "run.json").read_text())["held_out"] == list(learnt.ids)


def test_timm_finds_the_features_of_a_model_with_an_mlp_head(learnt: Report, saved: Path) -> None:
    backbone = timm.create_model(f"local-dir:{saved}", pretrained=True, num_classes=0).eval()
    images = noise(2)
    with torch.no_grad():
        want = learnt.model.forward_head(learnt.model.forward_features(images), pre_logits=True)
        assert torch.equal(backbone(images), want)


@pytest.mark.usefixtures("undrawn")
def test_timm_loads_a_model_with_a_linear_head_whole(tiny: Path, tmp_path: Path) -> None:
    report = finetune(tiny, class_folders(tmp_path / "data"), head="linear", **QUICK)
    folder = report.save(tmp_path / "mine", images=False)
    images = noise(2)
    with torch.no_grad():
        want = report.model(images)
        assert torch.equal(timm.create_model(f"local-dir:{folder}", pretrained=True).eval()(images), want)
        assert torch.equal(create_model(folder)(images), want)
    assert create_model(folder).medzoo.classes == ("green", "red")
    assert not (folder / "head.safetensors").exists()


def test_a_saved_model_goes_on_with_its_own_head(saved: Path, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "new", ("red", "green", "blue"), each=5, seed=9)
    report = finetune(saved, data, lr=1e-9, **QUICK)
    assert report.metrics["accuracy"].value == 1.0


@pytest.mark.usefixtures("undrawn")
def test_saving_replaces_a_model_but_nothing_else(learnt: Report, tmp_path: Path) -> None:
    folder = learnt.save(tmp_path / "mine", images=False)
    assert learnt.save(folder, images=False) == folder
    photos = class_folders(tmp_path / "photos", each=1)
    with pytest.raises(MedzooError, match=r"photos .*not a saved model.*give another folder"):
        learnt.save(photos)
    assert len(list(photos.glob("*/*.png"))) == 2
    (tmp_path / "file").write_text("kept")
    with pytest.raises(MedzooError, match=r"file .*give another folder"):
        learnt.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "photos", "file"}


@pytest.mark.usefixtures("undrawn")
def test_an_empty_folder_may_be_saved_into(learnt: Report, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert create_model(learnt.save(tmp_path / "empty", images=False)).medzoo.head == "mlp"


def test_a_head_of_ones_own_is_trained_and_not_saved(tiny: Path, tmp_path: Path) -> None:
    head = nn.Linear(96, 2)
    model = create_model(tiny, head=head)
    report = finetune(model, class_folders(tmp_path / "data"), **QUICK)
    assert report.model.fc is head
    with pytest.raises(MedzooError, match="a head of your own cannot be rebuilt from a bundle"):
        report.save(tmp_path / "mine")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_every_form_of_data_gives_the_same_examples(tiny: Path, tmp_path: Path) -> None:
    """Folder, table, data set and arrays differ in names and so in the split; a mask makes them alike."""
    images, labels = pictures(("green", "red"), 10)
    mask = np.arange(20) % 5 == 0
    forms = {
        "folder": class_folders(tmp_path / "folder"),
        "table": table(tmp_path / "table"),
        "data set": Pictures(images, labels, ["green", "red"]),
        "arrays": (np.stack(images), np.array(labels)),
        "lists": ([Image.fromarray(image) for image in images], labels),
        "tensors": (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.tensor([0] * 10 + [1] * 10)),
    }
    found = {form: finetune(tiny, data, validation=mask, **QUICK) for form, data in forms.items()}
    for form, report in found.items():
        assert report.probabilities == pytest.approx(found["folder"].probabilities, abs=1e-6), form
        assert report.data["valid"]["images"] == 4
        assert report.model.medzoo.task == "binary"
        names = ("0", "1") if form == "tensors" else ("green", "red")
        assert report.model.medzoo.classes == names


def test_repeatable_under_a_seed(tiny: Path, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data")
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(runs))
        runs.append(finetune(tiny, data, seed=seed, **QUICK))
    assert runs[0].ids == runs[1].ids
    assert np.array_equal(runs[0].probabilities, runs[1].probabilities)
    assert runs[0].history[0]["loss"] == runs[1].history[0]["loss"]
    assert runs[0].ids != runs[2].ids
    assert runs[0].metrics.to_dict() == runs[1].metrics.to_dict()


def test_the_callers_random_state_is_left_alone(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    finetune(create_model(tiny), class_folders(tmp_path / "data"), **QUICK)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_validation_set_of_its_own(tiny: Path, tmp_path: Path) -> None:
    report = finetune(
        tiny,
        class_folders(tmp_path / "train"),
        validation=class_folders(tmp_path / "valid", each=3, seed=1),
        **QUICK,
    )
    assert report.data["train"]["images"] == 20
    assert report.data["valid"]["images"] == 6
    assert report.data["valid"]["counts"] == {"green": 3, "red": 3}


def test_a_validation_set_of_other_classes(tiny: Path, tmp_path: Path) -> None:
    train, valid = class_folders(tmp_path / "train"), class_folders(tmp_path / "valid", ("red", "blue"))
    with pytest.raises(MedzooError, match="'blue'"):
        finetune(tiny, train, validation=valid, **QUICK)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (np.zeros(3, bool), r"the validation mask has shape \(3,\), the data set 20 images"),
        (np.zeros(20, bool), "0 of 20 images are held out; both sides need images"),
        (np.ones(20, bool), "20 of 20 images are held out"),
        (0.0, r"a held-out share of 0.0 is not in \(0, 0.5\]"),
        (0.9, r"a held-out share of 0.9 is not in \(0, 0.5\]"),
        (3, "a data set of type int cannot be read"),
        ("/nowhere", "no folder /nowhere"),
    ],
)
def test_impossible_validation(tiny: Path, tmp_path: Path, validation: Any, message: str) -> None:
    with pytest.raises(MedzooError, match=message):
        finetune(tiny, class_folders(tmp_path / "data"), validation=validation, **QUICK)


def test_patients_keep_together_and_intervals_resample_them(tiny: Path, tmp_path: Path) -> None:
    patients = [f"p{number // 4}" for number in range(20)]  # the third patient has images of both classes
    report = finetune(tiny, table(tmp_path / "data", patients), validation=0.4, **QUICK)
    assert report.data["split"] == "by patient"
    of = dict(zip(sorted(p.relative_to(tmp_path / "data").as_posix() for p in tmp_path.rglob("*.png")), patients))  # noqa: B905
    held_out = {of[name] for name in report.ids}
    assert len(report.ids) == 4 * len(held_out)
    assert report.metrics.groups == len(held_out)
    assert not any("No patients" in note for note in report.data["notes"])


def test_without_a_column_of_patients_the_report_warns(tiny: Path, tmp_path: Path) -> None:
    report = finetune(tiny, table(tmp_path / "data"), **QUICK)
    assert report.data["split"].startswith("by image")
    assert any("No patients are known" in note for note in report.data["notes"])
    assert report.metrics.groups is None
    assert "resamples of images" in str(report)


def test_grades_are_ordinal_where_said_so(tiny: Path, tmp_path: Path) -> None:
    data = class_folders(tmp_path / "data", ("red", "green", "blue"))
    for grade, name in enumerate(("red", "green", "blue")):
        (data / name).rename(data / str(grade))
    report = finetune(tiny, data, task="ordinal", **QUICK)
    assert report.model.medzoo.task == "ordinal"
    assert report.primary == "kappa_quadratic"
    assert report.model.medzoo.classes == ("0", "1", "2")


def test_several_labels_at_once(tiny: Path) -> None:
    images, labels = pictures(("red", "green"), 10)
    marks = np.array([[1, 0, np.nan] if label == "red" else [0, 1, 1] for label in labels])
    report = finetune(tiny, (images, marks), **QUICK)
    assert report.model.medzoo.task == "multilabel"
    assert report.metrics.confusion is None
    assert report.probabilities.sum(1) != pytest.approx(np.ones(4))
    with pytest.raises(MedzooError, match="class weights are for classes that exclude one another"):
        finetune(tiny, (images, marks), class_weights="balanced", **QUICK)


def test_unbalanced_classes_are_weighed(tiny: Path) -> None:
    images, labels = pictures(("red",), 16)
    more, names = pictures(("green",), 4)
    data = (images + more, labels + names)
    weights = {choice: finetune(tiny, data, class_weights=choice, **QUICK).settings["class_weights"]
               for choice in ("auto", "balanced", "none")}  # fmt: skip
    assert weights["auto"] == weights["balanced"] == pytest.approx([16 / (2 * 3), 16 / (2 * 13)], abs=1e-3)
    assert weights["none"] is None
    assert finetune(tiny, pictures(("red", "green"), 10), **QUICK).settings["class_weights"] is None


def test_another_image_size(tiny: Path, tmp_path: Path) -> None:
    report = finetune(tiny, class_folders(tmp_path / "data", each=4), image_size=40, validation=0.25, **QUICK)
    assert report.settings["image_size"] == 40
    assert report.model.medzoo.input.size == 40


@pytest.mark.usefixtures("undrawn")
def test_densenet_and_the_papers_head(zoo: Path, tmp_path: Path) -> None:
    report = finetune("densenet121_efi_ri", class_folders(tmp_path / "data", each=4), validation=0.25, zoo=zoo, **QUICK)
    info = report.model.medzoo
    assert (info.head, info.loaded, info.weights) == ("mlp", 725, "densenet121_efi_ri")
    folder = report.save(tmp_path / "mine", images=False)
    images = noise(2)
    with torch.no_grad():
        assert torch.equal(create_model(folder)(images), report.model(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": "ligth"}, "no augmentation named 'ligth'; did you mean 'light'"),
        ({"class_weights": "yes"}, "no choice of class weights named 'yes'; known: auto, balanced, none"),
        ({"head": "mpl"}, "no head named 'mpl'"),
        ({"task": "ordnal"}, "'ordnal'"),
        ({"task": "ordinal"}, "ordinal"),
        ({"epochs": 0}, "epochs is 0; give a whole number, 1 or more"),
        ({"batch_size": 1}, "batch_size is 1; give a whole number, 2 or more"),
        ({"lr": -1.0}, "lr is -1.0; give a number above 0"),
        ({"lr": "fast"}, "lr is 'fast'; give a number above 0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; give a number of 0 or more"),
        ({"epochs": 1.5}, "epochs is 1.5; give a whole number, 1 or more"),
        ({"seed": -1}, "seed is -1; give a whole number from 0 to 4,294,967,295"),
        ({"image_size": 16}, "an image size of 16 is too small"),
        ({"device": "gpu"}, "device 'gpu' is"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "arrays"])
def test_impossible_options_fail_before_training(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, message: str, form: str
) -> None:
    monkeypatch.setattr("medzoo.finetuning.run.fit", lambda *_, **__: pytest.fail("training began"))
    data = class_folders(tmp_path / "data") if form == "folder" else pictures(("red", "green"), 10)
    with pytest.raises(MedzooError, match=message) as caught:
        finetune(tiny, data, **{**QUICK, **options})
    assert str(caught.value).count("\n") <= 1


def _empty_class(data: Path) -> None:
    for path in (data / "red").iterdir():
        path.unlink()


def _truncated(data: Path) -> None:
    file = data / "red" / "012.png"
    file.write_bytes(file.read_bytes()[:100])


def _empty_file(data: Path) -> None:
    (data / "green" / "003.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (rmtree, "no folder .*data"),
        (lambda data: [rmtree(data / name) for name in ("red", "green")], "data has no class folders; expected"),
        (lambda data: rmtree(data / "red"), "'green'.*expected two classes or more"),
        (_empty_class, "class folder .*red holds no image that can be read; put images there or remove it"),
        (_truncated, r"1 of 20 images of data cannot be read: .*012\.png: broken or truncated"),
        (_empty_file, r"003\.png: the file is empty"),
    ],
)
def test_bad_folders(tiny: Path, tmp_path: Path, spoil: Any, message: str) -> None:
    data = class_folders(tmp_path / "data")
    spoil(data)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MedzooError, match=message) as caught:
        finetune(tiny, data, **QUICK)
    assert str(caught.value).count("\n") <= 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (([], []), "is empty"),
        ((pictures(("red",), 3)[0], ["red"]), "3 images came with 1 labels; give one label an image"),
        (pictures(("red",), 4), "all 4 images are 'red'; expected two classes or more"),
        ((pictures(("red",), 4)[0], [0.5, 1.5, 2.5, 3.5]), "of no known form"),
        ((pictures(("red",), 2)[0], [[0, 2], [1, 0]]), "item 0: 1 is '2'; expected 1, 0 or empty"),
        ((pictures(("red",), 2)[0], [[0, 1], [1]]), "the labels have different lengths"),
        ([np.zeros((40, 40), np.uint8)], r"item 0 of the data set is a ndarray; expected \(image, target\)"),
        ([(np.full((40, 40), 7.0), 0), (np.zeros((40, 40)), 1)], "image 0: float values from 7 to 7"),
        (3, "a data set of type int cannot be read; give a folder"),
        (None, "a data set of type NoneType cannot be read"),
        ((pictures(("red",), 1)[0], ["red"]), "all 1 images are 'red'; expected two classes or more"),
    ],
)
def test_bad_data(tiny: Path, data: Any, message: str) -> None:
    with pytest.raises(MedzooError, match=message):
        finetune(tiny, data, **QUICK)


def test_two_images_are_too_few_to_train_on(tiny: Path) -> None:
    with pytest.raises(MedzooError, match="all 1 images to train on are of one class"):
        finetune(tiny, pictures(("red", "green"), 1), validation=0.5, **QUICK)


@pytest.mark.parametrize("each", [2, 3, 5])
def test_a_handful_of_images_is_enough(tiny: Path, each: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = finetune(tiny, pictures(("red", "green"), each), epochs=1, batch_size=2, device="cpu")
    assert report.data["train"]["images"] + report.data["valid"]["images"] == 2 * each


def test_a_table_without_its_columns(tiny: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "data")
    file.write_text(file.read_text().replace("path,label", "path,labels"))
    with pytest.raises(MedzooError, match=r"table\.csv: no column named 'label'; did you mean 'labels'"):
        finetune(tiny, file, **QUICK)
    file.write_text("path,label\nnot_there.png,red\n")
    with pytest.raises(MedzooError, match=r"1 of 1 images are not below .*not_there.png"):
        finetune(tiny, file, **QUICK)


def test_official_splits_in_a_folder_are_not_thrown_together_silently(tiny: Path, tmp_path: Path) -> None:
    for seed, part in enumerate(("train", "test")):
        class_folders(tmp_path / "data" / part, each=5, seed=seed)
    report = finetune(tiny, tmp_path / "data", **QUICK)
    kept = {name.split("/")[0] for name in report.ids} == {"test"}
    assert kept or any("test" in note for note in report.data["notes"])
