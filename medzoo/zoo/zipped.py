"""A folder zoo as one zip file: what a load needs is taken out into the cache, once.

No path of the archive is used: of a weight that the index names, the files of a bundle are looked up by name.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medzoo.core.atomic import replacing_folder
from medzoo.core.cache import cache_folder, locked
from medzoo.core.errors import ZooError
from medzoo.zoo.bundle import MODEL, is_bundle_file
from medzoo.zoo.pins import INDEX, Pin, parse_pins

MAX_INDEX = 1 << 20
MAX_BESIDE = 1 << 29  # bytes of all that lies beside a weights file; the hashes of a million images are 57 MB

# What zipfile raises for a file that is no zip, was cut short, has flipped bits or asks for a password.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def read_zip_index(archive: Path) -> dict[str, Pin]:
    """What a zipped zoo holds, by weight name.

    Raises:
        ZooError: It cannot be read, or is no zipped zoo.
    """
    with _opened(archive) as zipped:
        info = zipped.getinfo(_top(zipped, archive) + INDEX)
        if info.file_size > MAX_INDEX:
            raise ZooError(f"{archive} has an index of {info.file_size:,} bytes, which no zoo has; fetch it again")
        table = json.loads(zipped.read(info))
        if not isinstance(table, dict):
            raise ZooError(f"the {INDEX} in {archive} holds a JSON {type(table).__name__}, expected an object")
    return parse_pins(table, archive)


def unzip_weight(archive: Path, name: str, pin: Pin) -> Path:
    """Take one weight out of a zipped zoo into the cache, if it is not there yet.

    Args:
        archive: The zip.
        name: A weight that its index names.
        pin: What the index says of it.

    Returns:
        The bundle's folder.

    Raises:
        ZooError: The zip is broken or does not hold the weight, or the disk is full.
    """
    stat = archive.stat()
    key = hashlib.sha256(f"{archive.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:32]
    folder = cache_folder() / "zips" / key / name
    with locked(folder):
        if not folder.is_dir():
            _take_out(archive, name, pin, folder)
    return folder


def _take_out(archive: Path, name: str, pin: Pin, folder: Path) -> None:
    with _opened(archive) as zipped:
        prefix = f"{_top(zipped, archive)}{name}/"
        found = {
            info.filename.removeprefix(prefix): info
            for info in zipped.infolist()
            if info.filename.startswith(prefix) and is_bundle_file(info.filename.removeprefix(prefix))
        }
        if MODEL not in found or found[MODEL].file_size != pin.bytes:
            raise ZooError(f"{archive} has no whole {MODEL} of {name}; fetch it again")
        if sum(info.file_size for info in found.values()) - pin.bytes > MAX_BESIDE:
            raise ZooError(f"{archive} holds more than {MAX_BESIDE:,} bytes beside the weights of {name}")
        with replacing_folder(folder) as new:
            for file, info in found.items():
                with zipped.open(info) as source, (new / file).open("xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)


def _top(zipped: zipfile.ZipFile, archive: Path) -> str:
    """The folder that holds the zoo: the zip's own top, or the one folder that was zipped."""
    for entry in zipped.namelist():
        if entry == INDEX or (entry.endswith(f"/{INDEX}") and entry.count("/") == 1):
            return entry.removesuffix(INDEX)
    raise ZooError(f"{archive} is not a zipped zoo: it has no {INDEX}; 'medzoo mirror DEST --zip' makes one")


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as zipped:
            yield zipped
    except (*_BROKEN, RecursionError) as error:
        raise ZooError(f"{archive} is broken ({error}); fetch it again") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ZooError(f"the disk of {cache_folder()} is full; make room, or set MEDZOO_CACHE") from error
        raise ZooError(f"{archive} cannot be unpacked into {cache_folder()} ({error}); set MEDZOO_CACHE") from error
