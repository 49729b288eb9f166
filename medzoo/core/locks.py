"""Locks between processes; in a module of its own, as listing weights needs none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from medzoo.core.cache import cache_folder, key_of


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process of this user at a time change a file or folder.

    Where the cache cannot be written to there is no lock: files are replaced atomically, and at worst the work is done
    twice.
    """
    lock = cache_folder() / "locks" / key_of(path)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError:
        yield
        return
    with FileLock(lock):
        yield
