"""Files and folders are replaced as a whole, on systems that refuse what is open and with names of any length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medzoo.core import atomic
from medzoo.core.atomic import replacing_folder, write_text
from medzoo.core.errors import MedzooError


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], list[float]]:
    """Refuse, as Windows does where another program has a file open, to move what has a name; count the waits."""

    def refuse(name: str, times: int) -> list[float]:
        waits: list[float] = []
        moved, left = Path.replace, [times]

        def replace(self: Path, target: Path) -> Path:
            if name in (self.name, target.name, f"to {target.name}") and left[0] > 0:
                left[0] -= 1
                error = PermissionError(13, "Access is denied", str(self))
                error.winerror = 5  # type: ignore[attr-defined]
                raise error
            return moved(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr(atomic.time, "sleep", waits.append)
        return waits

    return refuse


def test_a_file_that_is_open_for_a_moment(busy: Callable[[str, int], list[float]], tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "old")
    waits = busy("a.json", 3)
    write_text(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "new"
    assert waits == [0.05, 0.1, 0.2]


def test_a_file_that_stays_open(busy: Callable[[str, int], list[float]], tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "old")
    busy("a.json", 99)
    with pytest.raises(MedzooError, match=r"a\.json cannot be replaced: another program has it open\. Close it"):
        write_text(tmp_path / "a.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


@pytest.mark.parametrize("name", ["weights", "new"])
def test_a_folder_that_stays_open_keeps_its_content(
    busy: Callable[[str, int], list[float]], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "x").write_text("old")
    busy(name, 6)  # the old one cannot be moved away, or the new one not be put in its place
    with pytest.raises(MedzooError, match="another program has it open"), replacing_folder(folder) as new:
        (new / "x").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    assert (folder / "x").read_text() == "old"


def test_a_folder_that_cannot_be_put_back_is_not_lost(busy: Callable[[str, int], list[float]], tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "x").write_text("old")
    busy("to weights", 99)
    with pytest.raises(MedzooError, match="another program"), replacing_folder(folder) as new:
        (new / "x").write_text("new")
    assert [path.read_text() for path in tmp_path.rglob("old/x")] == ["old"]


@pytest.mark.parametrize("name", ["x" * 250, "ü" * 120, "a" * 240 + ".json"])
def test_long_names(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "1")
    with replacing_folder(tmp_path / f"{name[:-1]}f") as new:
        (new / "x").write_text("2")
    assert (tmp_path / name).read_text() == "1"
    assert (tmp_path / f"{name[:-1]}f" / "x").read_text() == "2"
