"""Data sets published as one folder per class: COVID-19 Radiography, Kather 2016 and relatives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from medzoo.core.errors import DataError
from medzoo.data.scan import image_files
from training.readers.common import ImageRow, Published, to_records

COVID_FOLDERS = {name: name for name in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")}
KATHER_CLASSES = ("TUMOR", "STROMA", "COMPLEX", "LYMPHO", "DEBRIS", "MUCOSA", "ADIPOSE", "EMPTY")
KATHER_FOLDERS = {f"{i:02d}_{name}": name for i, name in enumerate(KATHER_CLASSES, 1)}
CRC_FOLDERS = {name: name for name in ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")}
LC25000_COLON_FOLDERS = {"colon_image_sets/colon_n": "benign", "colon_image_sets/colon_aca": "malignant"}
# 1A11_CRC-Prim-HE-07_022.tif_Row_601_Col_151.tif is cut from slide CRC-Prim-HE-07.
KATHER_SLIDE = re.compile(r"CRC-Prim-HE-\d+")


def read(
    root: Path, name: str, folders: Mapping[str, str], task: str, patient: re.Pattern[str] | None = None
) -> Published:
    """Read images from known class folders.

    Where a class folder holds a folder ``images``, only that is read; a folder ``masks`` never is.

    Args:
        root: The folder that holds the class folders.
        name: The data set's name.
        folders: Class folder to class, in the order of the classes.
        task: ``"binary"`` or ``"multiclass"``.
        patient: Matches the patient or slide in an image's file name, if there is one.

    Raises:
        DataError: A class folder is missing or holds no image.
    """
    rows = []
    for label, folder in enumerate(folders):
        if not (root / folder).is_dir():
            raise DataError(f"{root} has no class folder {folder!r}; expected {', '.join(folders)}")
        inner = f"{folder}/images" if (root / folder / "images").is_dir() else folder
        found = [path for path in image_files(root / inner) if not path.startswith("masks/")]
        if not found:
            raise DataError(f"{root / inner}: a class folder without images; restore them or unpack the set again")
        for path in found:
            match = patient.search(path) if patient else None
            rows.append(ImageRow(f"{inner}/{path}", (label,), match[0] if match else ""))
    return to_records(name, root, rows, tuple(folders.values()), task)
