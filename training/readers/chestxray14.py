"""NIH ChestX-ray14: PNG files in one or twelve folders, one table of labels, two official lists."""

from __future__ import annotations

import sys
from pathlib import Path

from medzoo.core.errors import DataError
from medzoo.zoo.sources import SOURCES
from training.readers.common import ImageRow, Published, by_name, read_csv, to_records

CLASSES = SOURCES["cxr"].labels
# Newest first; the 2020 table corrects ages and drops a trailing comma, the labels are the same.
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}


def read(root: Path) -> Published:
    """Read ChestX-ray14 as unpacked from NIH: ``images/*.png`` or ``images_001..012/images/*.png``.

    Args:
        root: The folder that holds the image folders, the label table and the official lists.

    Returns:
        Multi-label Records of 15 labels; split ``train`` is the publisher's ``train_val_list.txt``.

    Raises:
        DataError: A table is missing or holds an unknown label, or an image lies in two folders.
    """
    on_disk = by_name(root, sorted(folder.name for folder in root.glob("images*")), frozenset({".png"}))
    if not on_disk:
        raise DataError(f"{root}: no PNG in images/ or images_001/images/ ...; unpack the twelve archives there")
    table = next((root / name for name in TABLES if (root / name).is_file()), root / TABLES[0])
    splits = _splits(root)
    index = {label: i for i, label in enumerate(CLASSES)}
    rows, missing, same = list[ImageRow](), list[str](), dict[tuple[int, ...], tuple[int, ...]]()
    for image, findings, patient in read_csv(table, ("Image Index", "Finding Labels", "Patient ID")):
        path = on_disk.pop(image, None)
        if path is None:
            missing.append(image)
            continue
        unknown = [label for label in findings.split("|") if label not in index]
        if unknown:
            raise DataError(f"{table}: image {image} has the unknown label {unknown[0]!r}; known: {', '.join(CLASSES)}")
        labels = tuple(index[label] for label in findings.split("|"))
        # Patient 1 is "1" in one table and "01" in another. Equal values are kept once: there are many rows.
        patient, labels = sys.intern(patient.lstrip("0")), same.setdefault(labels, labels)
        rows.append(ImageRow(path, labels, patient, splits.get(image, "")))
    notes = [] if splits else [f"no official split: {' and '.join(LISTS.values())} are not in the folder"]
    return to_records("chestxray14", root, rows, CLASSES, "multilabel", missing, on_disk.values(), notes)


def _splits(root: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split, name in LISTS.items():
        file = root / name
        if file.is_file():
            splits.update(dict.fromkeys(file.read_text(encoding="utf-8").split(), split))
    return splits
