"""What a server's answer means for a file that is being fetched: go on, start anew, wait, or stop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from medzoo.core.errors import DataError

LONGEST_WAIT = 300  # seconds; a server that asks for more is left alone
BUSY = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Remote:
    """One file on a server, and what is published about it.

    Attributes:
        url: Where it is.
        source: The public source of the URL, the size and the digest, in words.
        size: Bytes; ``None`` where nobody publishes them.
        digest: ``"<algorithm>:<hex>"`` with a name that ``hashlib`` knows; ``None`` where nobody
            publishes one.
    """

    url: str
    source: str
    size: int | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Note:
    """Which answer of the server a kept part is the beginning of."""

    url: str
    validator: str | None
    total: int | None


class Again(Exception):  # noqa: N818 - a turn of the loop, never seen outside
    """A failure that may pass; ``wait`` is the server's wish in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def refuse(response: requests.Response, remote: Remote, name: str) -> None:
    """Stop at an answer that holds no file.

    Args:
        response: What the server answered; its body is not read.
        remote: The file asked for. Its URL stands in the messages: that of the answer may carry a signature.
        name: The file's name.

    Raises:
        Again: Waiting may help.
        DataError: It does not.
    """
    code = response.status_code
    if code in BUSY:
        wait = _seconds(response.headers.get("Retry-After"))
        if wait is not None and wait > LONGEST_WAIT:
            raise DataError(f"{remote.url} answered {code} and asks to come back in {wait:.0f} s; run again then")
        raise Again(f"the server answered {code}", wait)
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
        raise DataError(f"{remote.url} sent {name} in the encoding {coding}, which was not asked for")


def rest(response: requests.Response, note: Note, have: int) -> Note | None:
    """Tell whether a partial answer is the rest of what is kept.

    Args:
        response: An answer of status 206.
        note: What the kept part is the beginning of.
        have: Bytes kept.

    Returns:
        The note, with the whole's size where the first answer did not tell it; ``None`` where the
        answer belongs to another file or begins elsewhere.
    """
    span, _, size = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    total = int(size) if size.isdigit() else note.total
    changed = note.validator is not None and _validator(response) not in (None, note.validator)
    if changed or span.partition("-")[0] != str(have) or note.total not in (None, total):
        return None
    return replace(note, total=total)


def whole(response: requests.Response, remote: Remote) -> Note:
    """Note what a whole answer is.

    Args:
        response: An answer of status 200; its body is not read.
        remote: The file asked for.

    Raises:
        DataError: It cannot be what is published, or it could not be told whether it arrives whole.
    """
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() and not chunked else None
    if total is None and not chunked and remote.size is None and remote.digest is None:
        raise DataError(
            f"{remote.url} does not say how long its file is, and nobody publishes it: whether it arrives whole"
            " could not be told; fetch it by hand"
        )
    if remote.size is not None and total not in (None, remote.size):
        raise DataError(
            f"{remote.url} offers {total:,} bytes, {remote.size:,} are published ({remote.source});"
            " the publisher has changed the file, or something on the way does"
        )
    return Note(remote.url, _validator(response), total)


def _validator(response: requests.Response) -> str | None:
    etag = response.headers.get("ETag")
    # A weak ETag may stay the same while bytes change, so that If-Range must not carry one (RFC 9110, 13.1.5).
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds: a number or a date; ``None`` where it is neither."""
    if header is None:
        return None
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
