"""Which files are images, by their ending and, where it tells nothing, by their first bytes."""

from __future__ import annotations

import os
from pathlib import Path

from medzoo.data.image_io import SUFFIXES

IMAGE_SUFFIXES = frozenset(SUFFIXES)
# Endings that need no look inside: such files are no images and say nothing by being left out.
DOCUMENTS = frozenset(
    (
        *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".htm", ".pdf"),
        *(".doc", ".docx", ".odt", ".rtf", ".xls", ".xlsx", ".ods", ".log", ".ini", ".cfg", ".toml", ".parquet"),
        *(".py", ".pyc", ".ipynb", ".m", ".r", ".sh", ".bat", ".js", ".css", ".tex", ".bib", ".db", ".lnk", ".url"),
    )
)
_SYSTEM = frozenset(
    (
        *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    )
)
_MAGIC = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
)


def is_visible(name: str) -> bool:
    """Return whether a file or folder is the user's: neither hidden nor made by an operating system or archive."""
    return not name.startswith(".") and name.lower() not in _SYSTEM


def ending(name: str) -> str:
    """Return a file's ending in lower case, with its dot; an empty text where it has none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of 100,000 names is slow)


def is_image_content(path: str | Path) -> bool:
    """Return whether a file begins like an image (PNG, JPEG, GIF, TIFF, BMP, WebP, JPEG 2000, PNM) or is DICOM.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as stream:  # noqa: PTH123 (as above)
        head = stream.read(132)
    if head.startswith(_MAGIC) or head[128:] == b"DICM":
        return True
    if head[:2] == b"BM":  # two letters are too few: the reserved bytes are zero and the header's size is known
        return len(head) >= 26 and head[6:10] == b"\0\0\0\0" and head[14] in (12, 40, 52, 56, 64, 108, 124)
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    return len(head) > 7 and head[:1] == b"P" and head[1:2] in b"2356" and head[2:3] in b" \n\r\t#"
