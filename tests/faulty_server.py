"""A file server on 127.0.0.1 that misbehaves as told, one answer after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass
class Answer:
    """How one request is answered.

    Attributes:
        body: The file as the server has it at that moment.
        status: Other than 200, it is sent with a short text instead of the file.
        headers: Sent besides the usual ones.
        etag: Validator of the file; ``None`` for none.
        ranges: Whether requests for a part are understood.
        if_range: Whether the condition of such a request is looked at.
        cut: Bytes after which the connection is closed.
        length: The Content-Length to claim; ``None`` for the true one, -1 for none.
        chunked: Sent in chunks without a length.
        pause: Seconds after every 64 KiB.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = '"one"'
    ranges: bool = True
    if_range: bool = True
    cut: int | None = None
    length: int | None = None
    chunked: bool = False
    pause: float = 0.0


class Server:
    """Answers the requests for each path with its list of answers; the last one for all that follow."""

    def __init__(self, answers: Mapping[str, list[Answer]]) -> None:
        self.answers = {path: list(found) for path, found in answers.items()}
        self.requests: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append((self.path, dict(self.headers)))
                queue = outer.answers[self.path]
                _send(self, queue.pop(0) if len(queue) > 1 else queue[0])

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Keep the tests' output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def url(self, path: str) -> str:
        return self.address + path

    def headers(self, path: str) -> list[dict[str, str]]:
        """The headers of the requests for a path, in their order."""
        return [headers for asked, headers in self.requests if asked == path]

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    if answer.status != 200:
        text = b"" if answer.status in (204, 304) else b"no file"
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)
        return
    body, start = answer.body, 0
    asked, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
    known = (answer.etag, answer.headers.get("Last-Modified"))
    if asked and answer.ranges and (condition is None or not answer.if_range or condition in known):
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            _send(handler, Answer(status=416, headers={"Content-Range": f"bytes */{len(body)}"}))
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        handler.send_response(200)
    if answer.etag:
        handler.send_header("ETag", answer.etag)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    body = body[start:]
    sent = body if answer.cut is None else body[: answer.cut]
    if answer.chunked:
        handler.send_header("Transfer-Encoding", "chunked")
        whole = answer.cut is None
        sent = f"{len(body):x}\r\n".encode() + sent + (b"\r\n0\r\n\r\n" if whole else b"")
    elif answer.length != -1:
        handler.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
    handler.end_headers()
    try:
        for at in range(0, len(sent), 1 << 16):
            handler.wfile.write(sent[at : at + (1 << 16)])
            if answer.pause:
                time.sleep(answer.pause)
    except (BrokenPipeError, ConnectionResetError):  # the client was killed
        pass
    handler.close_connection = handler.close_connection or answer.cut is not None or answer.length is not None
