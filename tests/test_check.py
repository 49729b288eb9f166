"""The check of a published set on disk: counts, files, copies, broken images, split patients."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medzoo.core.errors import DataError
from training.datasets import available, read
from training.datasets.check import BATCH, check, split_patients


def picture(file: Path, seed: int) -> None:
    """Write a small image of noise: PNG, JPEG or TIFF by its ending."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


@pytest.fixture
def montgomery(tmp_path: Path) -> Path:
    """The complete set in its layout: 80 normal, 58 ill."""
    for i in range(138):
        picture(tmp_path / "MontgomerySet" / "CXR_png" / f"MCUCXR_{i:04d}_{int(i >= 80)}.png", i)
    return tmp_path


def test_a_complete_set_has_no_problem(montgomery: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = check("montgomery", montgomery, jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert found.problems == ()
    assert found.counts == found.known_counts == {"normal": 80, "tuberculosis": 58}
    assert len(seen) == -(-138 // BATCH) and seen[-1] == (138, 138)
    assert json.loads(json.dumps(found.to_dict()))["images"] == 138


def test_what_is_wrong_is_named(montgomery: Path) -> None:
    images = montgomery / "MontgomerySet" / "CXR_png"
    shutil.copy(images / "MCUCXR_0000_0.png", images / "MCUCXR_0137_1.png")
    (images / "MCUCXR_0001_0.png").rename(images / "MCUCXR_0001_1.png")
    picture(images / "overview.png", 999)
    found = check("montgomery", montgomery)
    assert found.duplicates == (("CXR_png/MCUCXR_0000_0.png", "CXR_png/MCUCXR_0137_1.png"),)
    assert found.unlisted == ("CXR_png/overview.png",)
    assert len(found.problems) == 1 and "images per class" in found.problems[0]
    (images / "MCUCXR_0002_0.png").unlink()
    assert check("montgomery", montgomery).problems == ("137 images, the complete set has 138",)


def test_equal_files_of_no_bytes_are_unreadable_not_duplicates(montgomery: Path) -> None:
    images = montgomery / "MontgomerySet" / "CXR_png"
    for name in ("MCUCXR_0003_0.png", "MCUCXR_0004_0.png"):
        (images / name).write_bytes(b"")
    found = check("montgomery", montgomery)
    assert found.duplicates == ()
    assert [path for path, _ in found.unreadable] == ["CXR_png/MCUCXR_0003_0.png", "CXR_png/MCUCXR_0004_0.png"]
    assert "2 unreadable images" in found.problems[0]


@pytest.mark.parametrize("ending", ["png", "jpeg", "tif"])
@pytest.mark.parametrize("damage", ["truncated", "header", "text"])
def test_broken_images_of_every_format(tmp_path: Path, ending: str, damage: str) -> None:
    root = tmp_path / "CRC-VAL-HE-7K"
    for i, name in enumerate(("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")):
        picture(root / name / f"{name}-TCGA-{i}.{ending}", i)
    file = root / "TUM" / f"TUM-TCGA-8.{ending}"
    whole = file.read_bytes()
    file.write_bytes(
        {"truncated": whole[: len(whole) // 2], "header": b"\0" * 8 + whole[8:], "text": b"<html>"}[damage]
    )
    found = check("crc_val_he_7k", tmp_path)
    assert [path for path, _ in found.unreadable] == [f"TUM/TUM-TCGA-8.{ending}"]
    assert found.unreadable[0][1]


def test_missing_files_and_patients_on_both_sides(tmp_path: Path) -> None:
    root = tmp_path / "chestxray14"
    for i, name in enumerate(("00000001_000.png", "00000001_001.png", "00000002_000.png")):
        picture(root / "images" / name, i)
    header = "Image Index,Finding Labels,Follow-up #,Patient ID"
    rows = ["00000001_000.png,Mass,0,1", "00000001_001.png,Edema,1,1", "00000002_000.png,Mass,0,2", "9_0.png,Mass,0,9"]
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join([header, *rows]))
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000002_000.png\n")
    (root / "test_list.txt").write_text("00000001_001.png\n")
    found = check("chestxray14", tmp_path)
    assert found.missing == ("9_0.png",)
    assert found.split_patients == ("1",)
    assert "1 patients on both sides of the split (first: 1)" in found.problems


def test_unknown_patients_are_on_no_side(tmp_path: Path, montgomery: Path) -> None:
    records = read("montgomery", montgomery)
    assert split_patients(records) == ()
    half = np.array(["train", "test"] * 69)
    assert split_patients(replace(records, splits=half, patients=np.array([""] * 138))) == ()
    assert split_patients(replace(records, splits=half, patients=np.array(["b", "a"] * 69))) == ()
    assert split_patients(replace(records, splits=half, patients=np.array(["p"] * 138))) == ("p",)


def test_a_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder of messidor"):
        check("messidor", tmp_path)


@pytest.mark.real
def test_every_real_set_is_readable_and_split_by_patient(real: Path) -> None:
    for name in available(real):
        found = check(name, real)
        assert found.unreadable == () and found.split_patients == (), name
        assert found.images == found.known or found.problems, name
