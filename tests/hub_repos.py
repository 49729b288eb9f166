"""What a Hugging Face Hub holds, and what may go wrong with it: repositories, refusals, faults."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any


class RefusedError(Exception):
    """An answer that is an error, as the Hub words it."""

    def __init__(self, status: int, message: str, code: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.more = status, {"error": message, **more}
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    Attributes:
        path: A regular expression that is looked for in ``METHOD path``.
        kind: An HTTP status, ``"drop"`` (the connection ends in the middle of the body), ``"flip"`` (one bit of the
            body is another), ``"slow"`` (the body comes over some seconds), ``"page"`` (a web page is sent instead) or
            ``"portal"`` (the client is sent on to one).
        times: How many requests.
    """

    path: str
    kind: int | str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Repo:
    """One repository: its files at each commit."""

    name: str
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    titles: list[str] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], title: str) -> str:
        sha = hashlib.sha1(f"{self.name}{len(self.commits)}{sorted(files)}{secrets.token_hex(8)}".encode()).hexdigest()
        self.commits[sha], self.refs["main"] = files, sha
        self.titles.append(title)
        return sha

    def find(self, revision: str) -> str:
        sha = self.refs.get(revision) or self.tags.get(revision) or revision
        if sha not in self.commits:
            raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return sha


def is_large(path: str) -> bool:
    return path.endswith(".safetensors")


def git_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as the tree lists it."""
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_name(content)}
    if is_large(path):
        found["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return found
