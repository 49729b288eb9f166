"""From data in any form to decoded images: nothing is lost, and every image that cannot be read is named first."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import class_folders
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset
from typer.testing import CliRunner

from medzoo.__main__ import app
from medzoo.cli.app import run
from medzoo.cli.finetune import validation_of
from medzoo.cli.options import Columns, SplitColumns
from medzoo.core.errors import DataError, UnreadableError
from medzoo.data import image_buffer as room
from medzoo.data.decoding import decode_many
from medzoo.data.geometry import Geometry
from medzoo.data.opening import open_dataset
from medzoo.finetuning.finetune import finetune

SIZE = Geometry(8, 8)
BROKEN = b"\x89PNG\r\n\x1a\n broken"


class Pairs(Dataset):
    """A torch data set of whatever items."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        image, label = self.items[index]
        return (Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image), label


# ---- every image is looked at first


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """24 pictures, 7 of which cannot be read."""
    root = class_folders(tmp_path / "mine", each=12)
    for number in range(7):
        next((root / "red").glob(f"*{number}.png")).write_bytes(b"" if number % 2 else BROKEN)
    return root


def test_all_unreadable_files_are_listed(broken: Path) -> None:
    with pytest.raises(UnreadableError, match="7 of 24 images of mine cannot be read") as caught:
        open_dataset(broken).decode(SIZE)
    names = [name for name, _ in caught.value.rejected]
    assert len(names) == 7 and all((broken / name).stat().st_size < 100 for name in names)
    assert str(caught.value).count(".png") == 5  # the message has room for some


def test_the_command_line_prints_all_of_them(
    broken: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = typer.Typer()

    @line.command()
    def load() -> None:
        open_dataset(broken).decode(SIZE)

    monkeypatch.setattr(sys, "argv", ["medzoo"])
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    with pytest.raises(SystemExit) as left:
        run(line)
    lines = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and len(lines) == 8
    assert all(line.startswith("  ") and ".png: " in line for line in lines[1:])


def test_unreadable_images_of_arrays_and_data_sets_are_listed_by_number() -> None:
    good, bad = np.zeros((9, 9, 3), np.uint8), np.full((9, 9), 7.0)
    with pytest.raises(
        UnreadableError, match="2 of 4 images of arrays cannot be read: image 1: float values"
    ) as caught:
        open_dataset(([good, bad, good, bad], [0, 1, 0, 1])).decode(SIZE)
    assert [name for name, _ in caught.value.rejected] == ["1", "3"]
    with pytest.raises(UnreadableError) as caught:
        open_dataset(Pairs([(good, 0), (BROKEN, 1), (good, 1), (b"", 0)])).decode(SIZE)
    assert [name for name, _ in caught.value.rejected] == ["1", "3"]


def test_a_mistake_in_a_data_sets_own_code_keeps_its_traceback() -> None:
    class Wrong(Pairs):
        def __getitem__(self, index: int) -> Any:
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        open_dataset(Wrong([1, 2])).decode(SIZE)


def test_many_images_are_converted_in_their_places() -> None:
    images = [np.full((5, 5), i, np.uint8) for i in range(100)]
    out = np.zeros((100, 8, 8, 3), np.uint8)
    seen: list[tuple[int, int]] = []
    assert decode_many(images, SIZE, out, progress=lambda *at: seen.append(at), jobs=3) == []
    assert out[:, 0, 0, 0].tolist() == list(range(100)) and seen[-1] == (100, 100)


# ---- large data


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory", lambda: 1000)


def in_file(images: NDArray[np.uint8]) -> bool:
    return isinstance(images.base, np.memmap)


@pytest.mark.usefixtures("little")
def test_images_that_fill_the_memory_lie_in_a_file_that_goes_with_them(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MEDZOO_CACHE", str(tmp_path / "cache"))
    root = class_folders(tmp_path / "mine", each=6)
    examples = open_dataset(root).decode(SIZE)
    assert in_file(examples.images) and in_file(examples.take(np.arange(9)).images)
    monkeypatch.setattr(room, "free_memory", lambda: 10**9)
    plain = open_dataset(root).decode(SIZE)
    assert not in_file(plain.images)
    np.testing.assert_array_equal(examples.images, plain.images)
    np.testing.assert_array_equal(examples.take(np.arange(12) % 2 == 1).images, plain.images[1::2])
    assert list((tmp_path / "cache").iterdir()) == []  # the files have no names: nothing is left to clean up


@pytest.mark.usefixtures("little")
def test_a_full_disk_is_said_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    with pytest.raises(DataError, match="set MEDZOO_CACHE to a larger disk, or choose a smaller image size"):
        room.room_for((1000, 8, 8, 3))


def test_the_memory_of_a_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"memory.max": "3000\n", "memory.current": "1000\n"}
    monkeypatch.setattr(Path, "read_text", lambda self: values[self.name])
    assert room.free_memory() == 2000
    values["memory.max"] = "max\n"
    assert room.free_memory() > 2000


# ---- any picture, in any place

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F")
PLACES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="/\\\0"), min_size=1, max_size=20
).filter(lambda name: not name.startswith(".") and name != "__MACOSX")


