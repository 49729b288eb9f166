"""DeepDRiD, regular fundus images: training and validation, each a table beside a folder of patients."""

from __future__ import annotations

from pathlib import Path

from medzoo.core.errors import DataError
from medzoo.zoo.sources import SOURCES
from training.readers.common import ImageRow, Published, by_name, grade, read_csv, to_records

CLASSES = SOURCES["efi"].labels
FOLDER = "regular_fundus_images"
PARTS = {"train": "regular-fundus-training", "val": "regular-fundus-validation"}
COLUMNS = ("image_id", "patient_id", "left_eye_DR_Level", "right_eye_DR_Level")


def read(root: Path) -> Published:
    """Read ``regular_fundus_images/regular-fundus-{training,validation}``.

    The column ``image_path`` is not used: it begins with a backslash and leaves out the folder
    ``Images``. The grade is in either eye's column, and not always in that of the eye in the id.
    The challenge's evaluation images have no published labels in the repository and are left out.

    Args:
        root: The folder that holds ``regular_fundus_images``.

    Returns:
        Ordinal Records of five grades with patients and the splits ``train`` and ``val``.

    Raises:
        DataError: A folder or table is missing, or an image has no grade or two that differ.
    """
    rows: list[ImageRow] = []
    missing: list[str] = []
    unlisted: list[str] = []
    for split, part in PARTS.items():
        folder = f"{FOLDER}/{part}"
        if not (root / folder).is_dir():
            raise DataError(f"{root} has no folder {folder}; copy or clone the DeepDRiD repository there")
        table = root / folder / f"{part}.csv"
        on_disk = by_name(root, [folder], frozenset({".jpg", ".jpeg"}), stem=True)
        for image, patient, left, right in read_csv(table, COLUMNS):
            grades = {grade(table, image, text, len(CLASSES)) for text in (left, right) if text}
            if len(grades) != 1:
                raise DataError(f"{table}: image {image} has grade {left!r} left and {right!r} right; expected one")
            path = on_disk.pop(image, None)
            if path is None:
                missing.append(image)
            else:
                rows.append(ImageRow(path, (grades.pop(),), patient, split))
        unlisted += on_disk.values()
    return to_records("deepdrid", root, rows, CLASSES, "ordinal", missing, unlisted)
