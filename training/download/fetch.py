"""One file over HTTP: resumed after a break, checked against what is published, in place only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from medzoo._version import __version__
from medzoo.core.errors import DataError
from training.download.responses import Again, Note, Remote, refuse, rest, whole

CHUNK = 1 << 17
TIMEOUT = (15, 60)  # seconds to connect, and between two arrivals of data
RETRIES = 6  # failures in a row, with waits of 1, 2, 4 ... seconds between them
GAIN = 1 << 20  # new bytes after which a failure counts as the first again

Progress = Callable[[int, int | None], None]


class _Part:
    """The beginning of a file as it arrived, beside a note of what it is the beginning of."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")

    @property
    def length(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def note(self) -> Note | None:
        try:
            return Note(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):  # never begun, or not ours: start anew
            return None

    def begin(self, note: Note) -> None:
        # Emptied before the note is written: a note never describes bytes of another answer.
        self.path.write_bytes(b"")
        draft = self._note.with_name(self._note.name + ".new")
        draft.write_text(json.dumps(asdict(note)), encoding="utf-8")
        draft.replace(self._note)

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self._note.unlink(missing_ok=True)


def fetch(
    remote: Remote,
    target: Path,
    *,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch one file, going on where an earlier call broke off.

    What has arrived is kept as ``<target>.part`` beside a note of the server's validator (ETag or
    Last-Modified). A later call asks for the rest only, on the condition that the file is still the
    same; a server that cannot do so, or has another file by now, is asked for the whole. Without a
    validator a part is used only where a published digest decides in the end. Proxies and
    certificates are those of ``requests`` (``HTTPS_PROXY``, ``REQUESTS_CA_BUNDLE``, ``.netrc``).

    Args:
        remote: The file, with the size and digest that are published.
        target: Where it goes. A file that is there already and is what is published is kept.
        progress: Called with the bytes that have arrived and the bytes in all (``None`` where the
            server does not say).
        sleep: Waits between two attempts.

    Returns:
        ``target``, whole and verified.

    Raises:
        DataError: The server refuses, fails again and again, or sends something else than what is
            published (which is then removed), or the disk is too small.

    Example:
        >>> import tempfile
        >>> here = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> here.write_text("a,1")
        3
        >>> fetch(Remote("https://data.invalid/labels.csv", "nobody", size=3), here).name  # in place: not fetched
        'labels.csv'

    Source:
        Range requests and ``If-Range``: RFC 9110, sections 13.1.5 and 14.
    """
    if target.exists():
        if _is_published(remote, target):
            return target
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target)
    failures, best = 0, part.length
    with requests.Session() as session:
        session.headers.update({"User-Agent": f"medzoo/{__version__}", "Accept-Encoding": "identity"})
        while True:
            try:
                found = _attempt(session, remote, part, target.name, progress)
                break
            except Again as again:
                failures = 1 if part.length >= best + GAIN else failures + 1
                best = max(best, part.length)
                if failures > RETRIES:
                    raise DataError(
                        f"{remote.url}: {again}, {failures} times in a row;"
                        " what has arrived is kept: run the same command again to go on"
                    ) from again
                sleep(2.0 ** (failures - 1) if again.wait is None else again.wait)
    wrong = _difference(remote, part.length, found)
    if wrong:
        part.drop()
        raise DataError(
            f"{target.name} from {remote.url} {wrong} ({remote.source}); it was removed. Run the same command again;"
            " if it stays so, the publisher has changed the file or something on the way does"
        )
    part.finish(target)
    return target


def need_room(folder: Path, size: int, what: str) -> None:
    """Check that a folder's disk has room.

    Args:
        folder: An existing folder.
        size: Bytes needed.
        what: What for, for the message.

    Raises:
        DataError: There is less.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DataError(
            f"{what} needs {size / 1e9:.1f} GB, the disk of {folder} has {free / 1e9:.1f} GB free;"
            " make room or name another data folder"
        )


def _attempt(session: requests.Session, remote: Remote, part: _Part, name: str, progress: Progress | None) -> str:
    """Bring the part to its end, or raise ``Again``; returns the digest of what is there."""
    algorithm = remote.digest.partition(":")[0] if remote.digest else "sha256"
    note, have = part.note(), part.length
    if note is None or note.url != remote.url or not (note.validator or remote.digest):
        note, have = None, 0
    if note and have and have == note.total:  # stopped between the last byte and the move
        return _digest(part.path, algorithm).hexdigest()
    headers = {}
    if note and have:
        headers["Range"] = f"bytes={have}-"
        if note.validator:
            headers["If-Range"] = note.validator
    try:
        with session.get(remote.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            refuse(response, remote, name)
            if response.status_code == 200:
                # The whole was asked for, or the server has no ranges or another file by now.
                note, have = whole(response, remote), 0
                need_room(part.path.parent, note.total or 0, name)
                part.begin(note)
            else:
                note = rest(response, note, have) if note and response.status_code == 206 else None
            if note is None:
                part.drop()
                raise Again("the server's file has changed", wait=0)
            hasher = _digest(part.path, algorithm)
            with part.path.open("ab") as file:
                # Undecoded: sizes, ranges and digests are of the file, some servers "encode" what is a .gz anyway.
                while chunk := response.raw.read(CHUNK, decode_content=False):
                    file.write(chunk)
                    hasher.update(chunk)
                    have += len(chunk)
                    if progress:
                        progress(have, note.total)
    except requests.exceptions.SSLError as error:
        raise DataError(
            f"{remote.url}: the certificate is not trusted ({error});"
            " behind a proxy that opens TLS, name its certificate in REQUESTS_CA_BUNDLE"
        ) from error
    except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
        raise Again(f"the connection failed or dropped ({type(error).__name__})") from error
    except requests.RequestException as error:
        raise DataError(f"{remote.url} cannot be fetched: {error}") from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DataError(f"the disk of {part.path.parent} is full; make room and run the same command again") from error
    if note.total is not None and have < note.total:
        raise Again(f"the connection was closed after {have:,} of {note.total:,} bytes")
    return hasher.hexdigest()


def _digest(path: Path, algorithm: str) -> hashlib._Hash:
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher


def _difference(remote: Remote, length: int, found: str) -> str | None:
    """In what a file differs from what is published; ``None`` where in nothing."""
    if remote.size is not None and length != remote.size:
        return f"has {length:,} bytes, {remote.size:,} are published"
    if remote.digest:
        algorithm, _, digest = remote.digest.partition(":")
        if found != digest.lower():
            return f"has the {algorithm} {found}, published is {digest}"
    return None


def _is_published(remote: Remote, path: Path) -> bool:
    if remote.size is not None and path.stat().st_size != remote.size:
        return False
    if remote.digest is None:
        return True  # it is only moved into place when whole
    return _difference(remote, path.stat().st_size, _digest(path, remote.digest.partition(":")[0]).hexdigest()) is None
