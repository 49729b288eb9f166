"""One file over HTTP, against a server that breaks every promise in turn."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from faulty_server import Answer, Server

from medzoo.core.download import RETRIES, Remote, fetch
from medzoo.core.errors import DataError

BODY = random.Random(1).randbytes(1_000_000)
OTHER = random.Random(2).randbytes(1_000_000)
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()
HALF = 500_000
ZIP = "/set.zip"


class Case:
    """A target, a server and the waits that ``fetch`` asked for."""

    def __init__(self, server: Server, target: Path) -> None:
        self.server, self.target = server, target
        self.waits: list[float] = []

    def fetch(self, size: int | None = None, digest: str | None = None) -> bytes:
        remote = Remote(self.server.url(ZIP), "the test", size, digest)
        assert fetch(remote, self.target, sleep=self.waits.append) == self.target
        assert self.rest() == []
        return self.target.read_bytes()

    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for headers in self.server.headers(ZIP)]

    def rest(self) -> list[str]:
        return sorted(path.name for path in self.target.parent.iterdir() if path != self.target)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Callable[..., Case]]:
    servers: list[Server] = []

    def make(*answers: Answer) -> Case:
        server = Server({ZIP: list(answers)}).__enter__()
        servers.append(server)
        return Case(server, tmp_path / "set.zip")

    yield make
    for server in servers:
        server.__exit__(None, None, None)


Make = Callable[..., Case]


def test_a_whole_file_arrives_with_progress(case: Make) -> None:
    made = case(Answer(BODY))
    seen: list[tuple[int, int | None]] = []
    fetch(Remote(made.server.url(ZIP), "the test", len(BODY), MD5), made.target, progress=lambda *at: seen.append(at))
    assert made.target.read_bytes() == BODY
    assert seen == sorted(seen) and seen[-1] == (len(BODY), len(BODY)) and len(seen) > 2
    assert made.rest() == []
    assert made.server.headers(ZIP)[0]["Accept-Encoding"] == "identity"


def test_a_dropped_connection_is_resumed(case: Make) -> None:
    made = case(Answer(BODY, cut=HALF), Answer(BODY))
    assert made.fetch(digest=MD5) == BODY
    first, second = made.server.headers(ZIP)
    assert "Range" not in first
    kept = int(second["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < kept <= HALF
    assert second["If-Range"] == '"one"'
    assert made.waits == [1.0]


def test_what_arrived_is_kept_for_the_next_call(case: Make) -> None:
    made = case(*[Answer(BODY, cut=HALF)] + [Answer(status=503)] * (RETRIES + 1), Answer(BODY))
    with pytest.raises(DataError, match="answered 503, 7 times in a row; what has arrived is kept"):
        made.fetch(digest=MD5)
    assert made.rest() == ["set.zip.part", "set.zip.part.json"]
    assert made.fetch(digest=MD5) == BODY
    assert made.ranges()[-1] is not None


def test_a_server_without_ranges_sends_the_whole_again(case: Make) -> None:
    made = case(Answer(BODY, cut=HALF), Answer(BODY, ranges=False))
    assert made.fetch() == BODY


@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_never_mixed(case: Make, if_range: bool) -> None:
    made = case(Answer(BODY, cut=HALF), Answer(OTHER, etag='"two"', if_range=if_range))
    assert made.fetch() == OTHER


def test_a_file_that_became_shorter_is_fetched_anew(case: Make) -> None:
    short = OTHER[:1000]
    made = case(Answer(BODY, cut=HALF), Answer(short, etag='"one"'))
    assert made.fetch() == short


def test_a_range_that_begins_elsewhere_is_not_taken(case: Make) -> None:
    wrong = {"Content-Range": "bytes 0-999999/1000000"}
    made = case(Answer(BODY, cut=HALF), Answer(status=206, headers=wrong), Answer(BODY))
    assert made.fetch() == BODY
    assert made.ranges()[-1] is None


def test_last_modified_serves_where_the_etag_is_weak(case: Make) -> None:
    dated = {"Last-Modified": "Mon, 01 Jan 2018 00:00:00 GMT"}
    made = case(Answer(BODY, etag='W/"one"', headers=dated, cut=HALF), Answer(BODY, etag='W/"one"', headers=dated))
    assert made.fetch() == BODY
    assert made.server.headers(ZIP)[1]["If-Range"] == dated["Last-Modified"]


@pytest.mark.parametrize(("digest", "resumed"), [(None, False), (MD5, True)])
def test_without_a_validator_only_a_digest_allows_resuming(case: Make, digest: str | None, resumed: bool) -> None:
    made = case(Answer(BODY, etag=None, cut=HALF), Answer(BODY, etag=None))
    assert made.fetch(digest=digest) == BODY
    assert (made.ranges()[1] is not None) is resumed


def test_a_mixed_file_without_a_validator_fails_its_digest(case: Make) -> None:
    made = case(Answer(BODY, etag=None, cut=HALF), Answer(OTHER, etag=None))
    with pytest.raises(DataError, match="has the md5"):
        made.fetch(digest=MD5)
    assert made.rest() == []


def test_503_and_429_are_waited_for(case: Make) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    made = case(
        Answer(status=503),
        Answer(status=429, headers={"Retry-After": "7"}),
        Answer(status=429, headers={"Retry-After": soon}),
        Answer(status=500, headers={"Retry-After": "presently"}),
        Answer(BODY),
    )
    assert made.fetch() == BODY
    assert made.waits[:2] == [1.0, 7.0]
    assert 90 < made.waits[2] <= 100
    assert made.waits[3] == 8.0


def test_a_server_that_asks_for_an_hour_is_left_alone(case: Make) -> None:
    made = case(Answer(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(DataError, match="come back in 3600 s"):
        made.fetch()
    assert made.waits == []


def test_retries_end(case: Make) -> None:
    made = case(Answer(status=502))
    with pytest.raises(DataError, match="answered 502"):
        made.fetch()
    assert made.waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]


def test_a_long_file_outlives_more_drops_than_retries(case: Make) -> None:
    body = random.Random(3).randbytes(12 << 20)
    made = case(*[Answer(body, cut=(1 << 20) + (1 << 18))] * 30)
    assert made.fetch(digest="sha256:" + hashlib.sha256(body).hexdigest()) == body
    assert len(made.waits) > RETRIES
    assert set(made.waits) == {1.0}


def test_no_server_at_all_is_said_so(case: Make, tmp_path: Path) -> None:
    with Server({ZIP: [Answer(BODY)]}) as gone:
        remote = Remote(gone.url(ZIP), "the test")
    waits: list[float] = []
    with pytest.raises(DataError, match="connection failed or dropped"):
        fetch(remote, tmp_path / "set.zip", sleep=waits.append)
    assert len(waits) == RETRIES


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(case: Make, status: int) -> None:
    made = case(Answer(status=status))
    with pytest.raises(DataError, match=f"answered {status}"):
        made.fetch()
    assert len(made.server.requests) == 1


def test_a_length_that_is_too_long_ends_in_an_error_and_not_in_a_file(case: Make) -> None:
    made = case(Answer(BODY, length=len(BODY) + 5))
    with pytest.raises(DataError, match="connection"):
        made.fetch()
    assert not made.target.exists()


def test_a_length_that_is_too_short_is_told_by_the_published_size(case: Make) -> None:
    made = case(Answer(BODY, length=HALF))
    with pytest.raises(DataError, match="offers 500,000 bytes, 1,000,000 are published"):
        made.fetch(size=len(BODY))
    assert made.rest() == []


def test_a_length_that_is_too_short_is_told_by_the_published_digest(case: Make) -> None:
    made = case(Answer(BODY, length=HALF))
    with pytest.raises(DataError, match="has the md5"):
        made.fetch(digest=MD5)
    assert made.rest() == []


def test_a_wrong_digest_removes_the_file(case: Make) -> None:
    made = case(Answer(OTHER))
    with pytest.raises(DataError, match=r"has the md5 .*published is .*it was removed"):
        made.fetch(size=len(OTHER), digest=MD5)
    assert made.rest() == [] and not made.target.exists()


def test_a_kept_part_that_rotted_is_noticed(case: Make) -> None:
    made = case(*[Answer(BODY, cut=HALF)] + [Answer(status=503)] * (RETRIES + 1), Answer(BODY))
    with pytest.raises(DataError):
        made.fetch(digest=MD5)
    part = made.target.with_name("set.zip.part")
    part.write_bytes(b"\0" * part.stat().st_size)
    with pytest.raises(DataError, match="has the md5"):
        made.fetch(digest=MD5)
    assert made.fetch(digest=MD5) == BODY


def test_a_part_of_another_url_or_without_its_note_is_not_used(case: Make) -> None:
    made = case(Answer(BODY))
    part, note = made.target.with_name("set.zip.part"), made.target.with_name("set.zip.part.json")
    part.write_bytes(OTHER[:1000])
    note.write_text('{"url": "http://elsewhere", "validator": "\\"one\\"", "total": 1000000}')
    assert made.fetch() == BODY
    made.target.unlink()
    part.write_bytes(OTHER[:1000])
    note.write_text("{broken")
    assert made.fetch() == BODY
    assert made.ranges() == [None, None]


def test_redirects_are_followed_with_the_range(case: Make) -> None:
    made = case(
        Answer(status=302, headers={"Location": "/far"}),
        Answer(status=302, headers={"Location": "/far"}),
    )
    made.server.answers["/far"] = [Answer(BODY, cut=HALF), Answer(BODY)]
    assert made.fetch(digest=MD5) == BODY
    assert "Range" in made.server.headers("/far")[1]


def test_a_truncated_chunked_answer_is_not_a_file(case: Make) -> None:
    made = case(Answer(BODY, chunked=True, cut=HALF), Answer(BODY, chunked=True))
    assert made.fetch() == BODY
    assert made.waits == [1.0]


def test_without_any_length_only_a_published_fact_tells_the_end(case: Make) -> None:
    made = case(Answer(BODY, length=-1))
    with pytest.raises(DataError, match="does not say how long"):
        made.fetch()
    assert made.fetch(digest=MD5) == BODY


def test_a_web_page_is_no_data_set(case: Make) -> None:
    made = case(Answer(b"<html>sign in", headers={"Content-Type": "text/html; charset=utf-8"}))
    with pytest.raises(DataError, match="web page instead of"):
        made.fetch()


def test_an_encoding_that_nobody_asked_for_is_refused_except_that_of_a_gz(case: Make, tmp_path: Path) -> None:
    made = case(Answer(BODY, headers={"Content-Encoding": "x-gzip"}))
    with pytest.raises(DataError, match="encoding x-gzip"):
        made.fetch()
    made.target = tmp_path / "set.tar.gz"
    assert made.fetch(digest=MD5) == BODY


def test_a_file_in_place_is_not_fetched_again_unless_it_is_wrong(case: Make) -> None:
    made = case(Answer(BODY))
    made.target.write_bytes(BODY)
    assert made.fetch(size=len(BODY), digest=MD5) == BODY
    assert made.server.requests == []
    for wrong in (BODY[:-1], BODY[:-1] + b"?"):
        made.target.write_bytes(wrong)
        assert made.fetch(size=len(BODY), digest=MD5) == BODY
    assert len(made.server.requests) == 2


def test_a_small_disk_is_told_before_the_body(case: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    made = case(Answer(BODY))
    with pytest.raises(DataError, match=r"needs 0\.0 GB, the disk of"):
        made.fetch()
    assert made.rest() == []


def test_proxies_are_those_of_requests(case: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(Answer(BODY))
    made.server.answers["http://data.invalid/set.zip"] = [Answer(BODY)]
    monkeypatch.setenv("http_proxy", made.server.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fetch(Remote("http://data.invalid/set.zip", "the test"), made.target, sleep=made.waits.append)
    assert made.target.read_bytes() == BODY


SCRIPT = """
import sys
from pathlib import Path
from medzoo.core.download import fetch
from medzoo.core.download import Remote
fetch(Remote(sys.argv[1], "the test"), Path(sys.argv[2]))
"""


@pytest.mark.posix
def test_a_killed_process_leaves_what_the_next_resumes(case: Make) -> None:
    made = case(Answer(BODY, pause=0.1), Answer(BODY))
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, made.server.url(ZIP), str(made.target)], cwd=root)
    part = made.target.with_name("set.zip.part")
    until = time.monotonic() + 10
    while not (part.exists() and part.stat().st_size > 100_000):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not made.target.exists()
    kept = part.stat().st_size
    assert made.fetch(digest=MD5) == BODY
    assert made.ranges() == [None, f"bytes={kept}-"]
    made.target.rename(part)  # as if killed between the last byte and the move
    part.with_name("set.zip.part.json").write_text(
        f'{{"url": "{made.server.url(ZIP)}", "validator": "x", "total": {len(BODY)}}}'
    )
    assert made.fetch(digest=MD5) == BODY
    assert len(made.server.requests) == 2
