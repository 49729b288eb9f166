"""From the files a weight is pretrained on, through its bundle, to what an audit says and fine-tuning leaves out."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.__main__ import main
from medzoo.contamination.audit import audit_images, leave_out, seen_by
from medzoo.contamination.image_hashes import FRAME, hashes_of
from medzoo.contamination.patient_ids import patient_keys
from medzoo.contamination.seen_images import SEEN, seen_of
from medzoo.core.errors import DataError, ZooError
from medzoo.data.geometry import Geometry
from medzoo.data.opening import open_dataset, open_images
from medzoo.finetuning.finetune import finetune
from medzoo.zoo.bundle import open_bundle
from training.cache.hashes import cache_hashes
from training.cache.load import prepared
from training.pretraining.options import PretrainOptions
from training.pretraining.pretrain import pretrain
from training.pretraining.seen_images import published_names
from training.publishing.publish import publish
from training.study.seen import seen_by_any

PATIENTS = 20


def picture(seed: int, width: int = 96, height: int = 96) -> Image.Image:
    """Large soft blobs: unlike any other picture, and alike at every size."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 9), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def save(image: Image.Image, file: Path, **options: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, **options)


def opened(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.copy()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ChestX-ray14 and EyePACS in their layouts: two pictures of each of twenty patients, one kind of label each."""
    data = tmp_path_factory.mktemp("data")
    xrays, eyes = ["Image Index,Finding Labels,Follow-up #,Patient ID"], ["image,level"]
    for patient in range(1, PATIENTS + 1):
        for number in range(2):
            name = f"{patient:08}_{number:03}.png"
            save(picture(patient * 10 + number), data / "chestxray14" / "images" / name)
            xrays.append(f"{name},{('Mass', 'Edema')[number]},{number},{patient}")
            eye = f"{patient}_{('left', 'right')[number]}"
            wide = picture(1000 + patient * 10 + number, 160, 96).convert("RGB")
            save(wide, data / "eyepacs" / "train" / f"{eye}.jpeg", quality=95)
            eyes.append(f"{eye},{patient % 5}")
    (data / "chestxray14" / "Data_Entry_2017_v2020.csv").write_text("\n".join(xrays))
    (data / "eyepacs" / "trainLabels.csv").write_text("\n".join(eyes))
    return data


@pytest.fixture(scope="module")
def work(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny network on the X-rays; some patients are held out."""
    work = tmp_path_factory.mktemp("work")
    options = PretrainOptions(image_size=32, epochs=1, batch_size=8, allow_partial=True)
    pretrain("test_resnet_cxr_ri", data, work, options)
    return work


@pytest.fixture(scope="module")
def bundle(work: Path) -> Path:
    return work / "runs" / "test_resnet_cxr_ri" / "bundle"


@pytest.fixture(scope="module")
def split(bundle: Path) -> dict[str, str]:
    """Published name of each X-ray to its side."""
    with (bundle / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["data_set"] for row in rows} == {"chestxray14"}
    return {row["image"]: row["split"] for row in rows}


@pytest.fixture
def mine(data: Path, split: dict[str, str], tmp_path: Path) -> Path:
    """A user's folder: two classes of ten pictures, three of them copies of X-rays by somebody else's hand."""
    train = [name for name, side in split.items() if side == "train"]
    for label in ("a", "b"):
        for i in range(10):
            save(picture(9000 + 100 * ord(label) + i), tmp_path / "mine" / label / f"{i}.png")
    originals = [opened(data / "chestxray14" / "images" / name) for name in train[:3]]
    save(originals[0].resize((61, 70)), tmp_path / "mine" / "a" / "copy0.jpg", quality=80)
    save(originals[1].point(lambda value: value * 0.7 + 20), tmp_path / "mine" / "a" / "copy1.png")
    shutil.copy(data / "chestxray14" / "images" / train[2], tmp_path / "mine" / "b" / "copy2.png")
    held_out = next(name for name, side in split.items() if side == "valid")
    shutil.copy(data / "chestxray14" / "images" / held_out, tmp_path / "mine" / "b" / "held.png")
    return tmp_path / "mine"


COPIES = {"a/copy0.jpg": "near copy", "a/copy1.png": "near copy", "b/copy2.png": "exact copy"}


def found(audit: medzoo.Audit) -> dict[str, str]:
    table = audit.table()
    return dict(zip(table["image"], table["found"], strict=True))


def test_a_bundle_tells_training_images_and_patients_and_both_sides(bundle: Path, split: dict[str, str]) -> None:
    train = [name for name, side in split.items() if side == "train"]
    seen = seen_by(bundle)
    assert len(split) == 2 * PATIENTS and len(seen) == len(train) < len(split)
    assert seen.datasets == ("chestxray14",)
    np.testing.assert_array_equal(seen.patients, patient_keys([f"chestxray14:{name[:8]}" for name in train]))
    held_out = {name[:8] for name, side in split.items() if side == "valid"}
    assert held_out and held_out.isdisjoint(name[:8] for name in train)


def test_published_names_are_the_same_in_every_layout() -> None:
    assert published_names(["images_001/images/1_0.png", "images_012/images/2_0.png"]) == ["1_0.png", "2_0.png"]
    assert published_names(["images/1_0.png", "images/2_0.png"]) == ["1_0.png", "2_0.png"]


@pytest.mark.parametrize(("name", "size"), [("chestxray14", 224), ("chestxray14", 32), ("eyepacs", 64)])
def test_hashes_of_a_cache_are_those_of_its_whole_files(name: str, size: int, data: Path, tmp_path: Path) -> None:
    cache, _ = prepared(name, data, tmp_path, size=size, allow_partial=True)
    files = open_images(data / name)
    assert cache.ids == files.ids
    np.testing.assert_array_equal(cache_hashes(cache), hashes_of(files))


def test_copies_in_a_folder_are_found_and_held_out_images_are_not(mine: Path, bundle: Path) -> None:
    audit = medzoo.audit(mine, bundle)
    assert found(audit) == COPIES
    assert audit.counts == {"images": 24, "exact copy": 1, "near copy": 2, "same patient": 0, "not seen": 21}
    assert set(audit.table()["dataset"]) == {"chestxray14"}


class Dataset:
    """What torch calls a data set."""

    classes = ("a", "b")

    def __init__(self, root: Path, records: Any) -> None:
        self.root, self.records = root, records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return opened(self.records.images[index]), int(self.records.labels[index])


def forms(root: Path) -> dict[str, Any]:
    """One data set in every form; in the order of the paths."""
    records = open_dataset(root)
    rows = [f"{path},{path[0]}" for path in records.ids]
    (root / "table.csv").write_text("\n".join(["path,label", *rows]))
    files = list(records.images)
    return {
        "table": root / "table.csv",
        "records": records,
        "examples": open_dataset(records).decode(FRAME),
        "pair": (files, records.labels),
        "dataset": Dataset(root, records),
    }


def test_every_form_of_data_is_audited_alike_and_loses_the_same(mine: Path, bundle: Path) -> None:
    expected, seen = medzoo.audit(mine, bundle), seen_by(bundle)
    kept = [name for name in expected.names if name not in COPIES]
    for form, data in forms(mine).items():
        audit = medzoo.audit(data, bundle)
        assert audit.found.tolist() == expected.found.tolist(), form
        examples, again = leave_out(open_dataset(data), Geometry(8, 8), seen)
        assert again.found.tolist() == expected.found.tolist(), form
        assert examples.classes == ("a", "b") or form == "pair", form
        assert examples.targets.argmax(1).tolist() == [int(name[0] == "b") for name in kept], form


def test_a_list_of_images_needs_no_labels(mine: Path, bundle: Path) -> None:
    assert found(medzoo.audit([mine / name for name in ("a/0.png", *COPIES)], bundle)) == {
        str(i): kind for i, kind in enumerate(COPIES.values(), 1)
    }


def test_patients_by_the_name_of_their_data_set(mine: Path, bundle: Path, split: dict[str, str]) -> None:
    train, held_out = (next(int(n[:8]) for n, side in split.items() if side == s) for s in ("train", "valid"))
    patients = {"a/0.png": f"chestxray14:{train}", "a/1.png": f"chestxray14:{held_out}", "a/2.png": str(train)}
    names = ("a/0.png", "a/1.png", "a/2.png", "b/0.png")
    rows = [f"{name},{name[0]},{patients.get(name, '')}" for name in names]
    (mine / "who.csv").write_text("\n".join(["path,label,patient", *rows]))
    audit = medzoo.audit(mine / "who.csv", bundle)
    assert found(audit) == {"a/0.png": "same patient"}
    assert audit.patients_known and "note" not in str(audit)


def test_finetune_leaves_out_what_was_seen_on_both_sides(mine: Path, bundle: Path) -> None:
    mask = np.arange(24) % 3 == 0
    names = open_dataset(mine).ids
    options: dict[str, Any] = {"epochs": 1, "batch_size": 8, "head": "linear", "image_size": 32, "device": "cpu"}
    report = finetune(bundle, mine, validation=mask, exclude_seen=True, **options)
    assert report.ids == tuple(
        name for name, held_out in zip(names, mask, strict=True) if held_out and name not in COPIES
    )
    assert report.data["left_out"] == {"exact copy": 1, "near copy": 2, "same patient": 0}
    assert report.data["train"]["images"] + report.data["valid"]["images"] == 21
    assert "Left out, as seen in pretraining: 1 exact copy, 2 near copy." in str(report)
    other = finetune(bundle, mine, validation=mine, exclude_seen=True, **options)
    assert other.data["left_out"] == {"exact copy": 2, "near copy": 4, "same patient": 0}
    assert other.data["valid"]["images"] == other.data["train"]["images"] == 21
    plain = finetune(bundle, mine, validation=mask, **options)
    assert plain.data["left_out"] is None and len(plain.ids) == 8 and "Left out" not in str(plain)


def test_each_image_is_read_once(mine: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened_files: Counter[Path] = Counter()
    open_file = Path.open

    def counted(self: Path, *args: Any, **options: Any) -> Any:
        opened_files[self] += 1
        return open_file(self, *args, **options)

    monkeypatch.setattr(Path, "open", counted)
    report = finetune(bundle, mine, exclude_seen=True, epochs=1, batch_size=8, head="linear", device="cpu")
    assert report.data["left_out"] == {"exact copy": 1, "near copy": 2, "same patient": 0}
    images = {path: count for path, count in opened_files.items() if mine in path.parents}
    assert len(images) == 24 and set(images.values()) == {2}  # its header for the overview, and then all of it
    plain = open_dataset(mine).decode(report.model.medzoo.input.geometry)
    rows = [plain.ids.index(name) for name in report.examples.ids]
    np.testing.assert_array_equal(report.examples.images, plain.images[rows])


def test_the_study_looks_for_what_any_arm_has_seen(data: Path, work: Path, tmp_path: Path, bundle: Path) -> None:
    cache, _ = prepared("chestxray14", data, tmp_path, size=32, allow_partial=True)
    pretrain(
        "test_resnet_cxr_ri",
        data,
        tmp_path / "two",
        PretrainOptions(image_size=32, epochs=1, allow_partial=True, seed=1),
    )
    arms = [open_bundle(folder) for folder in (bundle, tmp_path / "two" / "runs" / "test_resnet_cxr_ri" / "bundle")]
    one, two, both = (seen_by_any(cache, chosen) for chosen in ([arms[0]], [arms[1]], arms))
    assert one is not None and two is not None and both is not None
    assert both.seen.tolist() == (one.seen | two.seen).tolist() and both.seen.sum() > one.seen.sum()
    assert both.left_out["exact copy"] == both.seen.sum()
    assert seen_by_any(cache, []) is None


def test_what_cannot_be_audited_says_so(mine: Path, tiny: Path, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooError, match="do not list the images of their pretraining"):
        medzoo.audit(mine, tiny)
    with pytest.raises(DataError, match=r"no folder .*nowhere"):
        medzoo.audit(tmp_path / "nowhere", bundle)
    with pytest.raises(DataError, match="holds no image"):
        medzoo.audit(tmp_path / "empty", bundle)
    with pytest.raises(DataError, match="cannot be read; give a folder"):
        medzoo.audit(7, bundle)
    (mine / "a" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 24 images of mine cannot be read: .*0\.png"):
        medzoo.audit(mine, bundle)


def test_nothing_left_is_an_error(data: Path, bundle: Path, split: dict[str, str]) -> None:
    files = [data / "chestxray14" / "images" / name for name, side in split.items() if side == "train"]
    with pytest.raises(DataError, match="nothing is left"):
        leave_out(open_dataset((files, [i % 2 for i in range(len(files))])), Geometry(8, 8), seen_by(bundle))


def test_a_published_weight_can_be_audited(work: Path, mine: Path, tmp_path: Path) -> None:
    publish("test_resnet_cxr_ri", work, tmp_path / "zoo")
    assert (tmp_path / "zoo" / "test_resnet_cxr_ri" / SEEN).is_file()
    audit = medzoo.audit(mine, "test_resnet_cxr_ri", zoo=tmp_path / "zoo")
    assert json.loads(json.dumps(audit.to_dict()))["counts"]["not seen"] == 21


def test_the_command(
    mine: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["medzoo", "audit", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        return (int(left.value.code or 0), *capsys.readouterr())

    code, out, err = run(mine, bundle)
    assert (code, err) == (0, "")
    counts, table, note = out.split("\n\n")
    assert counts.splitlines()[2].split() == ["near", "copy", "2"]
    assert [row.split()[:3] for row in table.splitlines()[1:]] == [[n, *kind.split()] for n, kind in COPIES.items()]
    assert note.startswith("note: no patients are known")
    record = json.loads(run(mine, bundle, "--json")[1])
    assert {row["image"]: row["found"] for row in record["seen"]} == COPIES
    code, out, err = run(mine / "nowhere", bundle)
    assert (code, out) == (2, "") and err.count("\n") == 1


@pytest.mark.real
def test_real_copies_by_strangers_are_found_among_real_images(real: Path) -> None:
    with (real / "chestxray14_overlap" / "pairs.csv").open(newline="") as file:
        pairs = [(row["covid19_radiography_normal_file"], row["chestxray14_image"]) for row in csv.DictReader(file)]
    originals = hashes_of(open_images([real / "chestxray14_overlap" / "images" / name for _, name in pairs]))
    seen = seen_of("chestxray14", originals)
    for folder, copies in (("Normal", {name for name, _ in pairs}), ("COVID", set()), ("Viral Pneumonia", set())):
        audit = audit_images(open_images(real / "covid19_radiography" / folder / "images"), seen)
        assert set(audit.table()["image"]) == copies, folder
