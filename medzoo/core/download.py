"""Fetch one file over HTTP: resumed, verified, in place only when whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from medzoo._version import __version__
from medzoo.core.atomic import needing_room, write_json
from medzoo.core.errors import DataError

CHUNK = 1 << 17
TIMEOUT = (15, 60)  # seconds to connect, and between two arrivals of data
RETRIES = 6  # failures in a row, with waits of 1, 2, 4 ... seconds between them
GAIN = 1 << 20  # new bytes after which a failure counts as the first again
LONGEST_WAIT = 300  # seconds; a server that asks for more is not waited for
BUSY = frozenset({408, 429, 500, 502, 503, 504})

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Remote:
    """One file on a server, and what is published about it.

    Attributes:
        url: Where it is.
        source: The public source of the URL, the size and the digest, in words.
        size: Bytes; ``None`` if not published.
        digest: ``"<algorithm>:<hex>"`` with a name that ``hashlib`` knows; ``None`` if not published.
    """

    url: str
    source: str
    size: int | None = None
    digest: str | None = None


@dataclass(frozen=True)
class _Response:
    """The response that a partial file is the beginning of."""

    url: str
    validator: str | None
    total: int | None


class _Part:
    """A partial file, beside a record of the response that it came from."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self._record = target.with_name(target.name + ".part.json")

    @property
    def length(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self, remote: Remote) -> _Response | None:
        """Return the response it came from, if it can be resumed."""
        try:
            found = _Response(**json.loads(self._record.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):  # never begun, or not ours
            return None
        return found if found.url == remote.url and (found.validator or remote.digest) else None

    def begin(self, response: _Response) -> None:
        # Emptied first: a record never describes bytes of another response.
        self.path.write_bytes(b"")
        write_json(self._record, asdict(response))

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self._record.unlink(missing_ok=True)


class _RetryError(Exception):
    """A failure that may pass; ``wait`` is the server's wish in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def fetch(
    remote: Remote,
    target: Path,
    *,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch one file, or resume an interrupted download.

    Partial data is kept as ``<target>.part`` beside the server's validator (ETag or Last-Modified). A later call
    requests the rest only, on condition that the file is unchanged; otherwise the whole file. Without a validator a
    partial file is used only if a published digest verifies the result. Proxies and certificates are those of
    ``requests`` (``HTTPS_PROXY``, ``REQUESTS_CA_BUNDLE``, ``.netrc``).

    Args:
        remote: The file, with its published size and digest.
        target: Where it goes. An existing file that is as published is kept.
        progress: Called with the bytes received and the bytes in all (``None`` if unknown).
        sleep: Waits between two attempts.

    Returns:
        ``target``, whole and verified.

    Raises:
        DataError: The server refuses, fails repeatedly, or sends something else than what is published (which is then
            removed), or the disk is too small.

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
        if _difference(remote, target) is None:
            return target
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target)
    failures, best = 0, part.length
    with requests.Session() as session:
        session.headers.update({"User-Agent": f"medzoo/{__version__}", "Accept-Encoding": "identity"})
        while True:
            try:
                _attempt(session, remote, part, target.name, progress)
                break
            except _RetryError as error:
                failures = 1 if part.length >= best + GAIN else failures + 1
                best = max(best, part.length)
                if failures > RETRIES:
                    raise DataError(
                        f"{remote.url}: {error}, {failures} times in a row;"
                        " what has arrived is kept: run the same command again to resume"
                    ) from error
                sleep(2.0 ** (failures - 1) if error.wait is None else error.wait)
    if wrong := _difference(remote, part.path):
        part.drop()
        raise DataError(
            f"{target.name} from {remote.url} {wrong} ({remote.source}); it was removed. Run the same command again;"
            " if it stays so, the publisher or something on the way has changed the file"
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


def _attempt(session: requests.Session, remote: Remote, part: _Part, name: str, progress: Progress | None) -> None:
    """Complete the partial file, or raise ``_RetryError``."""
    origin = part.origin(remote)
    have = part.length if origin else 0
    if origin and have and have == origin.total:  # stopped between the last byte and the move
        return
    headers = {"Range": f"bytes={have}-"} if have else {}
    if origin and origin.validator and have:
        headers["If-Range"] = origin.validator
    try:
        with session.get(remote.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _refuse(response, remote, name)
            if response.status_code == 200:  # not asked for a range, or the server has none, or another file by now
                origin, have = _whole(response, remote), 0
                need_room(part.path.parent, origin.total or 0, name)
                part.begin(origin)
            else:
                origin = _rest(response, origin, have) if origin and response.status_code == 206 else None
            if origin is None:
                part.drop()
                raise _RetryError("the server's file has changed", wait=0)
            with needing_room(part.path), part.path.open("ab") as file:
                # Undecoded: sizes, ranges and digests are of the file; some servers declare a .gz as "encoded".
                while chunk := response.raw.read(CHUNK, decode_content=False):
                    file.write(chunk)
                    have += len(chunk)
                    if progress:
                        progress(have, origin.total)
    except requests.exceptions.SSLError as error:
        raise DataError(
            f"{remote.url}: the certificate is not trusted ({error});"
            " behind a proxy that opens TLS, name its certificate in REQUESTS_CA_BUNDLE"
        ) from error
    except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
        raise _RetryError(f"the connection failed or dropped ({type(error).__name__})") from error
    except requests.RequestException as error:
        raise DataError(f"{remote.url} cannot be fetched: {error}") from error
    if origin.total is not None and have < origin.total:
        raise _RetryError(f"the connection was closed after {have:,} of {origin.total:,} bytes")


def _difference(remote: Remote, path: Path) -> str | None:
    """Return how a file differs from what is published; ``None`` if it does not."""
    length = path.stat().st_size
    if remote.size is not None and length != remote.size:
        return f"has {length:,} bytes, {remote.size:,} are published"
    if remote.digest:
        algorithm, _, digest = remote.digest.partition(":")
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
        if hasher.hexdigest() != digest.lower():
            return f"has the {algorithm} {hasher.hexdigest()}, published is {digest}"
    return None


def _refuse(response: requests.Response, remote: Remote, name: str) -> None:
    """Raise ``_RetryError`` or ``DataError`` for a response that holds no file."""
    # Messages name the URL asked for: that of the response may carry a signature.
    code = response.status_code
    if code in BUSY:
        wait = _seconds(response.headers.get("Retry-After"))
        if wait is not None and wait > LONGEST_WAIT:
            raise DataError(f"{remote.url} answered {code} and asks to come back in {wait:.0f} s; run again then")
        raise _RetryError(f"the server answered {code}", wait)
    if code == 416:  # nothing behind what is kept: the file has become shorter
        return
    if code >= 400:
        raise DataError(f"{remote.url} answered {code} {response.reason}; the publisher may have moved the file")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise DataError(
            f"{remote.url} sent a web page instead of {name}; open the address in a browser, fetch the file by hand"
        )
    coding = response.headers.get("Content-Encoding", "identity")
    if coding != "identity" and not name.endswith((".gz", ".tgz")):
        raise DataError(f"{remote.url} sent {name} in the encoding {coding}, which was not requested")


def _rest(response: requests.Response, origin: _Response, have: int) -> _Response | None:
    """Return the origin of a partial response, ``None`` if it is not the rest of what is kept."""
    span, _, size = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    total = int(size) if size.isdigit() else origin.total
    changed = origin.validator is not None and _validator(response) not in (None, origin.validator)
    if changed or span.partition("-")[0] != str(have) or origin.total not in (None, total):
        return None
    return replace(origin, total=total)


def _whole(response: requests.Response, remote: Remote) -> _Response:
    """Check what the headers of a whole response promise."""
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() and not chunked else None
    if total is None and not chunked and remote.size is None and remote.digest is None:
        raise DataError(
            f"{remote.url} does not say how long its file is, and nobody publishes it: whether it arrives whole"
            " cannot be verified; fetch it by hand"
        )
    if remote.size is not None and total not in (None, remote.size):
        raise DataError(
            f"{remote.url} offers {total:,} bytes, {remote.size:,} are published ({remote.source});"
            " the publisher or something on the way has changed the file"
        )
    return _Response(remote.url, _validator(response), total)


def _validator(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag")
    # A weak ETag may stay the same while bytes change, so that If-Range must not carry one (RFC 9110, 13.1.5).
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _seconds(header: str | None) -> float | None:
    """Parse ``Retry-After``, a number or a date; ``None`` if it is neither."""
    if header is None:
        return None
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
