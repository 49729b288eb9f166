"""What medzoo remembers between runs, in a folder of its own; none of it is needed for a right result."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from medzoo.core.atomic import write_text


def cache_folder() -> Path:
    """Where medzoo remembers things between runs: ``MEDZOO_CACHE``, else ``~/.cache/medzoo``."""
    return Path(os.environ.get("MEDZOO_CACHE") or Path.home() / ".cache" / "medzoo")


def recall(path: Path) -> str:
    """What is remembered of a file; empty where nothing is, or it cannot be read."""
    try:
        return _stamp(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""


def remember(path: Path, what: str) -> None:
    """Remember something of a file, where the cache can be written to."""
    try:
        write_text(_stamp(path), what)
    except OSError:
        return  # it only costs the next run some time


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process of this user at a time may change a file or folder.

    Where the cache cannot be written to there is no lock: what the lock guards is whole at any moment
    anyway, and at worst done twice.
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
    return hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()
