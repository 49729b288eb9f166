"""Writing that never leaves half a file or folder behind."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from medzoo.core.errors import DiskFullError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CODE = re.compile(r"\(os error (\d+)\)")  # how safetensors words what the system said


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full."""
    if isinstance(error, SafetensorError):
        code = _CODE.search(str(error))
        return code is not None and int(code[1]) in _FULL
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def needing_room(path: Path) -> Iterator[None]:
    """Say where there is no room, when the disk is full: the system's own error often names no file.

    Args:
        path: What the body writes to.

    Raises:
        DiskFullError: The disk is full.
    """
    try:
        yield
    except DiskFullError:
        raise  # said already, of the very file
    except (OSError, SafetensorError) as error:
        if not is_full(error):
            raise
        full = DiskFullError(
            f"{path} cannot be written: the disk is full. Make room there, or choose another folder, and give the same "
            "command again"
        )
        full.errno = error.errno if isinstance(error, OSError) else errno.ENOSPC
        raise full from error


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Write a file beside ``path`` and put it in its place only when whole, readable as any other file.

    Args:
        path: The file to make or replace; its folder is made where missing.

    Yields:
        Where to write.

    Raises:
        DiskFullError: There is no room; what stood there is untouched.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    with needing_room(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.chmod(0o644)  # some writers make files that only their owner can read
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Replace a text file in one step.

    A file name that is not UTF-8 holds surrogates (PEP 383); they are written as ``\udce9``, which JSON reads back.
    """
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step; NaN is refused, as other readers would."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Fill a new folder beside ``folder`` and put it in its place only when whole.

    Args:
        folder: The folder to make or replace. What stood there stays until the new one is whole, and
            comes back if the exchange fails.

    Yields:
        An empty folder to write into.

    Raises:
        DiskFullError: There is no room; what stood there is untouched.

    Example:
        >>> with tempfile.TemporaryDirectory() as top:
        ...     with replacing_folder(Path(top) / "a") as new:
        ...         _ = (new / "x").write_text("1")
        ...     (Path(top) / "a" / "x").read_text()
        '1'
    """
    with needing_room(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            new = temporary / "new"
            new.mkdir()
            yield new
            old = temporary / "old"
            if folder.exists():
                folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
