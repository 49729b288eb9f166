"""The NLM tuberculosis X-rays (Shenzhen, Montgomery): the label is the last digit of the file name."""

from __future__ import annotations

import re
from pathlib import Path

from medzoo.core.errors import DataError
from medzoo.data.scan import image_files
from training.readers.common import ImageRow, Published, to_records

CLASSES = ("normal", "tuberculosis")
FOLDER = "CXR_png"
NAME = re.compile(r"(?:CHNCXR|MCUCXR)_\d{4}_(?P<label>[01])\.png")


def read(root: Path, name: str) -> Published:
    """Read ``CXR_png/CHNCXR_NNNN_L.png`` (or ``MCUCXR_``), where L is 0 for normal, 1 for tuberculosis.

    ``ClinicalReadings/`` and masks beside it are not needed. No patient ids are published.

    Args:
        root: The folder that holds ``CXR_png``.
        name: The data set's name.

    Raises:
        DataError: The layout is another one.
    """
    if not (root / FOLDER).is_dir():
        raise DataError(f"{root} has no folder {FOLDER}; unpack the archive of {name} and keep its folders")
    rows, strange = [], []
    for path in image_files(root / FOLDER, frozenset({".png"})):
        parts = NAME.fullmatch(path)
        if parts is None:
            strange.append(f"{FOLDER}/{path}")
        else:
            rows.append(ImageRow(f"{FOLDER}/{path}", (int(parts["label"]),)))
    return to_records(name, root, rows, CLASSES, "binary", unlisted=strange)
