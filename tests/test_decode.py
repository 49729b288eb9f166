"""Many files into one array: in place, in order, bounded, and with every bad file named."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import medzoo.data.decoding
from medzoo.core.errors import RunError
from medzoo.data.decoding import Decoded, Stamp, decode_each, decode_many, full_stamp, quick_stamp
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import read_image

SMALL = Geometry(16, 24)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"bild {i:02d}.png" for i in range(40)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(file)
    return files


@pytest.mark.parametrize("jobs", [1, 3, None])
def test_rows_are_the_images_in_order(paths: list[Path], jobs: int | None) -> None:
    out = np.zeros((40, 16, 24, 3), np.uint8)
    seen: list[tuple[int, int]] = []
    assert decode_many(paths, SMALL, out, progress=lambda done, total: seen.append((done, total)), jobs=jobs) == []
    assert seen == [(i, 40) for i in range(1, 41)]
    for path, row in zip(paths, out, strict=True):
        np.testing.assert_array_equal(row, read_image(path, SMALL))


def test_a_memory_map_is_filled_in_place(paths: list[Path], tmp_path: Path) -> None:
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.uint8, (40, 16, 24, 3))
    decode_many(paths, SMALL, out)
    del out
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy")[7], read_image(paths[7], SMALL))


def test_bad_files_are_listed_and_leave_their_rows(paths: list[Path]) -> None:
    paths[3].write_bytes(b"")
    paths[5].write_bytes(paths[5].read_bytes()[:500])
    paths[9].unlink()
    Image.fromarray(np.full((9, 9), 900, np.uint16)).save(paths[11])
    out = np.full((40, 16, 24, 3), 7, np.uint8)
    rejected = dict(decode_many(paths, SMALL, out))
    assert list(rejected) == [3, 5, 9, 11]
    assert all(str(paths[i]) in reason for i, reason in rejected.items())
    assert "empty" in rejected[3]
    assert "truncated" in rejected[5]
    assert "No such file" in rejected[9]
    assert "16-bit" in rejected[11]
    assert (out[[3, 5, 9, 11]] == 7).all()


def test_a_chosen_few_in_the_order_asked(paths: list[Path]) -> None:
    assert [item.index for item in decode_each(paths, SMALL, indices=[30, 2, 17])] == [30, 2, 17]
    assert list(decode_each([], SMALL)) == []


def test_stamps_are_of_the_bytes_decoded(paths: list[Path]) -> None:
    item = next(iter(decode_each(paths, SMALL)))
    data = paths[0].read_bytes()
    assert item.stamp == full_stamp(paths[0])
    assert item.stamp.sha256 == hashlib.sha256(data).hexdigest()
    assert item.stamp.quick == quick_stamp(paths[0]).quick == (len(data), paths[0].stat().st_mtime_ns)
    assert quick_stamp(paths[0].with_name("none")) == full_stamp(paths[0].with_name("none")) == Stamp(-1, -1)


def test_only_a_bounded_number_is_decoded_ahead(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    decode_one = medzoo.data.decoding._decode_one

    def counted(index: int, *rest: Any) -> Decoded:
        started.append(index)
        return decode_one(index, *rest)

    monkeypatch.setattr(medzoo.data.decoding, "_decode_one", counted)
    items = decode_each(paths, SMALL, jobs=2)
    next(items)
    items.close()  # type: ignore[attr-defined]  # a consumer that leaves early
    assert len(started) <= 2 * medzoo.data.decoding._AHEAD
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_missing_pydicom_stops_at_once(paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM")
    with pytest.raises(RunError, match="pip install"):
        list(decode_each([*paths, tmp_path / "a.dcm"], SMALL))


def test_out_of_another_shape_is_refused(paths: list[Path]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        decode_many(paths, SMALL, np.zeros((40, 24, 16, 3), np.uint8))
