"""BreakHis: breast tumour tissue; class, type, case and magnification are in the file name."""

from __future__ import annotations

import re
from pathlib import Path

from medzoo.core.errors import DataError
from medzoo.data.scan import image_files
from medzoo.zoo.sources import SOURCES
from training.readers.common import ImageRow, Published, to_records

CLASSES = SOURCES["hwsi"].labels
LETTERS = {"B": "benign", "M": "malignant"}
FOLDER = "histology_slides/breast"
# SOB_B_A-14-22549AB-40-001.png: biopsy, class, tumour type, year, case, slide letters, magnification, number.
NAME = re.compile(r"SOB_(?P<cls>[BM])_[A-Z]+-(?P<year>\d+)-(?P<case>\d+)[A-Z]*-(?:40|100|200|400)-\d+\.png")


def read(root: Path) -> Published:
    """Read ``histology_slides/breast/<class>/SOB/<type>/<slide>/<mag>X/SOB_*.png``.

    The patient is year and case number. Slide letters (22549AB, 22549CD) are cuts of one case, and
    the tumour type is left out because case 14-13412 has two types (DC and LC).

    Args:
        root: The folder that holds ``histology_slides``.

    Returns:
        Binary Records (benign, malignant), all magnifications together.

    Raises:
        DataError: The layout is another one, or a folder contradicts the name of an image in it.
    """
    if not (root / FOLDER).is_dir():
        raise DataError(f"{root} has no folder {FOLDER}; unpack BreaKHis_v1.tar.gz and keep its folders")
    rows, strange = [], []
    for path in image_files(root / FOLDER, frozenset({".png"})):
        folder, name = path.split("/", 1)[0], path.rsplit("/", 1)[-1]
        parts = NAME.fullmatch(name)
        if parts is None:
            strange.append(f"{FOLDER}/{path}")
            continue
        label = LETTERS[parts["cls"]]
        if folder in CLASSES and folder != label:
            raise DataError(f"{root / FOLDER / path}: the name says {label}, the folder {folder}; restore the set")
        rows.append(ImageRow(f"{FOLDER}/{path}", (CLASSES.index(label),), f"{parts['year']}-{parts['case']}"))
    return to_records("breakhis", root, rows, CLASSES, "binary", unlisted=strange)
