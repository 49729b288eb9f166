"""The cache folder, which holds nothing that results depend on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from medzoo.core.atomic import write_text


def cache_folder() -> Path:
    """Return the cache folder: ``MEDZOO_CACHE``, else ``~/.cache/medzoo``."""
    return Path(os.environ.get("MEDZOO_CACHE") or Path.home() / ".cache" / "medzoo")


def recall(path: Path) -> str:
    """Return the note on a file; empty where there is none, or it cannot be read."""
    try:
        return _stamp(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""


def remember(path: Path, note: str) -> None:
    """Store a note on a file, where the cache can be written to."""
    try:
        write_text(_stamp(path), note)
    except OSError:
        return  # it only costs the next run some time


def _stamp(path: Path) -> Path:
    return cache_folder() / "verified" / key_of(path)


def key_of(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode(errors="backslashreplace")).hexdigest()
