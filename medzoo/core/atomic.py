"""Atomic replacement of files and folders: a reader never sees a partial one."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from medzoo.core.errors import DiskFullError, InUseError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_IN_USE = frozenset({5, 32, 33, 1224})  # Windows: access denied, sharing or lock violation, mapped file
_CODE = re.compile(r"\(os error (\d+)\)")  # the system's error code in a message of safetensors


def is_full(error: BaseException) -> bool:
    """Return whether an error means that the disk, or the user's quota, is full."""
    if isinstance(error, SafetensorError):
        code = _CODE.search(str(error))
        return code is not None and int(code[1]) in _FULL
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def needing_room(path: Path) -> Iterator[None]:
    """Name the path in the error of a full disk; the system's own often names no file.

    Args:
        path: The path that the body writes to.

    Raises:
        DiskFullError: The disk is full.
    """
    try:
        yield
    except DiskFullError:
        raise  # it names the very file already
    except (OSError, SafetensorError) as error:
        if not is_full(error):
            raise
        full = DiskFullError(
            f"{path} cannot be written: the disk is full. Free some space there, or choose another folder, and run the "
            "same command again"
        )
        full.errno = error.errno if isinstance(error, OSError) else errno.ENOSPC
        raise full from error


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Write a temporary file beside ``path`` and move it there once it is complete.

    Args:
        path: The file to create or replace; its folder is created where missing.

    Yields:
        The temporary path to write to.

    Raises:
        DiskFullError: The disk is full; the old file is untouched.
    """
    temporary = path.parent / f".{_short(path)}.{os.getpid()}"
    with needing_room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.chmod(0o644)  # some writers make files that only their owner can read
            _move(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Replace a text file atomically.

    A file name that is not UTF-8 holds surrogates (PEP 383); they are written as ``\udce9``, which JSON reads back.
    """
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Replace a JSON file atomically; NaN, which JSON lacks, is an error. ``indent=None`` writes a single line."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Fill a temporary folder beside ``folder`` and move it there once it is complete.

    Args:
        folder: The folder to create or replace. An old one stays until the new one is complete, and is restored if
            the exchange fails.

    Yields:
        An empty folder to write into.

    Raises:
        DiskFullError: The disk is full; the old folder is untouched.

    Example:
        >>> with tempfile.TemporaryDirectory() as top:
        ...     with replacing_folder(Path(top) / "a") as new:
        ...         _ = (new / "x").write_text("1")
        ...     (Path(top) / "a" / "x").read_text()
        '1'
    """
    with needing_room(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{_short(folder)}.", dir=folder.parent))
        try:
            new = temporary / "new"
            new.mkdir()
            yield new
            old = temporary / "old"
            if folder.exists():
                _move(folder, old)
            try:
                _move(new, folder)
            except OSError:
                if old.exists():
                    _move(old, folder)
                raise
        finally:
            if folder.exists() or not (temporary / "old").exists():  # else the old one lies there alone
                shutil.rmtree(temporary, ignore_errors=True)


def _short(path: Path) -> str:
    """Shorten a file's name, so that a longer one beside it is no longer than a file system allows."""
    name = path.name.encode(errors="backslashreplace")
    return f"{path.name[:20]}.{zlib.crc32(name):08x}"


def _move(source: Path, target: Path) -> None:
    """Put a file or folder in place; Windows refuses while another program has the old one open or mapped.

    A virus scanner or an indexer closes it within a second, a network that maps its weights does not.
    """
    for wait in (0.05, 0.1, 0.2, 0.4, 0.8, None):
        try:
            source.replace(target)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if wait is None:
                raise InUseError(
                    f"{target} cannot be replaced: another program has it open. Close it (or the Python session that "
                    "loaded it) and run the same command again"
                ) from error
            time.sleep(wait)
