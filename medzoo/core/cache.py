"""The cache folder, which holds nothing that results depend on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process of this user at a time change a file or folder.

    Where the cache cannot be written to there is no lock: files are replaced atomically, and at worst the work is done
    twice.
    """
    lock = cache_folder() / "locks" / _key(path)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError:
        yield
        return
    with FileLock(lock):
        yield


def _stamp(path: Path) -> Path:
    return cache_folder() / "verified" / _key(path)


def _key(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode(errors="backslashreplace")).hexdigest()
