"""A look before any work: its numbers are those of the files, what is wrong is said first, options reach the reader."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dicom_makers import dicom_file
from makers import class_folders
from numpy.typing import NDArray
from PIL import Image

import medzoo
from medzoo.__main__ import app
from medzoo.cli.app import run
from medzoo.contamination.image_hashes import hashes_of
from medzoo.contamination.seen_images import SEEN, seen_of, write_seen
from medzoo.core.errors import DataError, UnreadableError
from medzoo.core.progress import muted, show
from medzoo.data.class_shortcuts import find_shortcuts
from medzoo.data.file_headers import Header, read_headers
from medzoo.data.geometry import Geometry
from medzoo.data.opening import open_dataset, open_images
from medzoo.data.overview import READ, Overview, announce, flag, overview_of
from medzoo.data.read_options import ReadOptions
from medzoo.reporting.data_figure import Shown, chosen
from medzoo.zoo.bundle import RUN

RNG = np.random.default_rng(5)
SIZE = Geometry(32, 32)
WEIGHT = "densenet121_efi_ri"


def noise(size: tuple[int, ...] = (40, 40, 3)) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, size, dtype=np.uint8)


def pages(file: Path, count: int = 2) -> list[NDArray[np.uint8]]:
    """A TIFF of several pages."""
    found = [noise() for _ in range(count)]
    first, *others = map(Image.fromarray, found)
    first.save(file, save_all=True, append_images=others)
    return found


def messy(root: Path) -> Path:
    """A folder of 24 images with what people leave in theirs."""
    class_folders(root, each=12)
    for name in ("a.jfif", "b.IMA", "green/c.ima", "red/notes.txt"):
        (root / name).write_bytes(b"nothing")
    Image.fromarray(noise((30, 50))).save(root / "green" / "wide.png")
    Image.fromarray(noise((30, 50))).save(root / "green" / "wide_mask.png")
    return root


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run a command in this process: exit code, stdout, stderr."""

    def start(*words: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["medzoo", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            run(app)
        said = capfd.readouterr()
        return left.value.code, said.out, said.err

    return start


def test_the_numbers_are_those_of_the_files(tmp_path: Path) -> None:
    root = messy(tmp_path / "set")
    found = overview_of(open_dataset(root))
    images = [Image.open(io.BytesIO(file.read_bytes())) for file in root.rglob("*.png") if "mask" not in file.name]
    areas = sorted((image.width * image.height, *image.size) for image in images)
    assert found.images == found.read == len(images) == 25
    assert found.counts == {"green": 13, "red": 12} and found.task == "binary"
    assert [tuple(size) for size in found.sizes] == [areas[0][1:], areas[12][1:], areas[-1][1:]]
    assert found.modes == {
        {"L": "grey"}.get(mode, mode): count for mode, count in Counter(image.mode for image in images).items()
    }
    assert found.skipped == {".jfif": 1, ".ima": 2, ".txt": 1, "masks": 1}
    text = str(found)
    assert text.startswith("set: 25 images, binary, 2 classes: green 13, red 12\n  split: none of its own\n")
    assert "left out: 4 files: .jfif 1, .ima 2, masks 1" in text and "masks of other images" in text
    assert text.count(".ima") == 1 and ".txt" not in text and "files)" not in text
    assert Overview(**json.loads(json.dumps(found.to_dict()))).lines() == found.lines()


def test_split_patients_and_empty_labels_of_a_table(tmp_path: Path) -> None:
    class_folders(tmp_path, each=30)
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    frame = pd.DataFrame({"path": paths, "patient": [f"P{i // 2}" for i in range(60)]})
    frame.loc[0, "patient"] = ""
    frame["split"] = ["train"] * 40 + ["test"] * 15 + [""] * 5
    frame["x"], frame["y"] = [1, 0] * 30, [0, 1] * 30
    frame = frame.astype({"x": object, "y": object})
    frame.loc[[3, 4], ["x", "y"]] = ""
    found = overview_of(medzoo.read_table(frame, tmp_path, label=["x", "y"]))
    assert found.splits == {"train": 40, "test": 15, "": 5}
    assert (found.patients, found.without_patient, found.read) == (30, 1, READ)
    lines = found.lines()
    assert "split: train 40, test 15, in none 5" in lines and "without any label: 2 images" in lines
    assert "patients: 30; not known of 1 images" in lines and any(f"(of {READ} of 60 files)" in one for one in lines)


def test_headers_of_every_form(tmp_path: Path) -> None:
    pages(tmp_path / "two.tif")
    turned = Image.new("RGB", (30, 20))
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(np.zeros((7, 9), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    stream = io.BytesIO()
    Image.new("P", (5, 4)).save(stream, "PNG")
    items = [
        *(tmp_path / name for name in ("two.tif", "turned.jpg", "deep.png", "bad.png", "missing.png")),
        *(
            stream.getvalue(),
            Image.new("1", (3, 2)),
            noise((6, 8)),
            noise((3, 6, 8)),
            noise((6, 8, 3)),
            noise((2, 2, 2, 2)),
        ),
    ]
    assert read_headers(items, range(len(items))) == [
        Header(40, 40, "RGB", 2),
        Header(20, 30, "RGB"),
        Header(9, 7, "16-bit grey"),
        Header(5, 4, "palette"),
        Header(3, 2, "1-bit"),
        *[Header(8, 6, "uint8 array")] * 3,
    ]


def test_a_dicom_header_tells_size_bits_and_frames(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    (tmp_path / "x.dcm").write_bytes(dicom_file(noise((6, 8))))
    (header,) = read_headers([tmp_path / "x.dcm"], [0])
    assert (header.width, header.height, header.pages) == (8, 6, 1) and header.mode.startswith("DICOM 8-bit MONO")


def test_planted_faults_are_found_named_and_drawn(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for number in range(28):
        file = root / ("green", "red")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = np.array([210, 130, 190]) + RNG.normal(0, 20, (40, 40, 3))  # stained tissue
        Image.fromarray((255 - image if number == 0 else image).clip(0, 255).astype(np.uint8)).save(file)
    for name, colour in (("1", (0, 0, 0)), ("3", (210, 130, 190))):
        Image.new("RGB", (40, 40), colour).save(root / "red" / f"{name}.png")
    (root / "red" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    pages(root / "red" / "y.tif")
    found = medzoo.look(root, image_size=32)
    assert [one.partition(":")[0] for one in found.warnings] == [
        "2 images or folders cannot be read",
        "1 of 28 images are nearly black",
        "1 of 28 images are nearly constant",
        "1 of 28 images are inverted (light and dark swapped) against the rest",
    ]
    assert found.to_dict()["flagged"] == {
        "nearly black": ["red/1.png"],
        "nearly constant": ["red/3.png"],
        "inverted (light and dark swapped) against the rest": ["green/0.png"],
    }
    assert list(found.to_dict()["unreadable"]) == ["red/x.png", "red/y.tif"]
    assert [text for _, text, _ in found.shown.suspects] == ["nearly black", "nearly constant", "inverted"]
    assert found.decoded == 28 and str(found).endswith("decoded: 28 of 30 images; 4 warnings")
    with Image.open(found.plot(tmp_path / "sheet.png")) as sheet:
        assert sheet.width > 1000
    assert medzoo.look(root, image_size=32, page=1).warnings[0].startswith("1 images or folders cannot be read")


def test_a_good_set_has_no_warning_and_shows_every_class(tmp_path: Path) -> None:
    found = medzoo.look(class_folders(tmp_path, each=20), image_size=32)
    assert found.warnings == () and str(found).endswith("decoded: all 40 images; no warnings")
    assert Counter(found.shown.classes) == {"green": 12, "red": 12}
    assert len(found.plot().axes) == 26
    np.testing.assert_allclose(
        found.shown.brightness,
        Shown.of(open_dataset(tmp_path).decode(Geometry(32, 32, "center"))).brightness,
    )


def test_what_cannot_be_trained_on_is_looked_at_all_the_same(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "one.png")
    found = medzoo.look(tmp_path, image_size=32)
    assert found.overview.images == 1 and found.warnings[0].startswith("this cannot be trained on: ")
    with pytest.raises(DataError, match="no folder"):
        medzoo.look(tmp_path / "none")
    (tmp_path / "t.csv").write_text("path,class\none.png,x\n")
    with pytest.raises(DataError, match="no column named 'label'"):
        medzoo.look(tmp_path / "t.csv")


def test_rows_of_the_sheet_are_each_shown_once() -> None:
    several = np.zeros((50, 6), np.float32)
    several[:3] = 1
    assert len(chosen(several)) == len(set(chosen(several))) == 3
    assert chosen(np.zeros((5, 2), np.float32)) == [0, 1, 2, 3, 4] == chosen(np.zeros((5, 0), np.float32))


def test_the_overview_is_shown_once_and_muted_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = open_dataset(class_folders(tmp_path / "set"))
    overview = announce(data)
    assert capsys.readouterr().err == f"{overview}\n"
    decoded = data.decode(SIZE)
    assert announce(decoded) is None and flag(decoded, None) == (decoded, None)
    with muted():
        show("not this")
        with muted(False):
            show("this")
    assert capsys.readouterr().err == "this\n"


def test_sizes_and_modes_that_give_the_class_away_are_said_with_numbers(tmp_path: Path) -> None:
    class_folders(tmp_path / "same", each=40)
    assert overview_of(open_dataset(tmp_path / "same")).warnings == ()
    root = tmp_path / "set"
    for kind, side, mode in (("normal", 50, "L"), ("pneumonia", 40, "RGB")):
        (root / kind).mkdir(parents=True)
        for number in range(30):
            image = Image.fromarray(noise((side + number % 3, side, 3))).convert("L" if number == 7 else mode)
            image.save(root / kind / f"{number}.png")
    size, modes = overview_of(open_dataset(root)).warnings
    assert size.startswith(
        "the size goes with the class: median 40 x 41 of 25 files of pneumonia, median 50 x 51 of 25"
    )
    assert "(AUROC 1.00)" in size
    assert re.match(
        r"the kind of pixels goes with the class: (RGB in 24|grey in 1) of 25 files of pneumonia, "
        r"(RGB in 0|grey in 25) of 25 others \(AUROC 0.98\)",
        modes,
    )
    assert medzoo.look(root, image_size=32).warnings[:1] == (size.replace("25", "30"),)
    # Of several classes the worst, and of too few images none.
    targets = np.eye(3, dtype=np.float32)[[0] * 20 + [1] * 20 + [2] * 20]
    headers = [Header(40, 40, "grey")] * 40 + [Header(60, 60, "grey")] * 20
    (found,) = find_shortcuts(headers, targets, ("a", "b", "c"))
    assert "20 files of c, median 40 x 40 of 40 others" in found
    assert find_shortcuts(headers[39:41], targets[39:41], ("a", "b", "c")) == ()
    assert find_shortcuts([], targets[:0], ("a", "b", "c")) == ()


def test_the_page_asked_for_reaches_the_pixels(tmp_path: Path) -> None:
    root, wanted = tmp_path / "set", {}
    for kind in ("green", "red"):
        (root / kind).mkdir(parents=True)
        for number in range(2):
            wanted[f"{kind}/{number}.tif"] = pages(root / kind / f"{number}.tif")
    second = open_dataset(root, reading=ReadOptions(page=2)).decode(Geometry(40, 40))
    for name, image in zip(second.ids, second.images, strict=True):
        np.testing.assert_array_equal(image, wanted[name][1])
    with pytest.raises(UnreadableError, match=r"4 of 4 images of set cannot be read: .* holds 2 pages"):
        open_dataset(root).decode(SIZE)
    with pytest.raises(UnreadableError, match="more than 100 pixels"):
        open_dataset(root, reading=ReadOptions(page=1, max_pixels=100)).decode(SIZE)
    assert (
        "files of several pages or frames: 4; number 2 of each is read"
        in overview_of(second.with_images(open_dataset(root).images)).lines()
    )


def test_commands_say_first_what_was_found_and_take_the_options(tmp_path: Path, shell, zoo: Path) -> None:  # type: ignore[no-untyped-def]
    root = messy(tmp_path / "set")
    Image.new("RGB", (40, 40)).save(root / "red" / "black.png")
    pages(root / "red" / "two.tif", 3)
    (root / "red" / "bad.png").write_bytes(b"broken")
    common = ("--skip-unreadable", "--page", 1, "--zoo", zoo)
    probe = ("--image-size", 32, "--strategy", "linear_probe")
    code, _, err = shell("finetune", WEIGHT, root, *probe, "--zoo", zoo)
    assert code == 2 and err.startswith("set: 28 images") and "error: 2 of 28 images of set cannot be read" in err
    code, out, err = shell("finetune", WEIGHT, root, *probe, *common, "--out", tmp_path / "model")
    lines = err.splitlines()
    assert code == 0, err
    assert lines[0].startswith("set: 28 images, binary, 2 classes: green 13, red 15")
    assert "  files of several pages or frames: 1; number 1 of each is read" in lines
    assert any(line.startswith("left out: ") and "bad.png" in line for line in lines)
    assert "warning: 1 of 27 images are nearly black: red/black.png" in lines
    assert "note: Before training: 1 of 27 images are nearly black." in out
    assert "note: 1 images cannot be read and are left out" in out
    page = (tmp_path / "model" / "report.html").read_text("utf-8")
    assert "Found before any work: 28 images" in page and "red/black.png" in page
    assert (tmp_path / "model" / "pictures" / "data.png").exists()
    for words in (
        ("evaluate", tmp_path / "model", root, *common, "--bootstrap", 0),
        ("recommend", root, WEIGHT, "--image-size", 32, "--folds", 2, *common),
        ("compare", root, WEIGHT, *probe[:2], "--strategies", "linear_probe", "--folds", 1, *common),
        ("predict", tmp_path / "model", root, *common),
    ):
        code, out, err = shell(*words)
        assert code == 0, err
        assert err.startswith("set: 2") and "bad.png" in err, (words, err)
        code, out, err = shell(*words, "--json")
        assert code == 0 and json.loads(out) and "set: 2" not in err and "bad.png" in err, words


def test_analyze_audit_and_features_read_as_asked(tmp_path: Path, tiny: Path, shell) -> None:  # type: ignore[no-untyped-def]
    root = class_folders(tmp_path / "set", each=6)
    first = pages(root / "red" / "two.tif")[0]
    (root / "red" / "bad.png").write_bytes(b"broken")
    options: dict[str, Any] = {"page": 1, "skip_unreadable": True}
    with pytest.raises(UnreadableError, match="2 of 14 images of set cannot be read"):
        medzoo.extract_features(tiny, root)
    features = medzoo.extract_features(tiny, root, image_size=40, **options)
    assert len(features.values) == 13
    np.testing.assert_array_equal(features.examples.images[features.examples.ids.index("red/two.tif")], first)
    bundle = tmp_path / "seen"
    shutil.copytree(tiny, bundle)
    write_seen(bundle / SEEN, seen_of("theirs", hashes_of(open_images([first]))))
    audit = medzoo.audit(root, bundle, **options)
    assert [audit.names[row] for row in np.flatnonzero(audit.copies)] == ["red/two.tif"] and len(audit) == 13
    with pytest.raises(UnreadableError, match="more than 100 pixels"):
        medzoo.audit(root, bundle, page=1, max_pixels=100)
    words = (root, "--page", 1, "--skip-unreadable", "--json")
    for command in (("audit", *words[:1], bundle, *words[1:]), ("analyze", tiny, tiny, *words, "--image-size", 32)):
        code, out, err = shell(*command)
        assert code == 0 and json.loads(out) and "bad.png" in err, (command, err)


def test_the_mask_of_held_out_images_follows_those_left_out(tmp_path: Path, zoo: Path) -> None:
    root = class_folders(tmp_path / "set", each=10)
    (root / "green" / "000.png").write_bytes(b"broken")
    data = open_dataset(root)
    mask = np.zeros(20, bool)
    mask[[5, 15]] = True
    report = medzoo.finetune(
        WEIGHT, root, validation=mask, strategy="linear_probe", image_size=32, zoo=zoo, skip_unreadable=True
    )
    assert sorted(report.ids) == sorted([data.ids[5], data.ids[15]]) and len(report.examples) == 19


def test_nothing_of_the_images_goes_where_others_see_it(tmp_path: Path, zoo: Path) -> None:
    root = class_folders(tmp_path / "set", each=10)
    Image.new("RGB", (40, 40)).save(root / "red" / "black.png")
    report = medzoo.finetune(WEIGHT, root, strategy="linear_probe", image_size=32, zoo=zoo)
    assert report.overview is not None and any("black.png" in one for one in report.overview.warnings)
    folder = report.save(tmp_path / "public", images=False)
    assert not (folder / "pictures").exists() and not (folder / "report.html").exists()
    for file in (RUN, "README.md"):
        assert "black.png" not in (folder / file).read_text("utf-8")


def test_a_locked_folder_is_skipped_and_named(tmp_path: Path, zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path / "set")
    (root / "locked").mkdir()
    scandir: Callable[..., Any] = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)  # a test that runs as root may open everything
    model = medzoo.create_model(WEIGHT, num_classes=2, image_size=32, zoo=zoo)
    with pytest.raises(UnreadableError, match="cannot be opened"):
        medzoo.predict(model, root)
    found = medzoo.predict(model, root, skip_unreadable=True)
    assert len(found) == 20 and [name for name, _ in found.unreadable] == ["locked"]


@pytest.mark.real
@pytest.mark.parametrize("name", ["covid19_radiography", "CRC-VAL-HE-7K", "lung_colon_image_set/colon_image_sets"])
def test_real_sets_have_no_warning(real: Path, name: str) -> None:
    assert medzoo.look(real / name, image_size=64).warnings == ()
