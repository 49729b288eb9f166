"""What a folder means: splits, classes, wrappers, copies, masks and files whose name tells nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.core.errors import DataError, UnreadableError
from medzoo.data.dataset import Records
from medzoo.data.folders import read_folder
from medzoo.data.normalize import is_missing, name_key
from medzoo.data.scan import image_files
from medzoo.data.splits import split_of

SETS = [f"{part}/{name}/{part}{i}.png" for part in ("train", "test", "val") for name in ("NORMAL", "ILL") for i in "12"]
FLAT = ["a/1.png", "a/2.png", "b/3.png", "b/4.png"]
HEADS = {
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF89a",
    "tiff": b"II*\0",
    "bigtiff": b"MM\0+",
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "bmp": b"BM" + b"\0" * 12 + b"\x28\0\0\0" + b"\0" * 20,
    "pgm": b"P5\n4 4\n255\n" + b"\0" * 16,
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "dicom": b"\0" * 128 + b"DICM",
}


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def labelled(records: Records) -> dict[str, str]:
    return {path: records.classes[i] for path, i in zip(records.ids, records.labels, strict=True)}


# ---- splits


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            (name, "train")
            for name in ("TRAIN", "training_set", "Train Data", "train-images", "trainset", "train & val")
        ),
        *((name, "val") for name in ("valid", "Validate", "validation_set", "dev", "eval", "val_split")),
        *((name, "test") for name in ("Testing", "test_set", "tst", "TestSet", "test images", "holdout")),
        *((name, "") for name in ("latest", "contest", "trained", "fold 1", "set", "data", "images", "", "valve")),
    ],
)
def test_split_names_in_all_spellings(name: str, split: str) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize("names", ["train test validate", "Training_set TEST dev", "train holdout eval"])
def test_a_split_is_never_a_class(tmp_path: Path, names: str) -> None:
    touch(tmp_path, *(f"{name}/{label}/{name}.png" for name in names.split() for label in ("a", "b")))
    records = read_folder(tmp_path)
    assert records.classes == ("a", "b") and records.splits is not None
    assert set(records.splits.tolist()) == {"train", "test", "val"}


@pytest.mark.parametrize(
    "extra", ["docs/readme.txt", "docs/deep/readme.pdf", "__MACOSX/a/1.png", "@eaDir/x/1.png", ".git/1.png"]
)
def test_folders_without_images_and_of_systems_beside_the_splits(tmp_path: Path, extra: str) -> None:
    records = read_folder(touch(tmp_path, *SETS, extra))
    assert records.classes == ("ILL", "NORMAL") and len(records) == 12


def test_a_copy_of_the_set_as_its_archive_unpacks_is_left_out(tmp_path: Path) -> None:
    records = read_folder(touch(tmp_path, *SETS, *(f"chest_xray/{path}" for path in SETS)))
    assert records.classes == ("ILL", "NORMAL") and len(records) == 12
    assert "chest_xray holds the same splits again: its 12 images are left out" in records.notes
    assert records.skipped == {"copies of the set": 12}
    deep = read_folder(touch(tmp_path / "deep", *SETS, *(f"archive/chest_xray/{path}" for path in SETS)))
    assert len(deep) == 12


def test_wrapper_folders_around_the_splits(tmp_path: Path) -> None:
    records = read_folder(touch(tmp_path, *(f"archive/chest_xray/{path}" for path in SETS)))
    assert records.classes == ("ILL", "NORMAL") and records.splits is not None
    assert records.notes == ("the splits are the folders of archive/chest_xray",)


def test_wrapper_folders_inside_the_splits(tmp_path: Path) -> None:
    paths = [path.replace("/", "/images/", 1) for path in SETS]
    records = read_folder(touch(tmp_path, *paths))
    assert records.classes == ("ILL", "NORMAL") and "the classes are the folders of test/images" in records.notes[0]
    again = read_folder(touch(tmp_path / "again", *(f"{path.partition('/')[0]}/{path}" for path in SETS)))
    assert again.classes == ("ILL", "NORMAL")


def test_splits_below_the_classes(tmp_path: Path) -> None:
    records = read_folder(touch(tmp_path, *(f"{label}/{split}/1.png" for label in "ab" for split in ("train", "Test"))))
    assert records.classes == ("a", "b") and records.splits is not None
    assert records.splits.tolist() == ["test", "train", "test", "train"]


def test_classes_that_differ_in_case_are_one(tmp_path: Path) -> None:
    records = read_folder(
        touch(
            tmp_path,
            "train/NORMAL/1.png",
            "train/NORMAL/2.png",
            "train/Ill/3.png",
            "test/Normal/4.png",
            "test/ill/5.png",
            "train/Ill/6.png",
        )
    )
    assert records.classes == ("Ill", "NORMAL") and len(records) == 6
    assert any("'Normal' as 'NORMAL'" in note for note in records.notes)
    forms = read_folder(
        touch(
            tmp_path / "forms",
            "train/gro\u00df/1.png",
            "train/kl/3.png",
            "test/kl /2.png",
            "train/e\u0301/1.png",
            "test/\u00e9/1.png",
        )
    )
    assert len(forms.classes) == 3


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            [*SETS, "extra/NORMAL/1.png"],
            r"test and train and val are named like splits, beside extra: move out.*\[extra/\{NORMAL\}, ",
        ),
        ([*SETS, "more/1.png"], "beside more"),
        (
            ["train/1.png", "ill/2.png"],
            r"train is named like a split, beside ill.*\[ill \(1 image\), train \(1 image\)\]",
        ),
        (["train/train/1.png", "train/a/2.png", "train/b/3.png"], "class folder train is named like a split"),
        (["train/1.png", "test/2.png"], "has no class folders in test and train; expected <split>/<class>/<image>"),
        (
            [*FLAT, "copy/a/1.png", "copy/b/3.png"],
            r"the class folder copy holds folders named like its siblings \(a, b\): it may be a copy",
        ),
        ([*FLAT, "a/b/9.png"], r"the class folder a holds folders named like its siblings \(b\)"),
        (
            ["a/train/1.png", "a/test/2.png", "b/3.png"],
            r"the class folder a holds folders named like splits \(test, train\): give",
        ),
        (
            [f"fold_{k}/{label}/{k}.png" for k in (1, 2, 3) for label in "ab"],
            "fold_1, fold_2, fold_3 hold the same folders, a, b",
        ),
        (
            [f"set/{path}" for path in FLAT],
            r"holds one folder, set, which holds a, b: if those are the classes, give .*/set",
        ),
        ([*FLAT, "nan/5.png"], "class folder 'nan' is named like a missing value"),
        ([*FLAT, "c/5.nii"], "class folder .*c holds no image that can be read"),
        (["a/1.png", "A/2.png"], "all 2 images are"),
        (["0/1.png", "1/2.png", "-1/3.png"], "-1 .1 images. means uncertain or not gradable"),
        (
            ["Mass/1.png", "Edema/2.png", "Edema,Mass/3.png"],
            r"'Edema,Mass' seems to be several labels: say label_separator=','",
        ),
    ],
)
def test_what_cannot_be_told_shows_the_tree_and_what_to_say(tmp_path: Path, paths: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_folder(touch(tmp_path, *paths))


def test_options_settle_what_is_refused(tmp_path: Path) -> None:
    grades = touch(tmp_path / "grades", "0/1.png", "1/2.png", "-1/3.png", "2/4.png")
    assert read_folder(grades, uncertain="ignore").skipped == {"uncertain": 1}
    several = touch(tmp_path / "several", "Mass/1.png", "Edema/2.png", "Edema,Mass/3.png")
    assert read_folder(several, label_separator=",").targets.tolist() == [[1, 1], [1, 0], [0, 1]]
    assert len(read_folder(several, label_separator="").classes) == 3


def test_the_same_folders_in_each_class_are_said(tmp_path: Path) -> None:
    records = read_folder(touch(tmp_path, *(f"{c}/{m}/{c}.png" for c in ("benign", "ill") for m in ("40X", "100X"))))
    assert records.classes == ("benign", "ill")
    assert any("if those are the classes" in note for note in records.notes)


# ---- files


@pytest.mark.parametrize("kind", sorted(HEADS))
@pytest.mark.parametrize("name", ["scan", "IM.jfif", "IM.jpe", "IM.IMA", "1.2.840.12", "x.img"])
def test_the_content_decides_where_the_name_tells_nothing(tmp_path: Path, kind: str, name: str) -> None:
    touch(tmp_path, *FLAT)
    (tmp_path / "a" / name).write_bytes(HEADS[kind])
    (tmp_path / "a" / "letter").write_bytes(b"BM is how this letter begins, P5 it does not")
    records = read_folder(tmp_path)
    assert f"a/{name}" in records.ids and len(records) == 5
    assert records.notes == ("1 files left out, as they are no images that can be read: no ending 1",)


def test_what_is_left_out_is_counted_by_ending(tmp_path: Path) -> None:
    records = read_folder(
        touch(tmp_path, *FLAT, "a/1.nii", "a/2.NII", "b/x.svs", "b/notes.txt", "a/Thumbs.db", "loose.png")
    )
    assert "3 files left out, as they are no images that can be read: .nii 2, .svs 1" in records.notes
    assert records.skipped == {".nii": 2, ".svs": 1, ".txt": 1, "beside the class folders": 1}


@pytest.mark.parametrize(
    "masks",
    [
        ["a/1_mask.png", "b/3_mask_1.png", "b/3-segmentation.tif"],
        ["a/masks/1.png", "b/mask/3.png"],
        ["masks/1.png", "masks/3.png"],
        ["a/lung_masks/1_mask.png", "b/ground truth/3.png"],
    ],
)
def test_masks_beside_their_images_are_left_out(tmp_path: Path, masks: list[str]) -> None:
    records = read_folder(touch(tmp_path, *FLAT, *masks))
    assert list(records.ids) == FLAT and records.classes == ("a", "b")
    assert records.skipped == {"masks": len(masks)}
    assert any("masks of other images are left out" in note for note in records.notes)


def test_a_name_alone_makes_no_mask(tmp_path: Path) -> None:
    paths = ["a/face_mask.png", "a/1.png", "no_mask/2.png", "with_mask/2.png"]
    assert len(read_folder(touch(tmp_path, *paths))) == 4


def test_the_same_file_in_two_classes(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{i}.png" for label in "ab" for i in range(12)))
    for label in "ab":
        for i in range(12):
            (tmp_path / label / f"{i}.png").write_bytes(f"{label}{i:>5}".encode() * 2000)
    assert read_folder(tmp_path).notes == ()
    (tmp_path / "b" / "7.png").write_bytes((tmp_path / "a" / "3.png").read_bytes())
    assert read_folder(tmp_path).notes == ("2 images are the same file in different classes: a/3.png = b/7.png",)
    for i in range(4):
        (tmp_path / "b" / f"{i}.png").write_bytes((tmp_path / "a" / f"{i}.png").read_bytes())
    with pytest.raises(DataError, match=r"9 images are the same file in different classes: .*leave each in one class"):
        read_folder(tmp_path)


def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, *FLAT, "a/locked/9.png")
    scandir: Callable[..., Any] = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)  # a test that runs as root may open everything
    for read in (read_folder, image_files):
        with pytest.raises(UnreadableError, match="a/locked: cannot be opened") as caught:
            read(tmp_path)
        assert [name for name, _ in caught.value.rejected] == ["a/locked"]
    records = read_folder(tmp_path, skip_unreadable=True)
    assert list(records.ids) == FLAT and records.skipped == {"unreadable": 1}
    assert "a/locked" in records.notes[0]


NAMES = st.sampled_from(
    [
        "train",
        "Test",
        "val",
        "validate",
        "training_set",
        "a",
        "A",
        "b",
        "Normal",
        "NORMAL",
        "ill",
        "masks",
        "images",
        "docs",
        "fold_1",
        "fold_2",
        "nan",
        "None",
        "0",
        "1",
        "-1",
        "a|b",
        "__MACOSX",
        "copy",
    ]
)
FILES = st.sampled_from(["1.png", "2.png", "1_mask.png", "x.nii", "notes.txt", "scan", "IM.jfif"])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    paths=st.sets(
        st.tuples(st.lists(NAMES, max_size=3), FILES).map(lambda drawn: "/".join([*drawn[0], drawn[1]])),
        min_size=1,
        max_size=12,
    )
)
def test_any_tree_is_read_correctly_or_refused(paths: set[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path in paths:
            touch(root, path)
            (root / path).write_bytes(HEADS["jpeg"] + path.encode() if path.endswith("jfif") else path.encode())
        try:
            records = read_folder(root)
        except DataError as error:
            assert str(root) in str(error) and "\n" not in str(error)
            return
        assert not any(split_of(label) or is_missing(label, ambiguous=False) for label in records.classes)
        assert len(set(map(name_key, records.classes))) == len(records.classes) > 1
        for path, label in labelled(records).items():
            parts = path.split("/")[:-1]
            assert name_key(label) in map(name_key, parts) and not path.endswith((".nii", ".txt", "scan"))
        if records.splits is not None:
            for path, split in zip(records.ids, records.splits.tolist(), strict=True):
                assert split in set(map(split_of, path.split("/")[:-1]))
