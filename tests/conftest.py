"""Fixtures that tests share; those that every test gets stand in the ``conftest.py`` above."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

REAL = Path(os.environ.get("MEDZOO_REAL", Path(__file__).resolve().parents[2] / "shared" / "real"))

# These files kill processes or limit them, which Windows knows nothing of; single tests elsewhere are marked ``posix``.
POSIX = ("allocation", "checkpoints", "finetune_killed", "full_disk", "fuzz_bundles", "interrupts")
POSIX += ("processes", "resume", "run_lock")
# The fake accelerator is torch's from its import on: collecting its doctests would give it to every test.
collect_ignore = ["fake_accelerator.py", "on_fake_accelerator.py"]
collect_ignore += [f"test_{name}.py" for name in POSIX] if sys.platform == "win32" else []


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

    for module in ("report", "saving"):
        monkeypatch.setattr(f"medzoo.finetuning.{module}.save_figure", save_figure)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Hub that cannot be reached and an empty cache: the client reads its settings once, when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
