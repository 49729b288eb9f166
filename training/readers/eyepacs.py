"""EyePACS (Kaggle diabetic retinopathy): folders of JPEGs beside tables of image and level."""

from __future__ import annotations

from pathlib import Path

from medzoo.core.errors import DataError
from medzoo.zoo.sources import SOURCES
from training.readers.common import ImageRow, Published, by_name, grade, left_out, read_csv, to_records

CLASSES = SOURCES["efi"].labels
TABLES = {"train": "trainLabels.csv", "test": "retinopathy_solution.csv"}


def read(root: Path, name: str = "eyepacs", splits: tuple[str, ...] = ("train", "test")) -> Published:
    """Read the study's choice: every image of ``train/``, and of ``test/`` the grades 1 to 4.

    A missing folder ``test/`` is recorded in the notes: a copy with ``train/`` alone is read too.

    Args:
        root: The folder with ``train/*.jpeg``, ``trainLabels.csv``, ``test/*.jpeg`` and
            ``retinopathy_solution.csv``.
        name: The data set's name.
        splits: Which of the folders the set has.

    Returns:
        Ordinal Records of five grades; the patient is the number before ``_left`` or ``_right``.

    Raises:
        DataError: A folder or table is missing, or a grade is not 0 to 4.
    """
    if not (root / "train").is_dir():
        raise DataError(f"{root} has no folder train; unpack train.zip there and put {TABLES['train']} beside it")
    rows: list[ImageRow] = []
    missing: list[str] = []
    unlisted: list[str] = []
    healthy: list[str] = []
    notes: list[str] = []
    for split in splits:
        if not (root / split).is_dir():
            notes.append(f"no folder {split}: its images are left out")
            continue
        table = root / TABLES[split]
        on_disk = by_name(root, [split], frozenset({".jpeg", ".jpg"}), stem=True)
        for image, level in read_csv(table, ("image", "level")):
            value = grade(table, image, level, len(CLASSES))
            path = on_disk.pop(image, None)
            if split == "test" and value == 0:
                healthy += [] if path is None else [path]
            elif path is None:
                missing.append(f"{split}/{image}")
            else:
                rows.append(ImageRow(path, (value,), image.split("_")[0], split))
        unlisted += on_disk.values()
    notes.append(left_out(healthy, "images of test have grade 0 and are left out, as in the study"))
    return to_records(name, root, rows, CLASSES, "ordinal", missing, unlisted, notes)
