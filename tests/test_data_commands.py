"""``python -m training download | check``: words in, folders, tables and exit codes out."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty_server import Answer, Server
from PIL import Image

from medzoo.core.download import Remote, fetch
from medzoo.core.registry import Registry
from training.__main__ import main
from training.download import download as downloading
from training.download.sources import DOWNLOADS, Download, Item
from training.standins import write_standins

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; exit code, what it printed, and what it said on stderr."""

    def start(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["training", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return start


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings of two sets; a part of the complete ones."""
    data = tmp_path_factory.mktemp("drawn")
    write_standins(data, {"shenzhen": 40, "kather2016": 40})
    return data


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A set that is complete: 80 images without and 58 with tuberculosis."""
    folder = tmp_path / "data" / "MontgomerySet" / "CXR_png"
    folder.mkdir(parents=True)
    for number in range(138):
        Image.new("L", (9, 9), number).save(folder / f"MCUCXR_{number:04}_{int(number >= 80)}.png")
    return tmp_path / "data"


def lines(text: str) -> dict[str, list[str]]:
    """The table at the top of what ``check`` prints: name to cells."""
    return {line.split()[0]: line.split()[1:] for line in text.split("\n\n")[0].splitlines()}


def test_a_complete_set_is_fine(run: Run, whole: Path) -> None:
    code, out, err = run("check", "--data", whole)
    assert (code, err) == (0, "")
    assert lines(out)["montgomery"] == ["138", "138", "0", "0", "0", "0", "0", "complete"]
    assert "normal 80 of 80, tuberculosis 58 of 58" in out and "problem" not in out


def test_the_columns_are_aligned(run: Run, drawn: Path) -> None:
    out = run("check", "--data", drawn)[1]
    head, *rows = out.split("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows] == ["shenzhen", "kather2016"]
    for column in ("images", "known", "unreadable"):
        end = head.index(column) + len(column)
        assert all(row[end - 1].isdigit() and row[end] == " " for row in rows)


def test_a_part_is_a_problem_unless_it_is_allowed(run: Run, drawn: Path) -> None:
    code, out, _ = run("check", "shenzhen", "--data", drawn)
    assert code == 1
    assert lines(out)["shenzhen"][-1] == "problem"
    assert "problem: 40 images, the complete set has 662" in out
    code, out, _ = run("check", "shenzhen", "--data", drawn, "--allow-partial")
    assert code == 0
    assert lines(out)["shenzhen"][:2] == ["40", "662"] and out.splitlines()[1].endswith("a part")


def test_a_broken_image_is_a_problem_even_of_a_part(run: Run, whole: Path) -> None:
    (whole / "MontgomerySet" / "CXR_png" / "MCUCXR_0007_0.png").write_bytes(b"no image")
    (whole / "MontgomerySet" / "CXR_png" / "MCUCXR_0008_0.png").unlink()
    code, out, _ = run("check", "montgomery", "--data", whole, "--allow-partial", "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert found["images"] == 137 and found["unreadable"][0][0] == "CXR_png/MCUCXR_0007_0.png"
    assert len(found["problems"]) == 1 and "1 unreadable images" in found["problems"][0]


def test_a_set_in_ruins_does_not_keep_the_others_from_being_checked(run: Run, whole: Path) -> None:
    (whole / "Kather_texture_2016_image_tiles_5000" / "01_TUMOR").mkdir(parents=True)
    code, out, _ = run("check", "--data", whole)
    assert code == 1
    assert lines(out)["kather2016"][-1] == "problem" and lines(out)["montgomery"][-1] == "complete"
    assert "a class folder without images" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "messidor"], "no folder of messidor"),
        (["check", "montgomry"], "did you mean 'montgomery'"),
        (["download", "eyepaks"], "did you mean 'eyepacs'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(run: Run, whole: Path, words: list[str], said: str) -> None:
    code, out, err = run(*words, "--data", whole)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and said in err and err.count("\n") == 1


def test_without_a_data_folder_nothing_is_guessed(run: Run, tmp_path: Path) -> None:
    for words in (["check"], ["download", "kather2016"]):
        assert run(*words)[0::2] == (2, "error: no data folder is given; add --data DIR or set MEDZOO_DATA\n")
    assert run("check", "--data", tmp_path / "none")[0] == 2
    code, _, err = run("check", "--data", tmp_path)
    assert code == 2 and "no known data set is in" in err


def archive() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as made:
        info = tarfile.TarInfo("images/1.png")
        info.size = 4
        made.addfile(info, io.BytesIO(b"1234"))
    return raw.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    body = archive()
    with Server({"/one": [Answer(body, cut=len(body) // 2), Answer(body)]}) as made:
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        item = Item("one.tar.gz", Remote(made.url("/one"), "the test", len(body), digest), into="images_001")
        monkeypatch.setattr(
            downloading, "DOWNLOADS", Registry("download", [Download("chestxray14", (item,)), DOWNLOADS["messidor"]])
        )
        monkeypatch.setattr(downloading, "fetch", functools.partial(fetch, sleep=lambda seconds: None))
        yield made


@pytest.mark.parametrize("keep", [False, True])
def test_download_says_the_terms_and_brings_the_folder(run: Run, server: Server, tmp_path: Path, keep: bool) -> None:
    code, out, err = run("download", "chestxray14", "--data", tmp_path / "new", *(["--keep-archives"] if keep else []))
    assert (code, err) == (0, "")
    assert out.startswith("NIH ChestX-ray14. Terms: ")
    assert (tmp_path / "new" / "chestxray14" / "images_001" / "images" / "1.png").read_bytes() == b"1234"
    assert (tmp_path / "new" / "downloads" / "chestxray14" / "one.tar.gz").exists() == keep
    assert len(server.requests) == 2  # the first answer broke off


def test_what_may_not_be_fetched_is_explained(run: Run, server: Server, tmp_path: Path) -> None:
    code, out, err = run("download", "messidor", "--data", tmp_path)
    assert code == 2
    assert "1. " in out and "python -m training check messidor" in out
    assert err.startswith("error: messidor may only be fetched by hand")
    assert not server.requests
