"""A data set from its published files to its folder, and the table of where they are."""

from __future__ import annotations

import functools
import hashlib
import io
import random
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_server import Answer, Server
from filelock import FileLock

from medzoo.core.download import Remote, fetch
from medzoo.core.errors import DataError, RunError, UnknownNameError
from medzoo.core.registry import Registry
from training.datasets import DATASETS, folder
from training.download import download as module
from training.download.download import download, steps
from training.download.sources import DOWNLOADS, Download, Item
from training.download.unpack import is_archive

STUDY = {
    "chestxray14",
    "breakhis",
    "eyepacs",
    "shenzhen",
    "covid19_radiography",
    "kather2016",
    "messidor",
    "deepdrid",
}
LABELS = b"Image Index,Finding Labels\n00000001_000.png,Cardiomegaly\n"


def png(seed: int) -> bytes:
    return random.Random(seed).randbytes(300_000)


def tar_gz(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return raw.getvalue()


CONTENT = {
    "/labels": LABELS,
    "/1": tar_gz({"images/00000001_000.png": png(1)}),
    "/2": tar_gz({"images/00000002_000.png": png(2)}),
    "/zip": zip_of({"Kather/01_TUMOR/a.tif": png(3), "Kather/02_STROMA/b.tif": png(4)}),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The table's sets of several files and of one archive, at a server of our own; nobody waits."""
    with Server({path: [Answer(body)] for path, body in CONTENT.items()}) as made:

        def remote(path: str) -> Remote:
            body = CONTENT[path]
            return Remote(made.url(path), "the test", len(body), "sha256:" + hashlib.sha256(body).hexdigest())

        many = (
            Item("Data_Entry_2017_v2020.csv", remote("/labels")),
            Item("images_001.tar.gz", remote("/1"), into="images_001"),
            Item("images_002.tar.gz", remote("/2"), into="images_002"),
        )
        table = Registry(
            "download",
            [
                Download("chestxray14", many),
                Download("kather2016", (Item("kather.zip", remote("/zip"), unwrap=True),)),
                DOWNLOADS["messidor"],
            ],
        )
        monkeypatch.setattr(module, "DOWNLOADS", table)
        monkeypatch.setattr(module, "fetch", functools.partial(fetch, sleep=lambda seconds: None))
        yield made


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


MANY = {
    "Data_Entry_2017_v2020.csv": LABELS,
    "images_001/images/00000001_000.png": png(1),
    "images_002/images/00000002_000.png": png(2),
}


def test_a_set_of_several_files(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    lines: list[str] = []
    asked: list[int] = []

    def announce(line: str) -> None:
        lines.append(line)
        asked.append(len(server.requests))

    seen: list[tuple[int, int | None]] = []
    root = download("chestxray14", data, announce=announce, progress=lambda *at: seen.append(at))
    assert root == data / "chestxray14" == folder("chestxray14", data)
    assert tree(root) == MANY
    # The terms stand first, before the first request.
    about = DATASETS["chestxray14"]
    assert about.terms in lines[0] and about.citation in lines[0] and asked[0] == 0
    assert [line.split(":")[0] for line in lines[1:-1]] == [
        "Data_Entry_2017_v2020.csv (1 of 3)",
        "images_001.tar.gz (2 of 3)",
        "images_001.tar.gz (2 of 3)",
        "images_002.tar.gz (3 of 3)",
        "images_002.tar.gz (3 of 3)",
    ]
    assert (len(CONTENT["/1"]), len(CONTENT["/1"])) in seen
    assert not (data / "downloads" / "chestxray14").exists()


def test_a_set_in_place_is_left_alone(server: Server, tmp_path: Path) -> None:
    lines: list[str] = []
    download("kather2016", tmp_path, announce=lines.append)
    root = tmp_path / "Kather_texture_2016_image_tiles_5000"
    assert tree(root) == {"01_TUMOR/a.tif": png(3), "02_STROMA/b.tif": png(4)}
    (root / "01_TUMOR" / "a.tif").write_bytes(b"mine")
    assert download("kather2016", tmp_path, announce=lines.append) == root
    assert "exists" in lines[-1]
    assert (root / "01_TUMOR" / "a.tif").read_bytes() == b"mine"
    assert len(server.requests) == 1


def test_kept_archives_are_not_fetched_again(server: Server, tmp_path: Path) -> None:
    root = download("chestxray14", tmp_path, announce=print, keep_archives=True)
    kept = tmp_path / "downloads" / "chestxray14"
    assert tree(kept) == {"images_001.tar.gz": CONTENT["/1"], "images_002.tar.gz": CONTENT["/2"]}
    shutil.rmtree(root)
    assert tree(download("chestxray14", tmp_path, announce=print)) == MANY
    assert len(server.headers("/1")) == len(server.headers("/2")) == 1
    assert not kept.exists()


def test_an_interrupted_call_is_resumed(server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if len(server.headers("/2")) and done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("chestxray14", tmp_path, announce=print, progress=stop)
    assert folder("chestxray14", tmp_path) is None
    assert tree(download("chestxray14", tmp_path, announce=print)) == MANY
    assert len(server.headers("/labels")) == len(server.headers("/1")) == 1
    first, second = server.headers("/2")
    assert "Range" not in first and second["Range"].startswith("bytes=")


def test_a_stop_while_unpacking_leaves_no_half_folder(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.name == "images_002":
            raise KeyboardInterrupt
        return copy(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            download("chestxray14", tmp_path, announce=print)
    assert not (tmp_path / "downloads" / "chestxray14" / "set" / "images_002").exists()
    assert tree(download("chestxray14", tmp_path, announce=print)) == MANY
    assert len(server.headers("/2")) == 1  # the archive was whole and is not fetched again


def test_faults_on_the_way_end_in_the_same_folder(server: Server, tmp_path: Path) -> None:
    body = CONTENT["/zip"]
    server.answers["/zip"] = [Answer(status=503), Answer(body, cut=200_000), Answer(body, cut=200_000), Answer(body)]
    root = download("kather2016", tmp_path, announce=print)
    assert tree(root) == {"01_TUMOR/a.tif": png(3), "02_STROMA/b.tif": png(4)}


def test_a_file_that_is_not_what_is_published_makes_no_folder(server: Server, tmp_path: Path) -> None:
    server.answers["/2"] = [Answer(CONTENT["/2"][:-1] + b"?")]
    with pytest.raises(DataError, match=r"images_002\.tar\.gz .*has the sha256"):
        download("chestxray14", tmp_path, announce=print)
    assert folder("chestxray14", tmp_path) is None
    assert not (tmp_path / "downloads" / "chestxray14" / "images_002.tar.gz").exists()


def test_an_unsafe_archive_makes_no_folder(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/evil"] = [Answer(zip_of({"set/a.tif": b"x", "../../evil.tif": b"x"}))]
    item = Item("kather.zip", Remote(server.url("/evil"), "the test"), unwrap=True)
    monkeypatch.setattr(module, "DOWNLOADS", Registry("download", [Download("kather2016", (item,))]))
    with pytest.raises(DataError, match="leads out of its folder"):
        download("kather2016", tmp_path / "data", announce=print)
    assert folder("kather2016", tmp_path / "data") is None
    assert not list(tmp_path.rglob("*evil*"))


def test_a_small_disk_is_told_before_the_first_request(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = len(CONTENT["/labels"]) + len(CONTENT["/1"]) + 2 * len(CONTENT["/2"])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=need - 1000))
    with pytest.raises(DataError, match=r"chestxray14 needs .* GB free"):
        download("chestxray14", tmp_path, announce=print)
    assert server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=need + 1000))
    download("chestxray14", tmp_path, announce=print)


def test_two_processes_do_not_write_one_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    with (
        FileLock(tmp_path / "downloads" / ".kather2016.lock"),
        pytest.raises(RunError, match="another process is fetching kather2016"),
    ):
        download("kather2016", tmp_path, announce=print)
    assert server.requests == []


def test_a_set_by_hand_says_its_steps(server: Server, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(DataError, match="messidor may only be fetched by hand"):
        download("messidor", tmp_path, announce=lines.append)
    assert DATASETS["messidor"].terms in lines[0]
    assert "adcis.net" in lines[1] and (tmp_path / "Messidor").as_posix() in lines[1]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "Messidor").mkdir()
    assert download("messidor", tmp_path, announce=lines.append) == tmp_path / "Messidor"


def test_an_unknown_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'messidor'"):
        download("mesidor", tmp_path, announce=print)


def test_the_table_has_every_set_of_the_study() -> None:
    assert set(DOWNLOADS) == STUDY <= set(DATASETS)


@pytest.mark.parametrize("name", sorted(STUDY))
def test_an_entry_is_sound(name: str) -> None:
    entry = DOWNLOADS[name]
    assert bool(entry.items) != bool(entry.steps)
    assert len({item.name for item in entry.items}) == len(entry.items)
    places = [item.into if is_archive(item.name) else item.name for item in entry.items]
    assert len(set(places)) == len(places)
    assert "" not in places or len(places) == 1
    for item in entry.items:
        remote = item.remote
        assert remote.source and "/" not in item.name
        assert remote.url.startswith("https://") or name == "breakhis"
        assert remote.size is None or remote.size > 0
        if remote.digest:
            algorithm, _, digest = remote.digest.partition(":")
            assert len(bytes.fromhex(digest)) == hashlib.new(algorithm, usedforsecurity=False).digest_size
    text = steps(name, Path("somewhere"))
    assert f"somewhere/{DATASETS[name].folders[0]}" in text and f"check {name}" in text and "{" not in text


@pytest.mark.real
def test_the_official_lists_have_the_digests_of_the_table(real: Path) -> None:
    lists = real / "chestxray14_full_lists"
    items = {item.name: item.remote for item in DOWNLOADS["chestxray14"].items}
    for name in ("train_val_list.txt", "test_list.txt"):
        content = (lists / name).read_bytes()
        assert items[name].size == len(content)
        assert items[name].digest == "sha256:" + hashlib.sha256(content).hexdigest()
