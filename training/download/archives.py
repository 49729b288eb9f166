"""What is in a zip or tar archive, one file after the other, without writing any of it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from medzoo.core.errors import DataError

CHUNK = 1 << 20
HEADERS = 1 << 20  # bytes that a tar's headers may take between two files

Opener = Callable[[BinaryIO], IO[bytes]]
TARS: dict[str, Opener] = {
    ".tar": lambda raw: raw,
    ".tar.gz": lambda raw: cast(IO[bytes], gzip.GzipFile(fileobj=raw)),
    ".tgz": lambda raw: cast(IO[bytes], gzip.GzipFile(fileobj=raw)),
    ".tar.bz2": cast(Opener, bz2.BZ2File),
    ".tar.xz": cast(Opener, lzma.LZMAFile),
}
SUFFIXES = (".zip", *TARS)


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive.

    Attributes:
        name: Its path as the archive has it: not to be trusted.
        size: Bytes of the file, as the archive says.
        at: How far into the archive's own bytes it is.
        stream: The file's content; ``None`` for a folder.
    """

    name: str
    size: int
    at: int
    stream: IO[bytes] | None


def is_archive(name: str) -> bool:
    """Tell whether the format is known, by the file's name.

    Example:
        >>> is_archive("images_001.tar.gz"), is_archive("labels.csv")
        (True, False)
    """
    return name.lower().endswith(SUFFIXES)


def members(archive: Path) -> Generator[Member, None, None]:
    """Go through an archive.

    Args:
        archive: A file named like one of ``SUFFIXES``.

    Returns:
        A generator. Each member's stream is to be read to its end before the next is asked for, and
        the generator to its own end: only there is it known that the archive is whole.

    Raises:
        DataError: It holds something else than files and folders, or asks for a password, or the
            format is not known.
    """
    name = archive.name.lower()
    if name.endswith(".zip"):
        return _zip_members(archive)
    for suffix, opener in TARS.items():
        if name.endswith(suffix):
            return _tar_members(archive, opener)
    raise DataError(f"its format is not known; known: {', '.join(SUFFIXES)}")


def _zip_members(archive: Path) -> Generator[Member, None, None]:
    with zipfile.ZipFile(archive) as zipped:
        at = 0
        for info in zipped.infolist():
            # As the archive has it: zipfile's own ``filename`` is already cut at a zero byte.
            name = info.orig_filename
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{name!r} in it is a link or a device")
            if info.flag_bits & 1:
                raise DataError(f"{name!r} in it asks for a password")
            at += info.compress_size
            folder = name.endswith(("/", "\\"))
            yield Member(name, info.file_size, at, None if folder else zipped.open(info))


class _Gauge:
    """A stream that refuses to be read past an allowance: a tar's headers can be bombs too."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = 0
        self.tail = b""

    def allow(self, size: int) -> None:
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"its headers take more than {HEADERS:,} bytes")
        self.tail = (self.tail + data)[-2 * tarfile.BLOCKSIZE :]
        return data


def _tar_members(archive: Path, opener: Opener) -> Generator[Member, None, None]:
    with archive.open("rb") as raw, opener(raw) as stream:
        gauge = _Gauge(stream)
        gauge.allow(HEADERS)
        with tarfile.open(fileobj=cast(IO[bytes], gauge), mode="r|") as tar:
            while (info := tar.next()) is not None:
                if info.issparse() or not (info.isreg() or info.isdir()):
                    raise DataError(f"{info.name!r} in it is a link or a device")
                gauge.allow(info.size + HEADERS)
                yield Member(info.name, info.size, raw.tell(), tar.extractfile(info))
                gauge.allow(HEADERS)
        # To the end, where the compressed formats keep their checksum.
        while gauge.read(CHUNK):
            pass
        # tarfile takes a tar that breaks off between two files for a whole one; a compressed one cannot break off so.
        if stream is raw and (gauge.tail.strip(b"\0") or len(gauge.tail) < 2 * tarfile.BLOCKSIZE):
            raise EOFError("it ends before its end mark")