def picture(mode: str, width: int, height: int) -> Image.Image:
    """A half-bright picture of any mode; floats and 16 bits over their whole range."""
    grey = np.full((height, width), 128, np.uint8)
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode in ("1", "LA"):
        return Image.fromarray(grey).convert(mode)
    return Image.fromarray(grey).convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(MODES),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    place=PLACES,
    channels=st.sampled_from([1, 3]),
)
def test_any_mode_and_size_is_read_from_any_place(
    mode: str, width: int, height: int, place: str, channels: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    image, root = picture(mode, width, height), tmp_path_factory.mktemp("places")
    (root / f"x{place}").mkdir()
    file = root / f"x{place}" / f"{place}.{'tif' if mode in ('CMYK', 'F') else 'png'}"
    image.save(file)
    (root / "table.csv").write_text("path,label\n", encoding="utf-8")
    quoted = file.relative_to(root).as_posix().replace('"', '""')
    other = root / "other.png"
    Image.new("L", (3, 3)).save(other)
    with (root / "table.csv").open("a", encoding="utf-8", newline="") as stream:
        stream.write(f'"{quoted}",one\nother.png,two\n')
    geometry = Geometry(8, 8, channels=channels)
    examples = open_dataset(root / "table.csv").decode(geometry)
    assert examples.images.shape == (2, 8, 8, channels)
    row = examples.ids.index(file.relative_to(root).as_posix())
    values = examples.images[row].astype(int)
    assert mode == "1" or np.abs(values - 128).max() <= 1
    pair = open_dataset(([image, file, other], ["one", "one", "two"])).decode(geometry)
    np.testing.assert_array_equal(pair.images[0], pair.images[1])


# ---- the options about tables


def test_the_command_lines_options_name_the_columns(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pictures", each=2)
    files = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*.png"))
    table = tmp_path / "t.csv"
    rows = [f"{file},{i % 2},{1 - i % 2},p{i},{'test' if i > 1 else 'train'}" for i, file in enumerate(files)]
    table.write_text("\n".join(["file,mass,edema,who,part", *rows]))
    assert Columns().open(table) == table
    columns = SplitColumns(root, "file", ["mass", "edema"], "who", split_column="part")
    records = columns.open(table)
    assert records.task == "multilabel" and records.patients is not None and records.splits is not None
    assert Columns(root, "file", ["mass"]).open(table).task == "binary"
    assert validation_of(None, columns) is None and validation_of("0.3", columns) == 0.3
    assert validation_of(str(root), columns) == root
    assert validation_of(str(table), columns).classes == ("mass", "edema")
    with pytest.raises(DataError, match=r"no column named 'label'; known: .* \(say which with label=\)"):
        Columns(root, "file").open(table)


def test_the_finetune_command_reads_both_tables_and_refuses_a_shared_patient(tiny: Path, tmp_path: Path) -> None:
    root = class_folders(tmp_path / "pictures", each=8)
    files = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*.png"))

    def table(name: str, rows: list[str], patients: list[str]) -> str:
        lines = [f"{row},{row.split('/')[0]},{patient}" for row, patient in zip(rows, patients, strict=True)]
        (tmp_path / name).write_text("\n".join(["file,colour,who", *lines]))
        return str(tmp_path / name)

    train = table("train.csv", files[::2], [f"p{i}" for i in range(8)])
    valid = table("valid.csv", files[1::2], [f"q{i}" for i in range(8)])
    shared = table("shared.csv", files[1::2], [f"p{i + 7}" for i in range(8)])
    options = [str(tiny), train, "--root", str(root), "--path-column", "file", "--label-column", "colour"]
    options += ["--patient-column", "who", "--epochs", "1", "--batch-size", "4", "--device", "cpu", "--json"]
    runner = CliRunner()
    done = runner.invoke(app, ["finetune", *options, "--validation", valid], catch_exceptions=False)
    assert json.loads(done.stdout)["held_out"] == files[1::2]
    with pytest.raises(DataError, match=r"1 patients \(p7\) are on both sides, training and validation"):
        runner.invoke(app, ["finetune", *options, "--validation", shared], catch_exceptions=False)


@pytest.mark.usefixtures("little")
def test_finetune_works_from_a_file_as_from_memory(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path / "pictures", each=6)
    options: dict[str, Any] = {"epochs": 1, "batch_size": 4, "device": "cpu"}
    mapped = finetune(tiny, root, **options)
    assert in_file(mapped.examples.images)
    monkeypatch.setattr(room, "free_memory", lambda: 10**9)
    np.testing.assert_array_equal(finetune(tiny, root, **options).probabilities, mapped.probabilities)
