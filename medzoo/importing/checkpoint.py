"""Open a checkpoint of any kind: by its content, not by its name."""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medzoo.core.errors import ZooError
from medzoo.importing.keras_h5 import read_densenet
from medzoo.importing.tensor_refs import TensorRef
from medzoo.importing.torch_files import LegacyFile, ZipFile

# What a weights file inside an archive is called.
_ENDINGS = (".pth", ".pt", ".ckpt", ".tar", ".safetensors", ".h5", ".hdf5", ".bin")
_LARGEST_MEMBER = 8 << 30

Members: TypeAlias = tuple[list[tuple[str, int]], Callable[[str], IO[bytes]]]  # of an open archive


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint.

    Attributes:
        kind: What it is, in words.
        tree: What it holds; the tensors of torch's files are ``TensorRef``.
        read: Gives the values of a tensor.
    """

    kind: str
    tree: Any
    read: Callable[[Any], Tensor]


@contextmanager
def open_checkpoint(path: Path, member: str | None = None) -> Iterator[Checkpoint]:
    """Open a weights file without running any of its code.

    Args:
        path: A safetensors file, a file of ``torch.save`` (new or old form), Keras' HDF5, or a zip or tar archive of
            one of these.
        member: Which file of an archive, where it holds several.

    Yields:
        The checkpoint; its tensors can be read inside the ``with``.

    Raises:
        ZooError: It is none of these, damaged, or not the file itself but a pointer to it or a web page.
    """
    if not path.is_file():
        raise ZooError(f"there is no file {path}")
    head = _head(path)
    refuse_what_is_no_file(head, path)
    members = _zip_members if head[:4] == b"PK\x03\x04" and not _is_torch(path) else None
    members = _tar_members if head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar" else members
    with ExitStack() as stack:  # Windows removes no file that is open
        if members is None:
            yield _open(path, head, stack)
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with ExitStack() as archive:
            name, inner = _unpack(path, member, *members(path, archive), folder)
        head = _head(inner)
        refuse_what_is_no_file(head, inner)
        one = _open(inner, head, stack)
        yield Checkpoint(f"{one.kind}, in an archive as {name}", one.tree, one.read)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _open(path: Path, head: bytes, stack: ExitStack) -> Checkpoint:
    if head[:4] == b"PK\x03\x04":
        opened = ZipFile(path, stack.enter_context(zipfile.ZipFile(path)))
        return Checkpoint("torch.save", opened.tree, _reader(opened))
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return Checkpoint("Keras HDF5", read_densenet(path), _as_it_is)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        try:
            return Checkpoint("safetensors", load_file(path), _as_it_is)
        except (SafetensorError, OSError) as error:
            raise ZooError(f"{path} cannot be read as safetensors ({error}); fetch it again") from error
    if head[:1] == b"\x80":
        legacy = LegacyFile(path)
        return Checkpoint("torch.save, the form before 1.6", legacy.tree, _reader(legacy))
    raise ZooError(
        f"{path} is no weights file: it begins with {head[:8]!r}. Known are safetensors, files of torch.save, Keras "
        "HDF5, and zip or tar archives of these"
    )


def _is_torch(path: Path) -> bool:
    """Whether a zip is one of torch's own."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ZooError(
            f"{path} is a zip that is damaged or cut off at {path.stat().st_size:,} bytes ({error}); fetch it again"
        ) from error
    return any(name.endswith("/data.pkl") or name == "data.pkl" for name in names)


def refuse_what_is_no_file(head: bytes, path: Path) -> None:
    """Refuse what stands in a file's place when it was not fetched.

    Raises:
        ZooError: It is a web page, a Git LFS pointer or empty.
    """
    if not head:
        raise ZooError(f"{path} is empty; fetch it again")
    if head.startswith(b"version https://git-lfs"):
        raise ZooError(
            f"{path} is a Git LFS pointer and not the file itself; run 'git lfs pull' there, or download the file"
        )
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise ZooError(
            f"{path} is a web page and not the file: a login or a confirmation stands between; open the address in a "
            "browser, and give the file that it saves"
        )


def _reader(file: ZipFile | LegacyFile) -> Callable[[Any], Tensor]:
    return lambda value: file.tensor(value) if isinstance(value, TensorRef) else value


def _as_it_is(value: Any) -> Tensor:
    return value


def _zip_members(path: Path, stack: ExitStack) -> Members:
    archive = stack.enter_context(zipfile.ZipFile(path))
    return [(info.filename, info.file_size) for info in archive.infolist() if not info.is_dir()], archive.open


def _tar_members(path: Path, stack: ExitStack) -> Members:
    try:
        archive = stack.enter_context(tarfile.open(path))  # noqa: SIM115
        files = [(one.name, one.size) for one in archive.getmembers() if one.isreg()]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ZooError(f"{path} is an archive that is damaged or cut off ({error}); fetch it again") from error

    def opened(name: str) -> IO[bytes]:
        file = archive.extractfile(name)
        if file is None:
            raise ZooError(f"{path} holds no file {name}")
        return file

    return files, opened


def _unpack(
    path: Path,
    member: str | None,
    files: list[tuple[str, int]],
    opened: Callable[[str], IO[bytes]],
    folder: Path,
) -> tuple[str, Path]:
    """Copy the one weights file of an archive into a folder."""
    found = [(name, size) for name, size in files if (name == member if member else name.lower().endswith(_ENDINGS))]
    if len(found) != 1:
        names = ", ".join(name for name, _ in (found or files)[:8]) or "nothing"
        what = f"has no file {member}" if member else f"holds {len(found)} weights files"
        raise ZooError(f"{path} is an archive that {what}; it holds {names}. Name one (--member)")
    ((name, size),) = found
    if size > _LARGEST_MEMBER:
        raise ZooError(f"{path} holds {name} of {size:,} bytes; unpack it yourself, and give that file")
    inner = folder / Path(name).name
    try:
        with opened(name) as source, inner.open("wb") as target:
            left = size
            while left > 0 and (block := source.read(min(left, 1 << 22))):
                target.write(block)
                left -= len(block)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise ZooError(f"{path} is damaged at {name} ({error}); fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a way of packing that is not read here
        raise ZooError(
            f"{path} cannot be unpacked at {name} ({error}); unpack it yourself, and give that file"
        ) from error
    return name, inner
