"""Unpack an untrusted archive: whole or not at all, and nothing outside its own folder."""

from __future__ import annotations

import errno
import gzip
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from medzoo.core.atomic import needing_room
from medzoo.core.errors import DataError, DiskFullError

SUFFIXES = (".zip", ".tar.gz", ".tgz")
# Images barely shrink in an archive; a decompression bomb grows a thousandfold.
MAX_GROWTH = 20
SMALL = 1 << 28  # bytes that any archive may grow to: text tables do shrink
MAX_MEMBERS = 500_000

# What the standard library raises for a file that is truncated, corrupt or of another format.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, ValueError, struct.error)
# Not allowed in a file name on Windows: these characters, a dot or blank at the end, names of devices.
_NOT_PORTABLE = re.compile(
    r'.*[<>:"|?*\\].*|.*[. ]|(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?', re.IGNORECASE | re.DOTALL
)


def is_archive(name: str) -> bool:
    """Return whether a file's name is that of a supported archive.

    Example:
        >>> is_archive("images_001.tar.gz"), is_archive("labels.csv")
        (True, False)
    """
    return name.lower().endswith(SUFFIXES)


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

    Files are written to a folder beside ``target``, which is renamed to it at the end; one process at a time may
    unpack to one target. Owners, permissions and times are not restored. The checksums of the format are verified.

    Args:
        archive: A file with one of ``SUFFIXES``.
        target: The folder to create; its parent exists.
        unwrap: If one folder holds everything else, unpack what is in it.
        max_bytes: Limit of the unpacked size; by default 20 times the archive's own, at least 256 MiB.
        max_members: Limit of the number of files and folders.
        progress: Called with the bytes of the archive that are processed, and its size.

    Returns:
        ``target``.

    Raises:
        DataError: The archive is broken, too large when unpacked, or holds an absolute path, ``..``, a link, a device,
            an encrypted file, a name that is not portable, or two names that a file system may take for one. Nothing
            is left of it then.
        DiskFullError: There is no room.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with zipfile.ZipFile(folder / "set.zip", "w") as made:
        ...     made.writestr("set/a.csv", "1")
        >>> sorted(path.name for path in unpack(folder / "set.zip", folder / "set", unwrap=True).iterdir())
        ['a.csv']
    """
    if target.exists():
        raise DataError(f"{target} exists; move it away to unpack {archive.name} again")
    if not is_archive(archive.name):
        raise DataError(f"{archive} is not unpacked: its format is unknown; known: {', '.join(SUFFIXES)}")
    size = archive.stat().st_size
    members = _Members(max(MAX_GROWTH * size, SMALL) if max_bytes is None else max_bytes, max_members)
    draft = target.with_name(f".{target.name}.unpacking")
    if draft.exists():  # of a process that was killed
        shutil.rmtree(draft)
    draft.mkdir()
    extract = _extract_zip if archive.name.lower().endswith(".zip") else _extract_tar
    try:
        with needing_room(target), closing(extract(archive, draft, members)) as steps:
            for done in steps:
                if progress:
                    progress(done, size)
        if not members.size:
            raise DataError("it holds nothing")
        _unwrapped(draft, unwrap).replace(target)
        if progress:
            progress(size, size)
    except DiskFullError:
        raise
    except DataError as error:
        raise DataError(f"{archive} is not unpacked: {error}") from error
    except (*_BROKEN, OSError) as error:
        # gzip raises an OSError without a number, a zip that points before its beginning gives EINVAL.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise DataError(f"{archive} is broken ({error}); remove it and fetch it again") from error
    finally:
        if draft.exists():
            shutil.rmtree(draft)
    return target


class _Members:
    """The members read so far; refuses those that must not be unpacked."""

    def __init__(self, max_bytes: int, max_members: int) -> None:
        self.max_bytes, self.max_members = max_bytes, max_members
        self.size = self.count = 0
        self._paths: dict[str, tuple[str, bool]] = {}

    def add(self, name: str, folder: bool, size: int, *, regular: bool) -> None:
        parts = safe_parts(name)
        if not regular:
            raise DataError(f"{name!r} in it is a link or a device")
        self.size += size
        self.count += 1
        if self.count > self.max_members:
            raise DataError(f"it holds more than {self.max_members:,} files and folders")
        self.grow(self.size)
        for depth in range(1, len(parts) + 1):
            path, is_folder = "/".join(parts[:depth]), folder or depth < len(parts)
            # Windows and macOS do not tell names apart by case or by how accents are composed.
            key = unicodedata.normalize("NFC", path).casefold()
            if key in self._paths and (not is_folder or self._paths[key] != (path, True)):
                raise DataError(f"{name!r} is in it twice, or differs from another name in case only")
            self._paths[key] = (path, is_folder)

    def grow(self, size: int) -> None:
        if size > self.max_bytes:
            raise DataError(f"it would grow to more than {self.max_bytes:,} bytes, which no set of images does")


def _extract_zip(archive: Path, root: Path, members: _Members) -> Generator[int, None, None]:
    """Extract a zip, and yield the bytes of it that are processed."""
    with zipfile.ZipFile(archive) as opened:
        done = 0
        for info in opened.infolist():
            regular = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            # ``filename`` is already cut at a zero byte.
            members.add(info.orig_filename, info.is_dir(), info.file_size, regular=regular)
            if info.flag_bits & 1:
                raise DataError(f"{info.filename!r} in it is encrypted with a password")
            opened.extract(info, root)
            done += info.compress_size
            yield done


class _BoundedGzip(gzip.GzipFile):
    """A gzip stream that is not read past a limit: the headers of a tar can be bombs too."""

    members: _Members

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.members.grow(self.tell())
        return data


def _extract_tar(archive: Path, root: Path, members: _Members) -> Generator[int, None, None]:
    """Extract a tar, and yield the bytes of it that are processed."""
    with archive.open("rb") as raw, _BoundedGzip(fileobj=raw) as stream:
        stream.members = members
        with tarfile.open(fileobj=stream, mode="r|") as opened:
            for info in opened:
                regular = (info.isreg() or info.isdir()) and not info.issparse()
                members.add(info.name, info.isdir(), info.size, regular=regular)
                opened.extract(info, root, set_attrs=False, filter="data")
                yield raw.tell()
        while stream.read(1 << 20):  # gzip's checksum is at its end
            pass


def safe_parts(name: str) -> tuple[str, ...]:
    """Split a path inside an archive.

    Returns:
        Its parts, without ``.``; none for the archive's own root.

    Raises:
        DataError: The path leads out of the folder, or a file of that name cannot exist on every system.

    Example:
        >>> safe_parts("./set/a.png")
        ('set', 'a.png')
    """
    if re.match(r"[/\\]|[A-Za-z]:", name):
        raise DataError(f"it holds the absolute path {name!r}")
    if ".." in re.split(r"[/\\]", name):
        raise DataError(f"the path {name!r} in it leads out of its folder")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if any(_NOT_PORTABLE.fullmatch(part) or not part.isprintable() or len(part.encode()) > 255 for part in parts):
        raise DataError(f"the name {name!r} in it is one that some systems cannot keep")
    return parts


def _unwrapped(draft: Path, unwrap: bool) -> Path:
    # macOS's archiver adds a folder of its own beside the real one.
    inside = [path for path in draft.iterdir() if path.name != "__MACOSX"]
    return inside[0] if unwrap and len(inside) == 1 and inside[0].is_dir() else draft
