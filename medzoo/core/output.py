"""Checking, before the work, that its results can be written."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from medzoo.core.errors import DiskFullError, MedzooError


def check_output(path: Path, size: int = 0) -> None:
    """Refuse a place that cannot be written to, by writing there.

    Args:
        path: The file or folder to be written; missing folders above it will be made.
        size: Bytes that it needs.

    Raises:
        MedzooError: It cannot be written.
        DiskFullError: The disk has less room.

    Example:
        >>> check_output(Path("/dev/null/model"))
        Traceback (most recent call last):
        medzoo.core.errors.MedzooError: /dev/null/model cannot be written (Not a directory); give another place
    """
    try:
        parent = path.absolute().parent
        while not parent.exists():
            parent = parent.parent
        for folder in {parent, path if path.is_dir() else parent}:
            with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=folder):
                pass
        free = shutil.disk_usage(parent).free
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MedzooError(f"{path} cannot be written ({reason}); give another place") from error
    if free < size:
        raise DiskFullError(
            f"{path} needs {size / 1e6:,.0f} MB, and the disk has {free / 1e6:,.0f} MB free; make room there, or give "
            "another folder"
        )
