"""The cache: complete or not there, resumed after any kill, and never stale."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import training.cache.hashes
import training.cache.prepare
import training.cache.staging
from medzoo.contamination.image_hashes import FRAME
from medzoo.contamination.perceptual_hash import image_hash
from medzoo.core.errors import DataError
from medzoo.data.dataset import Files, ImageDataset, Records
from medzoo.data.decoding import Stamp
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import as_array, read_image
from medzoo.data.tasks import one_hot
from training.cache.files import FORMAT, ROWS, write_manifest, write_rows
from training.cache.prepare import Cache, open_cache, prepare
from training.cache.staging import Staging

GREY = Geometry(16, 16, channels=1)
COUNT = 12


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return make(tmp_path / "set", COUNT)


def make(root: Path, count: int, side: int = 24) -> Records:
    root.mkdir()
    rng = np.random.default_rng(0)
    names = tuple(f"a/ö {i:03d}.png" for i in range(count))
    (root / "a").mkdir()
    for name in names:
        Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).save(root / name)
    return ImageDataset(
        "a set/of mine",
        Files(root, names),
        names,
        one_hot([i % 2 for i in range(count)], 2),
        ("no", "yes"),
        "binary",
        patients=np.array([f"p{i // 2}" if i else "" for i in range(count)]),
        splits=np.array(["train", "test"] * (count // 2)),
        notes=("one left out",),
    )


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that ``prepare`` really decodes."""
    rows: list[int] = []
    each = training.cache.prepare.decode_each

    def counted(*args: Any, **options: Any) -> Any:
        for item in each(*args, **options):
            rows.append(item.index)
            yield item

    monkeypatch.setattr(training.cache.prepare, "decode_each", counted)
    return rows


def test_a_cache_holds_everything(records: Records, tmp_path: Path) -> None:
    cache = prepare(records, GREY, tmp_path / "cache")
    assert isinstance(cache.images, np.memmap)
    before = cache.images[0].copy()
    cache.images[0] = ~before  # torch takes no read-only array; the file is safe all the same
    np.testing.assert_array_equal(open_cache(cache.folder).images[0], before)
    cache.images[0] = before
    assert cache.images.shape == (COUNT, 16, 16, 1)
    for path, image in zip(cache.ids, cache.images, strict=True):
        np.testing.assert_array_equal(image, read_image(records.images.root / path, GREY))
    np.testing.assert_array_equal(cache.targets, records.targets)
    assert cache.patients is not None and cache.splits is not None
    assert records.patients is not None and records.splits is not None
    np.testing.assert_array_equal(cache.patients, records.patients)
    np.testing.assert_array_equal(cache.splits, records.splits)
    assert (cache.ids, cache.classes, cache.task) == (records.ids, records.classes, records.task)
    assert cache.geometry == GREY
    assert cache.name == records.name
    assert cache.manifest["counts"] == {"no": 6, "yes": 6}
    assert cache.manifest["notes"] == ["one left out"]
    assert len(cache) == COUNT
    assert cache.folder == tmp_path / "cache" / f"a_set_of_mine-{cache.manifest['key']}"
    assert sorted(path.name for path in cache.folder.iterdir()) == [
        "images.npy", "manifest.json", "rejected.csv", "rows.csv", "targets.npy",
    ]  # fmt: skip
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_columns_that_a_set_does_not_know_stay_unknown(records: Records, tmp_path: Path) -> None:
    cache = prepare(replace(records, patients=None, splits=None), GREY, tmp_path)
    assert cache.patients is None
    assert cache.splits is None


def test_missing_labels_survive(records: Records, tmp_path: Path) -> None:
    records.targets[3, 1] = np.nan
    np.testing.assert_array_equal(prepare(records, GREY, tmp_path / "c").targets, records.targets)


