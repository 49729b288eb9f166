"""The content store behind a Hub whose client has xet on, as its users do: a folder that ``hf_xet`` fills and reads.

The client takes ``local://FOLDER`` as the address of such a store (not documented; hf_xet 1.8), so client and server
must share a disk. One process at a time can have the store open, so what the server reads, it reads from a copy.

In ``xet/xorbs/shards`` stands which contents there are. A shard is a header of 48 bytes and then, for each content, its
hash, flags and number of segments (48 bytes), the segments (48 each, the size in the 10th number), as many entries for
verification where the first flag is set, and its sha256 where the second is; a hash of ones ends it.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import hf_xet

_ENTRY = 48
_VERIFIED, _NAMED = 1 << 31, 1 << 30
_END = b"\xff" * 32


@dataclass(frozen=True)
class Content:
    """One content: how the store names it, and its size in bytes."""

    hash: str
    size: int


class XetStore:
    """A store in a folder.

    Args:
        folder: Where it is; made by the client's first upload.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def token(self) -> dict[str, str]:
        """What the Hub says to who asks where the store is: one half of the client reads headers, the other JSON."""
        return {"casUrl": f"local://{self.folder}", "accessToken": "xet", "exp": str(int(time.time()) + 3600)}

    def contents(self) -> dict[str, Content]:
        """All contents, by sha256."""
        shards = (self.folder / "xet" / "xorbs" / "shards").glob("*.mdb")
        return {name: content for shard in shards for name, content in _read_shard(shard.read_bytes()).items()}

    def read(self, content: Content) -> bytes:
        """The bytes of a content."""
        with tempfile.TemporaryDirectory() as top:
            copy, out = Path(top) / "store", Path(top) / "out"
            shutil.copytree(self.folder, copy)
            with hf_xet.XetSession().new_file_download_group(
                endpoint=f"local://{copy}", token="xet", token_expiry_unix_secs=int(time.time()) + 3600
            ) as group:
                group.start_download_file(hf_xet.XetFileInfo(content.hash, content.size), str(out))
            return out.read_bytes()


def _read_shard(shard: bytes) -> dict[str, Content]:
    found, at = {}, _ENTRY
    while shard[at : at + 32] != _END:
        content, (flags, segments) = _text(shard, at), struct.unpack_from("<2I", shard, at + 32)
        sizes = [struct.unpack_from("<10I", shard, at + _ENTRY * (1 + number))[9] for number in range(segments)]
        at += _ENTRY * (1 + segments * (2 if flags & _VERIFIED else 1))
        if flags & _NAMED:
            found[_text(shard, at)] = Content(content, sum(sizes))
            at += _ENTRY
    return found


def _text(shard: bytes, at: int) -> str:
    return "".join(f"{part:016x}" for part in struct.unpack_from("<4Q", shard, at))
