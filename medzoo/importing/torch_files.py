"""Files of ``torch.save``: the zip of torch 1.6 and later, and the older stream of pickles."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from medzoo.core.errors import ZooError
from medzoo.importing.safe_pickle import read_pickle
from medzoo.importing.tensor_refs import REBUILD, StorageRef, TensorRef, persistent

# What torch writes in front of the older form: a number of its own, and the form's version.
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class TorchFile:
    """An open checkpoint: its objects without values, and the values of the tensors that are asked for.

    Attributes:
        path: The file.
        tree: What it holds; tensors are ``TensorRef``, objects of other classes ``Record``.
    """

    path: Path
    tree: Any

    def tensor(self, ref: TensorRef) -> Tensor:
        """Read the values of one tensor."""
        return ref.view(torch.frombuffer(bytearray(self._bytes(ref.storage)), dtype=ref.storage.dtype))

    def _bytes(self, storage: StorageRef) -> bytes:
        raise NotImplementedError


class ZipFile(TorchFile):
    """The zip form.

    Raises:
        ZooError: It is damaged, or not one of torch's.
    """

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = opened
        pickles = [name for name in self._zip.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(pickles) != 1:
            raise ZooError(f"{path} is a zip with {len(pickles)} files data.pkl; torch writes one")
        self._root = pickles[0].removesuffix("data.pkl")
        self._size = path.stat().st_size
        order = self._read(f"{self._root}byteorder", "little") if self._has("byteorder") else b"little"
        if order.strip() != b"little":
            raise ZooError(f"{path} was written on a big-endian machine; save it on a little-endian one")
        self.tree, _ = read_pickle(self._read(pickles[0], "the objects"), REBUILD, persistent)

    def _has(self, name: str) -> bool:
        return self._root + name in self._zip.NameToInfo

    def _read(self, name: str, what: str) -> bytes:
        try:
            info = self._zip.getinfo(name)
        except KeyError as error:
            raise ZooError(f"{self.path} lacks {name}, {what}; it is damaged, fetch it again") from error
        # torch stores, and never packs: no file can be larger than the whole.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > self._size:
            raise ZooError(f"{self.path} holds {name} packed, as torch never does; unpack and save it again")
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, EOFError) as error:
            raise ZooError(f"{self.path} is damaged at {name} ({error}); fetch it again") from error

    def _bytes(self, storage: StorageRef) -> bytes:
        data = self._read(f"{self._root}data/{storage.key}", "values")
        wanted = storage.count * storage.dtype.itemsize
        if len(data) < wanted:
            raise ZooError(f"{self.path} holds {len(data)} bytes where {wanted} are named; it is damaged")
        return data[:wanted]


class LegacyFile(TorchFile):
    """The older form: pickles one after the other, then the values of every storage.

    Raises:
        ZooError: It is damaged, or a pickle of something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if _pickle(file) != _MAGIC or _pickle(file) != _PROTOCOL:
                raise ZooError(f"{path} is a pickle and not a file of torch.save; save it with torch")
            system = _pickle(file)
            if isinstance(system, dict) and system.get("little_endian") is False:
                raise ZooError(f"{path} was written on a big-endian machine; save it on a little-endian one")
            seen: dict[str, StorageRef] = {}
            self.tree = _pickle(file, seen)
            keys = _pickle(file)
            self._places = self._find(file, keys, seen)

    def _find(self, file: BinaryIO, keys: Any, seen: dict[str, StorageRef]) -> dict[str, int]:
        """Where each storage's values begin."""
        if not isinstance(keys, list):
            raise ZooError(f"{self.path} lists no storages; it is damaged")
        size, places = self.path.stat().st_size, {}
        for key in map(str, keys):
            count = int.from_bytes(file.read(8), "little")
            if key not in seen or count != seen[key].count:
                raise ZooError(f"{self.path} holds {count} values where {key:.40} has others; it is damaged")
            places[key] = file.tell()
            end = places[key] + count * seen[key].dtype.itemsize
            if end > size:
                raise ZooError(f"{self.path} ends after {size:,} bytes, in the middle of its values; fetch it again")
            file.seek(end)
        return places

    def _bytes(self, storage: StorageRef) -> bytes:
        if storage.key not in self._places:
            raise ZooError(f"{self.path} lacks the values {storage.key:.40}; it is damaged")
        with self.path.open("rb") as file:
            file.seek(self._places[storage.key])
            return file.read(storage.count * storage.dtype.itemsize)


def _pickle(file: BinaryIO, seen: dict[str, StorageRef] | None = None) -> Any:
    def storage(persistent_id: Any) -> Any:
        found = persistent(persistent_id)
        if seen is not None and isinstance(found, StorageRef):
            seen[found.key] = found
        return found

    return read_pickle(file, REBUILD, storage)[0]
