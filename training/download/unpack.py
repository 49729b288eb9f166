"""Unpacking an archive that nobody here has looked into: whole or not at all, and nothing beside its own folder."""

from __future__ import annotations

import errno
import lzma
import re
import shutil
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from medzoo.core.errors import DataError
from training.download.archives import CHUNK, Member, members

# Images barely shrink in an archive; a bomb grows a thousandfold.
MAX_GROWTH = 20
SMALL = 1 << 28  # what any archive may grow to: text tables do shrink
MAX_MEMBERS = 500_000

# Errors of a file that is not what its name says, was cut short or has flipped bits. bz2 and gzip say so with
# an OSError that has no errno.
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
    struct.error,
)

# Names that Windows keeps for devices, with any suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


def unpack(
    archive: Path,
    target: Path,
    *,
    unwrap: bool = False,
    max_bytes: int | None = None,
    max_members: int = MAX_MEMBERS,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Unpack a zip or tar archive into a new folder.

    All goes into a folder beside ``target`` first, which is moved into place at the end; one process
    at a time may unpack to one target. Owners, permissions and times are not taken over. The
    checksums that the format has (zip, gzip, bz2, xz) are verified.

    Args:
        archive: A file named like one of ``training.download.archives.SUFFIXES``.
        target: The folder to make; its parent exists.
        unwrap: Where one folder holds all the rest, take what is in it.
        max_bytes: Bytes that may come out; by default 20 times the archive's own, at least 256 MiB.
        max_members: Files and folders that may come out.
        progress: Called with the bytes of the archive that are done and its size.

    Returns:
        ``target``.

    Raises:
        DataError: The archive is broken, too large when unpacked, or holds what no data set needs: an
            absolute path, ``..``, a link, a device, a password, a name that some system cannot keep,
            two names that some system takes for one. Nothing is left of it then.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with zipfile.ZipFile(folder / "set.zip", "w") as made:
        ...     made.writestr("set/a.csv", "1")
        >>> sorted(path.name for path in unpack(folder / "set.zip", folder / "set", unwrap=True).iterdir())
        ['a.csv']
    """
    if target.exists():
        raise DataError(f"{target} is there already; move it away to unpack {archive.name} again")
    size = archive.stat().st_size
    limit = max(MAX_GROWTH * size, SMALL) if max_bytes is None else max_bytes
    draft = target.with_name(f".{target.name}.unpacking")
    if draft.exists():  # of a process that was killed
        shutil.rmtree(draft)
    draft.mkdir()
    try:
        with closing(members(archive)) as found:
            _write(found, draft, limit, max_members, lambda done: progress(done, size) if progress else None)
        _unwrapped(draft, unwrap).replace(target)
        if progress:
            progress(size, size)
    except BROKEN as error:
        raise DataError(f"{archive} is broken ({error}); remove it and fetch it again") from error
    except DataError as error:
        raise DataError(f"{archive} is not unpacked: {error}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(f"the disk of {target.parent} is full; make room and run the same command again") from error
        # EINVAL: a zip that points before its own beginning.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise DataError(f"{archive} is broken ({error}); remove it and fetch it again") from error
    finally:
        if draft.exists():
            shutil.rmtree(draft)
    return target


def _write(found: Iterable[Member], root: Path, limit: int, max_members: int, progress: Callable[[int], None]) -> None:
    names = _Names()
    written = 0
    for count, member in enumerate(found, 1):
        if count > max_members:
            raise DataError(f"it holds more than {max_members:,} files and folders")
        path = root.joinpath(*names.add(member.name, member.stream is None))
        if member.stream is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        if written + member.size > limit:
            raise DataError(f"it would grow to more than {limit:,} bytes, which no set of images does")
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.stream as source, path.open("xb") as file:
            left = member.size
            # One byte more than declared is asked for, so that a file that goes on is noticed.
            while chunk := source.read(min(CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    break
                file.write(chunk)
        if left:
            raise DataError(f"{member.name!r} is not as long as the archive says")
        written += member.size
        progress(member.at)
    if not written:
        raise DataError("it holds nothing")


class _Names:
    """The paths met so far, to refuse those that are unsafe or that some system cannot tell apart."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}

    def add(self, name: str, folder: bool) -> tuple[str, ...]:
        parts = safe_parts(name)
        for depth in range(1, len(parts) + folder):
            self._add_folder("/".join(parts[:depth]), name)
        if not folder:
            key = _key("/".join(parts))
            if not parts or key in self._files or key in self._folders:
                raise DataError(f"{name!r} stands in it twice, or differs from another name in case only")
            self._files.add(key)
        return parts

    def _add_folder(self, path: str, name: str) -> None:
        key = _key(path)
        if key in self._files or self._folders.setdefault(key, path) != path:
            raise DataError(f"{name!r} stands in it twice, or differs from another name in case only")


def _key(path: str) -> str:
    # Windows and macOS take names for one that differ in case or in how accents are composed.
    return unicodedata.normalize("NFC", path).casefold()


def safe_parts(name: str) -> tuple[str, ...]:
    """The folders and the file of a path inside an archive.

    Args:
        name: The path; a backslash separates as it does on Windows.

    Returns:
        Its parts, without ``.``; none for the archive's own root.

    Raises:
        DataError: The path leads out of the folder, or some system cannot keep a file of that name.

    Example:
        >>> safe_parts("./set/a.png")
        ('set', 'a.png')
    """
    path = name.replace("\\", "/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        raise DataError(f"the absolute path {name!r} stands in it")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    for part in parts:
        if part == "..":
            raise DataError(f"the path {name!r} in it leads out of its folder")
        if (
            part[-1] in ". "
            or any(letter in '<>:"|?*' or not letter.isprintable() for letter in part)
            or len(part.encode()) > 255
            or _DEVICE.fullmatch(part)
        ):
            raise DataError(f"the name {name!r} in it is one that some systems cannot keep")
    return parts


def _unwrapped(draft: Path, unwrap: bool) -> Path:
    # macOS's archiver adds a folder of its own beside the real one.
    inside = [path for path in draft.iterdir() if path.name != "__MACOSX"]
    return inside[0] if unwrap and len(inside) == 1 and inside[0].is_dir() else draft
