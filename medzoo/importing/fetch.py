"""Get a checkpoint's file: from disk, from an address, or from the Hub; with its hash."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from medzoo.core.cache import cache_folder
from medzoo.core.download import Remote
from medzoo.core.download import fetch as download
from medzoo.core.errors import DataError, ZooError
from medzoo.core.progress import counting
from medzoo.importing.checkpoint import refuse_what_is_no_file
from medzoo.zoo.verify import sha256_of

_HUB = re.compile(
    r"hf://(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w.-]+))?(?:/(?P<file>[\w./ -]+))?"
)
_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".h5", ".bin", ".tar")


@dataclass(frozen=True)
class Fetched:
    """A file that is on this machine.

    Attributes:
        path: Where it lies.
        address: Where it is from.
        revision: On the Hub, the commit; else empty.
        sha256: Its hash.
    """

    path: Path
    address: str
    revision: str
    sha256: str


def fetch(source: str | Path, sha256: str = "") -> Fetched:
    """Get a checkpoint's file.

    A file of an address is kept in the cache folder, and an interrupted download resumes. What an address gave the
    first time is remembered by its hash: another file there later is an error.

    Args:
        source: A path, ``https://...``, or ``hf://org/repo[@revision][/file]``.
        sha256: The hash that its publisher names; empty where nobody does.

    Raises:
        ZooError: It is not available, or is not the file that was published or recorded.
    """
    address = str(source)
    if address.startswith("hf://"):
        fetched = _from_hub(address)
    elif address.startswith(("https://", "http://")):
        fetched = _from_address(address)
    else:
        path = Path(source)
        if not path.is_file():
            raise ZooError(f"there is no file {path}; give a file, https://..., hf://org/repo/file, or a known name")
        fetched = Fetched(path, str(source), "", sha256_of(path))
    _check(fetched, sha256)
    return fetched


def _from_address(address: str) -> Fetched:
    name = re.sub(r"[^\w.-]+", "_", address.split("?")[0].rstrip("/").rsplit("/", 1)[-1]) or "download"
    folder = cache_folder() / "downloads" / re.sub(r"[^\w.-]+", "_", address.split("//", 1)[1])[-120:]
    path = folder / name
    try:
        if not path.is_file():
            with counting(f"downloading {name}", "bytes") as progress:
                download(
                    Remote(address, "the address given"),
                    path,
                    progress=lambda done, total: progress(done, total or done),
                )
    except DataError as error:
        raise ZooError(str(error)) from error
    with path.open("rb") as file:
        head = file.read(1024)
    try:
        refuse_what_is_no_file(head, path)
    except ZooError:
        path.unlink()  # the next try asks the server again
        raise
    return Fetched(path, address, "", sha256_of(path))


def _from_hub(address: str) -> Fetched:
    from medzoo.zoo import hub  # the client reads its settings when it is imported

    match = _HUB.fullmatch(address)
    if match is None:
        raise ZooError(f"{address} is no place on the Hub; write hf://org/repo[@revision][/file]")
    path, revision = hub.fetch_weights_file(match["repo"], match["file"], match["revision"], _WEIGHTS)
    return Fetched(path, address, revision, sha256_of(path.resolve()))


def _check(fetched: Fetched, sha256: str) -> None:
    wanted, who = sha256, "published"
    note = cache_folder() / "imports" / re.sub(r"[^\w.-]+", "_", fetched.address)[-160:]
    remote = "://" in fetched.address
    if not wanted and remote and note.is_file():
        wanted, who = note.read_text(encoding="utf-8").strip(), "recorded at the first import"
    if wanted and fetched.sha256 != wanted:
        raise ZooError(
            f"{fetched.address} gave a file with sha256 {fetched.sha256}, and {who} is {wanted}: it has changed or was "
            f"cut off. Remove {fetched.path} to fetch it again" + ("" if sha256 else f", and {note} too")
        )
    if remote and not sha256 and not note.is_file():
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(fetched.sha256, encoding="utf-8")