def test_second_call_decodes_and_reads_nothing(
    records: Records, tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(records, GREY, tmp_path / "c")
    assert decoded == list(range(COUNT))
    monkeypatch.setattr(training.cache.prepare, "full_stamp", lambda path: pytest.fail(f"{path} was read"))
    assert prepare(records, GREY, tmp_path / "c").folder == first.folder
    assert len(decoded) == COUNT


def test_touched_and_moved_files_keep_the_cache(
    records: Records, tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(records, GREY, tmp_path / "c")
    os.utime(records.images[4], ns=(1, 1))
    assert prepare(records, GREY, tmp_path / "c").folder == first.folder
    moved = records.with_images(Files(records.images.root.rename(tmp_path / "moved"), records.ids))
    assert prepare(moved, GREY, tmp_path / "c").folder == first.folder
    assert len(decoded) == COUNT
    monkeypatch.setattr(training.cache.prepare, "full_stamp", lambda path: pytest.fail(f"{path} was read"))
    prepare(moved, GREY, tmp_path / "c")  # remembered


def test_a_changed_image_makes_a_new_cache_of_the_changed_row_only(
    records: Records, tmp_path: Path, decoded: list[int]
) -> None:
    first = prepare(records, GREY, tmp_path / "c")
    decoded.clear()
    Image.new("L", (24, 24), 200).save(records.images[5])
    second = prepare(records, GREY, tmp_path / "c")
    assert second.folder != first.folder
    assert decoded == [5]
    assert (second.images[5] == 200).all()
    np.testing.assert_array_equal(np.delete(second.images, 5, 0), np.delete(first.images, 5, 0))


def test_a_change_of_the_same_size_and_time_elsewhere_is_seen(records: Records, tmp_path: Path) -> None:
    """Another tree with the same names, sizes and times (unpacked bitmaps) is no copy."""
    other = records.with_images(Files(tmp_path / "other", records.ids))
    shutil.copytree(records.images.root, other.images.root)
    data = bytearray(other.images[0].read_bytes())
    data[-20] ^= 1  # within the image's checksum: still a file of the same size
    stat = other.images[0].stat()
    other.images[0].write_bytes(data)
    os.utime(other.images[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    prepare(records, GREY, tmp_path / "c")
    with pytest.raises(DataError, match="1 of 12"):
        prepare(other, GREY, tmp_path / "c")


@pytest.mark.parametrize("what", ["geometry", "labels", "patients", "splits", "version", "order"])
def test_everything_that_matters_is_in_the_key(
    what: str, records: Records, tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(records, GREY, tmp_path / "c")
    decoded.clear()
    geometry, changed = GREY, records
    if what == "geometry":
        geometry = replace(GREY, fit="center")
    elif what == "version":
        monkeypatch.setattr(training.cache.prepare, "DECODE_VERSION", 99)
    elif what == "order":
        changed = records.take(range(COUNT)[::-1])
    else:
        field = {"labels": "targets"}.get(what, what)
        changed = replace(records, **{field: getattr(records, field)[::-1].copy()})
    second = prepare(changed, geometry, tmp_path / "c")
    assert second.folder != first.folder
    assert len(decoded) == (COUNT if what in ("geometry", "version") else 0)  # images are taken over
    for path, image in zip(second.ids, second.images, strict=True):
        np.testing.assert_array_equal(image, read_image(records.images.root / path, geometry))
    assert open_cache(first.folder).manifest == first.manifest


def spoil(records: Records) -> list[int]:
    records.images[2].write_bytes(b"")
    records.images[7].unlink()
    records.images[8].write_bytes(records.images[8].read_bytes()[:200])
    return [2, 7, 8]


def test_unreadable_images_stop_above_the_allowed_number_only(
    records: Records, tmp_path: Path, decoded: list[int]
) -> None:
    bad = spoil(records)
    with pytest.raises(DataError, match=r"3 of 12 images cannot be read, 2 allowed: .*ö 002\.png.*empty") as error:
        prepare(records, GREY, tmp_path / "c", max_rejected=2)
    listed = str(error.value).split("listed in ")[1].split(": repair")[0]
    assert [records.ids.index(line.split(",")[0]) for line in Path(listed).read_text("utf-8").split("\n")[1:-1]] == bad
    assert not list((tmp_path / "c").glob("*/manifest.json"))
    decoded.clear()
    cache = prepare(records, GREY, tmp_path / "c", max_rejected=3)
    assert decoded == bad  # the rest was kept
    good = [i for i in range(COUNT) if i not in bad]
    assert cache.ids == records.take(good).ids
    np.testing.assert_array_equal(cache.targets, records.targets[good])
    for path, image in zip(cache.ids, cache.images, strict=True):
        np.testing.assert_array_equal(image, read_image(records.images.root / path, GREY))
    assert cache.manifest["rejected"] == 3
    assert len((cache.folder / "rejected.csv").read_text("utf-8").splitlines()) == 4
    decoded.clear()
    assert prepare(records, GREY, tmp_path / "c", max_rejected=3).folder == cache.folder
    with pytest.raises(DataError, match="3 of 12"):
        prepare(records, GREY, tmp_path / "c")
    assert not decoded
    Image.new("L", (24, 24), 90).save(records.images[7])  # mended: the next cache has it
    better = prepare(records, GREY, tmp_path / "c", max_rejected=2)
    assert len(better) == COUNT - 2
    assert set(decoded) == set(bad)


def test_a_set_without_one_readable_image(records: Records, tmp_path: Path) -> None:
    shutil.rmtree(records.images.root)
    with pytest.raises(DataError, match="none of its 12 images"):
        prepare(records, GREY, tmp_path / "c", max_rejected=99)


def test_progress_counts_every_image_once(records: Records, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    prepare(records, GREY, tmp_path / "c", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, COUNT) for i in range(COUNT + 1)]


def test_an_incomplete_or_foreign_folder_is_no_cache(records: Records, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no complete cache"):
        open_cache(tmp_path)
    cache = prepare(records, GREY, tmp_path / "c")
    manifest = cache.folder / "manifest.json"
    manifest.write_text(json.dumps({**cache.manifest, "format": 99}))
    with pytest.raises(DataError, match="cache format 99"):
        open_cache(cache.folder)
    manifest.write_text(json.dumps(cache.manifest))
    rows = cache.folder / "rows.csv"
    rows.write_text("\n".join(rows.read_text("utf-8").splitlines()[:-1]) + "\n", "utf-8")
    with pytest.raises(DataError, match="for 11 rows"):
        open_cache(cache.folder)


def interrupted_at(count: int) -> Any:
    def stop(done: int, total: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return stop


def test_an_interrupted_run_goes_on(records: Records, tmp_path: Path, decoded: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepare(records, GREY, tmp_path / "c", progress=interrupted_at(5))
    assert not list((tmp_path / "c").glob("*/manifest.json"))
    decoded.clear()
    Image.new("L", (24, 24), 200).save(records.images[2])  # changed between the two starts
    cache = prepare(records, GREY, tmp_path / "c")
    assert decoded == [2, *range(5, COUNT)]
    assert (cache.images[2] == 200).all()
    for path, image in zip(cache.ids, cache.images, strict=True):
        np.testing.assert_array_equal(image, read_image(records.images.root / path, GREY))


@pytest.mark.parametrize("rejects", [False, True])
@pytest.mark.parametrize("step", ["write_array_header_1_0", "copyfile", "write_manifest", "rename", "rmtree"])
def test_a_crash_at_any_step_of_finishing_is_mended(
    step: str, rejects: bool, records: Records, tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = spoil(records) if rejects else []

    def crash(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        ours = dict.fromkeys(("write_array_header_1_0", "write_manifest"), training.cache.prepare)
        owner: Any = {**ours, "rename": Path}.get(step, shutil)
        patch.setattr(owner, step, crash)
        with pytest.raises(OSError, match="full"):
            prepare(records, GREY, tmp_path / "c", max_rejected=3)
    decoded.clear()
    cache = prepare(records, GREY, tmp_path / "c", max_rejected=3)
    assert decoded == ([] if step == "rmtree" else bad)
    assert len(cache) == COUNT - len(bad)
    for path, image in zip(cache.ids, cache.images, strict=True):
        np.testing.assert_array_equal(image, read_image(records.images.root / path, GREY))
    assert not list((tmp_path / "c").glob("*.partial"))


RUN = """
import os, signal, sys, threading, time
from pathlib import Path
import training.cache.staging
from medzoo.data.geometry import Geometry
from medzoo.data.dataset import Files, ImageDataset
from medzoo.data.tasks import one_hot
from training.cache.prepare import prepare

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def progress(done, total):
    if done == last:
        die()

training.cache.staging._BATCH = 8
root, folder, last, delay = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
names = tuple(sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png")))
targets = one_hot([i % 2 for i in range(len(names))], 2)
records = ImageDataset("killed", Files(root, names), names, targets, ("no", "yes"), "binary")
timer = threading.Timer(delay, die)
timer.start()
start = time.perf_counter()
prepare(records, Geometry(64, 64, channels=1), folder, max_rejected=1, progress=progress, jobs=1)
timer.cancel()
print(time.perf_counter() - start)
"""


def start(root: Path, folder: Path, last: int = -1, delay: float = 600) -> subprocess.Popen[str]:
    """A process that prepares, and kills itself at ``last`` images done or after ``delay`` seconds of work."""
    command = [sys.executable, "-c", RUN, str(root), str(folder), str(last), str(delay)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])


def only_cache(folder: Path) -> Cache:
    (found,) = folder.glob("*/manifest.json")
    return open_cache(found.parent)


@pytest.mark.posix
def test_killed_at_random_points_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    records = make(tmp_path / "set", 120, side=300)
    records.images[50].write_bytes(b"no image")
    with start(records.images.root, tmp_path / "whole") as run:
        took = float(run.communicate()[0])
    assert run.returncode == 0
    with start(records.images.root, tmp_path / "killed", last=37) as run:
        run.communicate()
    assert run.returncode == -signal.SIGKILL
    (journal,) = (tmp_path / "killed").glob("*.partial/journal.csv")
    assert len(journal.read_text().split()) == 32  # whole batches of 8
    draw = random.Random(3)
    for _ in range(3):
        with start(records.images.root, tmp_path / "killed", delay=draw.uniform(0, took / 2)) as run:
            run.communicate()
    with start(records.images.root, tmp_path / "killed") as run:
        run.communicate()
    assert run.returncode == 0
    whole, killed = only_cache(tmp_path / "whole"), only_cache(tmp_path / "killed")
    assert len(whole) == 119
    for name in ("images.npy", "targets.npy", "rows.csv", "rejected.csv", "manifest.json"):
        assert (whole.folder / name).read_bytes() == (killed.folder / name).read_bytes(), name


def test_two_processes_share_the_work_of_one(tmp_path: Path) -> None:
    records = make(tmp_path / "set", 40, side=300)
    with start(records.images.root, tmp_path / "c") as one, start(records.images.root, tmp_path / "c") as other:
        one.communicate()
        other.communicate()
    assert (one.returncode, other.returncode) == (0, 0)
    assert len(only_cache(tmp_path / "c")) == 40


def test_a_torn_journal_line_counts_as_not_written(tmp_path: Path) -> None:
    image = np.full((1, 1, 3), 7, np.uint8)
    with Staging(tmp_path, 3, Geometry(1, 1)) as staging:
        staging.put(0, image, Stamp(5, 6, "a" * 64))
        staging.put(1, image, Stamp(5, 6, "b" * 64))
    journal = tmp_path / "journal.csv"
    journal.write_text(journal.read_text()[:-20])
    with Staging(tmp_path, 3, Geometry(1, 1)) as staging:
        assert list(staging.stamps) == [0]
        staging.put(2, image, Stamp(5, 6, "c" * 64))
    with Staging(tmp_path, 3, Geometry(1, 1)) as staging:
        assert list(staging.stamps) == [0, 2]


def test_a_batch_is_on_disk_before_the_journal_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.cache.staging, "_BATCH", 2)
    staging = Staging(tmp_path, 4, Geometry(1, 1))
    for place in range(3):
        staging.put(place, np.full((1, 1, 3), place + 1, np.uint8), Stamp(1, 1, "0" * 64))
    assert sorted(staging.stamps) == [0, 1]
    assert len((tmp_path / "journal.csv").read_text().split()) == 2
    assert np.load(tmp_path / "images.npy")[:2].ravel().tolist() == [1, 1, 1, 2, 2, 2]
    staging.__exit__()


def test_memory_stays_small_with_many_images(tmp_path: Path) -> None:
    """A million images must not take gigabytes: at most some 300 bytes of each beside its pixels."""
    count, path = 4000, "images_001/images/{:08d}_000.png"
    rows = ((path.format(i), f"{i // 4}", "train", 1, i, "0" * 64) for i in range(count))
    write_rows(tmp_path / "rows.csv", ROWS, rows)
    np.save(tmp_path / "images.npy", np.zeros((count, 1, 1, 3), np.uint8))
    np.save(tmp_path / "targets.npy", np.zeros((count, 2), np.float32))
    manifest = {"format": FORMAT, "name": "n", "classes": ["a", "b"], "task": "binary", "has_patients": True}
    manifest |= {"has_splits": True, "geometry": Geometry(1, 1).to_dict()}
    write_manifest(tmp_path / "manifest.json", manifest)
    tracemalloc.start()
    try:
        cache = open_cache(tmp_path)
        opened = tracemalloc.get_traced_memory()[1] / count
        with Staging(tmp_path / "partial", count, Geometry(1, 1)) as staging:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            staging.record({i: Stamp(1, i, "0" * 64) for i in range(64)})
            for i in range(count):
                staging.put(i, cache.images[i], Stamp(1, i, "0" * 64))
            staged = (tracemalloc.get_traced_memory()[1] - before) / count
    finally:
        tracemalloc.stop()
    assert opened < 300 and staged < 50


def test_a_plan_is_that_of_its_whole_text(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.cache.prepare, "_PIECE", 5)
    known = [1, "ö", records.ids, records.classes, records.patients, None, {"a": [1, 2]}]
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in known]
    assert "".join(training.cache.prepare._json(known)) == json.dumps(plain)


@pytest.mark.real
def test_real_sets(real: Path, tmp_path: Path) -> None:
    for name, pattern, geometry in (
        ("Kather_texture_2016_image_tiles_5000", "*.tif", Geometry(224, 224)),
        ("BreaKHis_v1", "*.png", Geometry(224, 340)),
        ("montgomery", "*.png", Geometry(224, 224, channels=1)),
    ):
        root = real / name
        paths = tuple(sorted(path.relative_to(root).as_posix() for path in root.rglob(pattern)))
        targets = one_hot([0] * len(paths), 2)
        cache = prepare(
            ImageDataset(name, Files(root, paths), paths, targets, ("a", "b"), "binary"), geometry, tmp_path
        )
        assert len(cache) == len(paths) > 10
        assert all(image.std() > 1 for image in cache.images)


def test_hashes_are_made_once_and_kept(records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = prepare(records, GREY, tmp_path / "c")
    hashes = training.cache.hashes.cache_hashes(cache)
    assert hashes.shape == (COUNT, 48)
    np.testing.assert_array_equal(hashes[5], image_hash(as_array(records.images[5], FRAME)))
    monkeypatch.setattr(training.cache.hashes, "hashes_of", lambda *_: pytest.fail("hashed again"))
    np.testing.assert_array_equal(training.cache.hashes.cache_hashes(open_cache(cache.folder)), hashes)
