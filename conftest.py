"""Isolation of every test and of every docstring example: own caches, own folder, no network but 127.0.0.1."""

from __future__ import annotations

import gc
import os
import socket

import pytest

# Before torch is imported: on a small shared machine its threads wait for one another more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of the garbage collector's rounds, which scanned it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own caches and none of the user's settings."""
    home = tmp_path_factory.mktemp("home")
    for name in ("MEDZOO_DATA", "MEDZOO_ZOO", "MEDZOO_WORK", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("MEDZOO_CACHE", str(home / "medzoo"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr("medzoo.zoo.preview.PREVIEW", home / "preview")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests may only reach 127.0.0.1, not {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _example_in_its_own_folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run docstring examples in an empty folder: they may write files by short names."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path_factory.mktemp("example"))
