"""Archives that are broken, hostile, or both."""

from __future__ import annotations

import gzip
import io
import random
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from medzoo.core.errors import DataError
from training.download import unpack as module
from training.download.unpack import safe_parts, unpack

NOISE = random.Random(5).randbytes(200_000)
FILES = {"set/a/one.png": NOISE, "set/a/two.png": NOISE[::-1], "set/labels.csv": b"one,1\ntwo,2\n" * 50}
FORMATS = ("zip", "tar.gz", "tgz")


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
        for info in extra:
            made.addfile(info)
    return path


def archive(folder: Path, kind: str, files: dict[str, bytes]) -> Path:
    path = folder / f"set.{kind}"
    return zipped(path, files) if kind == "zip" else tarred(path, files)


def special(folder: Path, **attributes: object) -> Path:
    """A tar with a good file and a member of another type."""
    info = tarfile.TarInfo("set/extra")
    for name, value in attributes.items():
        setattr(info, name, value)
    return tarred(folder / "set.tar.gz", FILES, info)


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refuse(path: Path, message: str, max_bytes: int | None = None, max_members: int = 1000) -> None:
    """The archive is refused, and nothing is left of it anywhere."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(DataError, match=message):
        unpack(path, path.parent / "out", max_bytes=max_bytes, max_members=max_members)
    assert sorted(path.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_unpacks(tmp_path: Path, kind: str) -> None:
    path = archive(tmp_path, kind, FILES)
    seen: list[tuple[int, int | None]] = []
    out = unpack(path, tmp_path / "out", progress=lambda *at: seen.append(at))
    assert tree(out) == FILES
    size = path.stat().st_size
    assert seen == sorted(seen) and seen[-1] == (size, size)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["out", path.name]


def test_the_wrapping_folder_can_be_left_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", FILES | {"__MACOSX/set/._labels.csv": b"x"})
    unwrapped = {name.removeprefix("set/"): data for name, data in FILES.items()}
    assert tree(unpack(path, tmp_path / "out", unwrap=True)) == unwrapped
    loose = zipped(tmp_path / "loose.zip", FILES | {"readme.txt": b"x"})
    assert tree(unpack(loose, tmp_path / "loose", unwrap=True)) == FILES | {"readme.txt": b"x"}


def test_folders_owners_and_modes(tmp_path: Path) -> None:
    path = tmp_path / "set.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name in (".", "./set", "./set/empty"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o000
            made.addfile(info)
        info = tarfile.TarInfo("./set/run.sh")
        info.size, info.mode = 1, 0o4777
        made.addfile(info, io.BytesIO(b"x"))
    out = unpack(path, tmp_path / "out")
    assert (out / "set" / "empty").is_dir()
    assert not (out / "set" / "run.sh").stat().st_mode & (stat.S_ISUID | stat.S_IXUSR)


HOSTILE_NAMES = {
    "../evil": "leads out",
    "set/../../evil": "leads out",
    "set\\..\\..\\evil": "leads out",
    "/etc/evil": "absolute",
    "\\\\host\\share\\evil": "absolute",
    "C:\\evil": "absolute",
    "c:evil": "absolute",
    "set/NUL": "cannot keep",
    "set/com1.png": "cannot keep",
    "set/Aux .txt": "cannot keep",
    "set/a.png:stream": "cannot keep",
    "set/a?.png": "cannot keep",
    "set/trailing.": "cannot keep",
    "set/trailing ": "cannot keep",
    "set/new\nline": "cannot keep",
    "set/\x1b[31mred": "cannot keep",
    "set/" + "x" * 256: "cannot keep",
    "SET/labels.csv": "case only",
    "set/Labels.csv": "case only",
    "set/labels.csv": "twice",
    "set/labels.csv/a": "twice",
    "set/a": "twice",
}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_refused(tmp_path: Path, name: str) -> None:
    for kind in ("zip", "tar.gz"):
        path = tmp_path / f"set.{kind}"
        again = [*FILES.items(), (name, b"evil")]
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as made:
                for each, data in again:
                    made.writestr(zipfile.ZipInfo(each), data)
        else:
            with tarfile.open(path, "w:gz") as made_tar:
                for each, data in again:
                    info = tarfile.TarInfo(each)
                    info.size = len(data)
                    made_tar.addfile(info, io.BytesIO(data))
        refuse(path, HOSTILE_NAMES[name])


def test_a_zero_byte_in_a_name_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"set/a.png#.sh": b"x"})
    path.write_bytes(path.read_bytes().replace(b"a.png#", b"a.png\0"))
    refuse(path, "cannot keep|broken")


@pytest.mark.parametrize(
    "attributes",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.SYMTYPE, "linkname": "a"},
        {"type": tarfile.LNKTYPE, "linkname": "set/labels.csv"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.BLKTYPE, "devmajor": 8},
        {"type": tarfile.FIFOTYPE},
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, attributes: dict[str, object]) -> None:
    refuse(special(tmp_path, **attributes), "link or a device")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, mode: int) -> None:
    path = zipped(tmp_path / "set.zip", FILES)
    with zipfile.ZipFile(path, "a") as made:
        info = zipfile.ZipInfo("set/extra")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        made.writestr(info, "/etc/passwd")
    refuse(path, "link or a device")


def test_a_password_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"set/a.csv": b"1"})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag in the file's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the list at the end
    path.write_bytes(data)
    refuse(path, "password")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_size_bomb_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 1 << 20)
    path = archive(tmp_path, kind, {"set/bomb.png": bytes(5 << 20)})
    refuse(path, "grow to more than")
    refuse(archive(tmp_path, kind, FILES), "grow to more than", max_bytes=300_000)


def test_a_file_that_goes_on_past_its_declared_size_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"set/a.csv": bytes(100_000)})
    data = path.read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(data)
    refuse(path, "not as long|broken")


def test_a_bomb_in_a_tar_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as made:
        info = tarfile.TarInfo("set/a")
        info.pax_headers = {"comment": "x" * (3 << 20)}
        made.addfile(info)
    assert path.stat().st_size < 100_000
    refuse(path, "grow to more than", max_bytes=1 << 20)


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    refuse(special(tmp_path, type=tarfile.GNUTYPE_SPARSE), "link or a device|broken")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_too_many_members_are_refused(tmp_path: Path, kind: str) -> None:
    refuse(archive(tmp_path, kind, FILES), "more than 2 files and folders", max_members=2)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_archive_leaves_nothing(tmp_path: Path, kind: str) -> None:
    path = archive(tmp_path, kind, FILES)
    data = path.read_bytes()
    for size in (0, 1, 100, 512, 1024, len(data) // 3, len(data) // 2, len(data) - 9, len(data) - 1):
        path.write_bytes(data[:size])
        refuse(path, "broken|not as long|holds nothing")


def test_a_tar_that_ends_between_two_files_is_noticed(tmp_path: Path) -> None:
    path = tarred(tmp_path / "set.tar.gz", FILES)
    with tarfile.open(path) as made:
        end = made.getmembers()[1].offset
    whole = zlib.compressobj(wbits=31)
    path.write_bytes(whole.compress(gzip.decompress(path.read_bytes())[:end]) + whole.flush(zlib.Z_FULL_FLUSH))
    refuse(path, "broken")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_flipped_bits_never_give_another_content(tmp_path: Path, kind: str) -> None:
    small = {"set/a.png": NOISE[:2000], "set/labels.csv": b"one,1\n"}
    path = archive(tmp_path, kind, small)
    data = path.read_bytes()
    draw = random.Random(7)
    caught = 0
    for _ in range(60):
        broken = bytearray(data)
        broken[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(broken)
        out = tmp_path / "out"
        try:
            unpack(path, out)
        except DataError:
            caught += 1
            assert [item.name for item in tmp_path.iterdir()] == [path.name]
            continue
        assert set(tree(out).values()) == set(small.values())
        for item in sorted(out.rglob("*"), reverse=True):
            item.rmdir() if item.is_dir() else item.unlink()
        out.rmdir()
    assert caught > 40


@pytest.mark.parametrize("make", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("kind", FORMATS)
def test_another_format_than_the_name_says_is_broken(tmp_path: Path, kind: str, make: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"set.{kind}"
    path.write_bytes(make(b"<html>not an archive</html>" * 100))
    refuse(path, "broken")


def test_an_unknown_format_and_an_empty_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.rar"
    path.write_bytes(b"Rar!")
    refuse(path, r"known: \.zip, \.tar\.gz")
    refuse(zipped(tmp_path / "set.zip", {}), "holds nothing")
    refuse(tarred(tmp_path / "set.tar.gz", {}), "holds nothing")


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", FILES)
    (tmp_path / "out").mkdir()
    refuse(path, "exists")


def test_the_rest_of_a_killed_process_is_cleared(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", FILES)
    draft = tmp_path / ".out.unpacking"
    draft.mkdir()
    (draft / "half.png").write_bytes(b"x")
    assert tree(unpack(path, tmp_path / "out")) == FILES
    assert not draft.exists()


def test_good_names_stay_as_they_are() -> None:
    for name in ("set/Viral Pneumonia/a (1).png", "Online-Challenge1&2-Evaluation/.~Readme.docx", "röntgen/é.png"):
        assert "/".join(safe_parts(name)) == name
