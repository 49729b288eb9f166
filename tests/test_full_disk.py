"""A full disk is one clear error that names the path, wherever it is met, and leaves what stood there."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import save_file

from medzoo.cli.app import new_app, run
from medzoo.core.atomic import replacing_file, replacing_folder, write_json
from medzoo.core.cache import recall, remember
from medzoo.core.errors import DiskFullError, MedzooError
from medzoo.data.dataset import Files, ImageDataset, Records
from medzoo.data.geometry import Geometry
from medzoo.data.tasks import one_hot
from training.cache.prepare import prepare

GEOMETRY = Geometry(32, 32, channels=1)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system itself refuses to write beyond so many bytes of a file."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("x" * 5000),
    "safetensors": lambda path: save_file({"x": torch.zeros(5000)}, path),
}


@pytest.mark.parametrize("writer", sorted(WRITERS))
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_stood_there_stays(tmp_path: Path, kind: str, writer: str) -> None:
    target = tmp_path / "target"
    old = target if kind == "file" else target / "x"
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")
    replacing = replacing_file(target) if kind == "file" else replacing_folder(target)
    full = pytest.raises(DiskFullError, match=f"{target} cannot be written: the disk is full")
    with files_of_at_most(1000), full as error, replacing as new:
        WRITERS[writer](new if kind == "file" else new / "x")
    assert isinstance(error.value, MedzooError)
    assert "\n" not in str(error.value)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_innermost_path_is_named(tmp_path: Path) -> None:
    full = pytest.raises(DiskFullError, match=r"inner\.json cannot be written")
    with files_of_at_most(1000), full, replacing_folder(tmp_path / "outer") as new:
        write_json(new / "inner.json", "x" * 5000)


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), replacing_file(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "no")


def test_what_is_only_remembered_may_find_no_room(tmp_path: Path) -> None:
    with files_of_at_most(1000):
        remember(tmp_path / "x", "y" * 5000)
    assert recall(tmp_path / "x") == ""


@pytest.fixture
def records(tmp_path: Path) -> Records:
    rng = np.random.default_rng(0)
    names = tuple(f"{number}.png" for number in range(8))
    (tmp_path / "set").mkdir()
    for name in names:
        Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(tmp_path / "set" / name)
    return ImageDataset("set", Files(tmp_path / "set", names), names, one_hot([0, 1] * 4, 2), ("no", "yes"), "binary")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.999])  # room for a part of the header, some images, all but the last
def test_preparing_goes_on_when_there_is_room(records: Records, tmp_path: Path, share: float) -> None:
    whole = prepare(records, GEOMETRY, tmp_path / "whole")
    size = (whole.folder / "images.npy").stat().st_size
    with (
        files_of_at_most(int(share * size)),
        pytest.raises(DiskFullError, match=r"cache.* cannot be written: the disk is full"),
    ):
        prepare(records, GEOMETRY, tmp_path / "cache")
    again = prepare(records, GEOMETRY, tmp_path / "cache")
    np.testing.assert_array_equal(again.images, whole.images)
    np.testing.assert_array_equal(again.targets, whole.targets)


def test_on_the_command_line_it_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = new_app("A test.")

    @app.command()
    def fill(code: int) -> None:
        raise OSError(code, os.strerror(code), "/data/x.csv")

    @app.command()
    def other() -> None:
        typer.echo("x")

    monkeypatch.setattr("sys.argv", ["app", "fill", str(errno.ENOSPC)])
    with pytest.raises(SystemExit) as left:
        run(app)
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "error: the disk is full (/data/x.csv); free some space and run the same command again\n"
    )
    monkeypatch.setattr("sys.argv", ["app", "fill", str(errno.EACCES)])
    with pytest.raises(SystemExit) as left:
        run(app)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: Permission denied (/data/x.csv); check the path and your rights")
