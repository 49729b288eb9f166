"""Fixtures that every test may use; each test has its own caches and no network but 127.0.0.1."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

# Before torch is imported: on a small shared machine its threads wait for one another more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REAL = Path(os.environ.get("MEDZOO_REAL", Path(__file__).resolve().parents[2] / "shared" / "real"))


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own caches and none of the user's settings."""
    home = tmp_path_factory.mktemp("home")
    for name in ("MEDZOO_DATA", "MEDZOO_ZOO", "MEDZOO_WORK", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("MEDZOO_CACHE", str(home / "medzoo"))
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests may only reach 127.0.0.1, not {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real images; tests that ask for it are marked ``real``."""
    if not REAL.is_dir():
        pytest.skip(f"no real images at {REAL} (set MEDZOO_REAL)")
    return REAL


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a network of 0.4 million values: whatever does not need DenseNet-121 is tested with it."""
    from makers import save_bundle  # torch is imported where it is needed

    return save_bundle(tmp_path_factory.mktemp("tiny") / "tiny", "test_resnet", ("low", "mid", "high"), "multiclass")


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder zoo of two DenseNet-121 with random values, published as any other; nobody may write to it."""
    from makers import publish_random

    return publish_random(tmp_path_factory.mktemp("zoo"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports with empty pictures: drawing takes most of the time of saving one, and is tested elsewhere."""

    def save_figure(figure: object, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\x89PNG")
        return path

    monkeypatch.setattr("medzoo.finetuning.report.save_figure", save_figure)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Hub that cannot be reached and an empty cache: the client reads its settings once, when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
