"""Image sets that users bring: folders of class folders, and tables."""

from __future__ import annotations

import csv
import pickle
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.core.errors import DataError, UnreadableError
from medzoo.data.folders import read_folder
from medzoo.data.normalize import is_missing, name_key
from medzoo.data.scan import image_files
from medzoo.data.splits import split_of
from medzoo.data.tables import read_table


def touch(root: Path, *paths: str) -> None:
    """Make empty files: the readers look at names only."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def table(file: Path, header: str, *lines: str) -> Path:
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return file


# ---- folders


def test_image_files_are_sorted_and_hidden_ones_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "b.DCM", "a/z.tiff", "a/.b.png", ".git/c.png", "__MACOSX/d.png", "notes.txt", "Thumbs.db")
    assert image_files(tmp_path) == ["a/z.tiff", "b.DCM"]


@pytest.mark.posix
def test_image_files_enters_links_and_survives_a_loop(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere")
    assert image_files(tmp_path / "set") == ["linked/a.png"]


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "ill/deep/er/2.tif", "ill/1.png", "healthy/3.dcm", "loose.png", ".cache/x.png")
    records = read_folder(tmp_path)
    assert records.ids == ("healthy/3.dcm", "ill/1.png", "ill/deep/er/2.tif")
    assert (records.name, records.classes, records.task) == (tmp_path.name, ("healthy", "ill"), "binary")
    assert records.labels.tolist() == [0, 1, 1]
    assert records.patients is None and records.splits is None
    assert records.notes == ("1 images beside the class folders are left out",)


def test_split_folders_are_no_classes(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/2.png", "Validation/a/3.png")
    records = read_folder(tmp_path)
    assert records.classes == ("a", "b")
    assert records.ids == ("Validation/a/3.png", "train/a/1.png", "train/b/2.png")
    assert records.splits is not None and records.splits.tolist() == ["val", "train", "train"]


def test_a_class_may_be_named_like_a_split(tmp_path: Path) -> None:
    touch(tmp_path, "test/1.png", "control/2.png")
    with pytest.raises(DataError, match=r"test is named like a split, beside control.*classes=\[...\]"):
        read_folder(tmp_path)
    assert read_folder(tmp_path, classes=("control", "test")).classes == ("control", "test")


def test_grades_as_folders_are_in_numerical_order(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{grade}/{grade}.png" for grade in range(11)))
    records = read_folder(tmp_path, task="ordinal")
    assert records.task == "ordinal" and records.classes == tuple(map(str, range(11)))
    assert read_folder(tmp_path).task == "multiclass"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no class folders"),
        (["a.png", "b.png"], "has no class folders"),
        (["a/1.png"], "all 1 images are 'a'; expected two classes"),
        (["a/1.png", "b/readme.txt"], r"class folder .*b holds no image"),
        (["train/1.png", "test/2.png"], "has no class folders"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, files: list[str], message: str) -> None:
    touch(tmp_path, *files)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path)


def test_a_task_that_does_not_fit(tmp_path: Path) -> None:
    touch(tmp_path, "0/a.png", "1/b.png", "3/c.png")
    with pytest.raises(DataError, match="grades are 0, 1, 3; an ordinal task needs 0, 1, 2"):
        read_folder(tmp_path, task="ordinal")
    with pytest.raises(DataError, match="task 'binary' does not fit 3 classes; allowed: multiclass or ordinal"):
        read_folder(tmp_path, task="binary")


# ---- tables


def test_a_table_with_patients_and_splits(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.png", "images/c.png")
    file = table(
        tmp_path / "labels.csv",
        "path,dx,who,part",
        "b.png, NA ,7.5,train",
        f"{tmp_path}/images/a.png,None,,test",
        "./c.png,None,8,train",
    )
    records = read_table(file, tmp_path / "images", label="dx", patient="who", split="part")
    assert records.ids == ("a.png", "b.png", "c.png")
    assert records.classes == ("NA", "None")  # text, not "missing"
    assert records.labels.tolist() == [1, 0, 1]
    assert records.patients is not None and records.patients.tolist() == ["", "7.5", "8"]
    assert records.splits is not None and records.splits.tolist() == ["test", "train", "train"]
    assert (records.name, records.task, records.images.root) == ("labels", "binary", tmp_path / "images")


def test_integer_labels(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{i}.png" for i in range(12)))
    file = table(tmp_path / "labels.csv", "path,label", *(f"{i}.png,{i}" for i in range(12)))
    records = read_table(file)
    assert records.task == "multiclass" and records.classes[-2:] == ("10", "11")
    assert read_table(file, task="ordinal").task == "ordinal"


def test_several_label_columns_are_multilabel_and_empty_is_not_labelled(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    file = table(tmp_path / "labels.csv", "path,mass,edema,rare", "b.png,1,,0", "a.png,0.0,True,0")
    records = read_table(file, label=["mass", "edema", "rare"])
    assert records.task == "multilabel" and records.classes == ("mass", "edema", "rare")
    np.testing.assert_array_equal(records.targets, [[0, 1, 0], [1, np.nan, 0]])
    assert records.notes == ("no image has the label rare",)
    file.write_text(file.read_text().replace("0.0", "-1"))
    with pytest.raises(DataError, match=r"line 3: mass is '-1', which in CheXpert's tables means uncertain: say"):
        read_table(file, label=["mass", "edema", "rare"])
    with pytest.raises(DataError, match="needs one class an image; several columns of labels are multilabel"):
        read_table(file, label=["edema", "rare"], task="multiclass")
    table(file, "path,mass,edema", "a.png,,NaN", "b.png,1,0")
    assert read_table(file, label=["mass", "edema"]).notes[-1] == "1 images have no label at all and teach nothing"
    table(file, "path,mass,edema", "a.png,,", "b.png,,")
    with pytest.raises(DataError, match="none of the 2 images has a label"):
        read_table(file, label=["mass", "edema"])


def test_parquet_and_tsv_give_what_csv_gives(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    touch(tmp_path, "a.png", "b.png", "c.png")
    frame = pd.DataFrame({"path": ["a.png", "b.png", "c.png"], "label": [0, 1, 1], "patient": [1.0, 2.0, None]})
    frame.to_parquet(tmp_path / "labels.parquet")
    frame.to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    parquet = read_table(tmp_path / "labels.parquet", patient="patient")
    tsv = read_table(tmp_path / "labels.tsv")
    assert parquet.ids == tsv.ids and parquet.classes == tsv.classes == ("0", "1")
    assert parquet.patients is not None and parquet.patients.tolist() == ["1", "2", ""]
    marks = pd.DataFrame({"path": ["a.png", "b.png"], "x": [1.0, None], "y": [True, False]})
    marks.to_parquet(tmp_path / "marks.parquet")
    np.testing.assert_array_equal(
        read_table(tmp_path / "marks.parquet", label=["x", "y"]).targets, [[1, 1], [np.nan, 0]]
    )


def test_patients_and_splits_are_found_by_name_and_can_be_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "c.png")
    file = table(
        tmp_path / "t.csv", "path,label,Patient_ID,Split", "a.png,0,x,Training", "b.png,1,y,", "c.png,1,y,TEST"
    )
    records = read_table(str(file), str(tmp_path))
    assert records.patients is not None and records.patients.tolist() == ["x", "y", "y"]
    assert records.splits is not None and records.splits.tolist() == ["train", "", "test"]
    plain = read_table(file, patient="", split="")
    assert plain.patients is None and plain.splits is None
    table(file, "path,label,split", "a.png,0,fold 1", "b.png,1,fold 2")
    assert read_table(file).splits is None
    assert read_table(file).notes == (
        "the split column holds 'fold 1'; expected train, val, test or empty, so it is not used",
    )
    with pytest.raises(DataError, match="the split column holds 'fold 1'"):
        read_table(file, split="split")


def test_whole_numbers_with_decimals_are_grades_and_measurements_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{i}.png" for i in range(4)))
    file = table(tmp_path / "t.csv", "path,label", "0.png,2.0", "1.png,1.0", "2.png,3.0", "3.png,1")
    records = read_table(file, task="ordinal")  # grades from 1 on are grades
    assert records.classes == ("1", "2", "3") and records.labels.tolist() == [1, 0, 2, 0]
    table(file, "path,label", "0.png,0.25", "1.png,1.5")
    with pytest.raises(DataError, match=r"numbers with decimals \(such as 0.25\)"):
        read_table(file)


def test_classes_give_the_order_of_named_grades_and_may_have_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "mild/a.png", "severe/b.png")
    grades = ("none", "mild", "severe")
    records = read_folder(tmp_path, task="ordinal", classes=grades)
    assert records.classes == grades and records.labels.tolist() == [1, 2]
    with pytest.raises(DataError, match=r"mild/a.png: no class named 'mild'; did you mean 'milder'"):
        read_folder(tmp_path, classes=("milder", "severe"))
    file = table(tmp_path / "t.csv", "path,label", "mild/a.png,2", "severe/b.png,2")
    assert read_table(file, classes=grades).labels.tolist() == [2, 2]  # one class alone: there are more


def test_a_table_written_on_windows(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.png", "x/b.png")
    file = tmp_path / "labels.csv"
    file.write_bytes(b"\xef\xbb\xbfpath,label\r\nx\\a.png,0\r\nx\\b.png,1\r\n")
    assert read_table(file).ids == ("x/a.png", "x/b.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column named 'path'; known: none"),
        ("path,label\n", "lists no image"),
        ("path,lable\na.png,1\n", "no column named 'label'; did you mean 'lable'"),
        ("file,label\na.png,1\n", r"no column named 'path'; known: file, label \(say which with path=\)"),
        ("path,label\na.png,1\nb.png,\n", "line 3 has no label"),
        ("path,label\na.png,1\nb.png,1\n", "all 2 images are '1'"),
        ("path,label\na.png,1\nmissing.png,0\n", r"1 of 2 images are not below .* \(first: line 3: 'missing.png'"),
        ("path;label\na.png;1\nb.png,x;1\n", "line 3: 'b.png,x': the ending differs: there is 'b.png'"),
        ("path,label,label\na.png,1,1\nb.png,0,0\n", "two columns are named 'label'"),
        ("path,label\na.png,1\n./a.png,0\n", "a.png stands in line 2 and line 3"),
        ("path,label\n../a.png,1\nb.png,0\n", r"line 2: '../a.png': no path below the root"),
        ("path,label\n,1\nb.png,0\n", "line 2: '': it holds no path"),
        (
            "path,label\na.png,1,2,3\nb.png,0\n",
            "line 2: 4 cells, the header has 2; put cells that hold the separator in quotes",
        ),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    touch(tmp_path, "a.png", "b.png")
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "labels.csv")


def test_all_missing_images_are_listed(tmp_path: Path) -> None:
    touch(tmp_path, "7.png")
    file = table(tmp_path / "t.csv", "path,label", *(f"{i}.png,{i % 2}" for i in range(12)))
    with pytest.raises(UnreadableError, match="11 of 12 images are not below") as caught:
        read_table(file)
    assert [name for name, _ in caught.value.rejected] == [f"{i}.png" for i in range(12) if i != 7]
    assert caught.value.details[1] == "line 3: '1.png': no such file"
    assert pickle.loads(pickle.dumps(caught.value)).rejected == caught.value.rejected  # noqa: S301


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected .csv, .tsv or .parquet"):
        read_table(tmp_path / "labels.xlsx")
    with pytest.raises(DataError, match="no file"):
        read_table(tmp_path / "labels.csv")
    (tmp_path / "latin.csv").write_bytes(b"path,label\n\xe4.png,1\n")
    with pytest.raises(DataError, match="is no readable table"):
        read_table(tmp_path / "latin.csv")
    pytest.importorskip("pyarrow")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(DataError, match="is no readable table"):
        read_table(tmp_path / "broken.parquet")


# Any name a file system takes, with blanks, quotes, commas, accents and other alphabets; not those that are left out
# (hidden ones and an unpacked archive's ``__MACOSX``), which Hypothesis finds among the package's constants.
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="/\\\0"), min_size=1
).filter(lambda name: len(name.encode()) < 80 and not name.startswith(".") and name != "__MACOSX")
# Any label but numbers that are not whole, which are refused.
LABELS = (
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)
    .map(str.strip)
    .filter(lambda text: text.isdigit() or not re.fullmatch(r"[-+.0-9eE]*", text))
    .filter(lambda text: not is_missing(text) and not set("|;") & set(text) and name_key(text))
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=st.dictionaries(NAMES, LABELS, min_size=2, max_size=6))
def test_any_name_and_any_label_goes_through_a_table(rows: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        labels = {f"{image}.png": label for image, label in rows.items()}
        touch(root / "images", *labels)
        with (root / "table.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("path", "label"), *labels.items()])
        if len(set(map(name_key, labels.values()))) < 2:
            with pytest.raises(DataError, match="expected two classes"):
                read_table(root / "table.csv", root / "images")
            return
        records = read_table(root / "table.csv", root / "images")
        found = {path: records.classes[i] for path, i in zip(records.ids, records.labels, strict=True)}
        assert {path: name_key(label) for path, label in found.items()} == {
            path: name_key(label) for path, label in labels.items()
        }
        assert list(records.ids) == sorted(labels)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(classes=st.dictionaries(NAMES, st.sets(NAMES, min_size=1, max_size=3), min_size=2, max_size=4))
def test_any_name_goes_through_folders(classes: dict[str, set[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        expected = {f"{label}/{image}.png": label for label, images in classes.items() for image in images}
        touch(root, *expected)
        try:
            records = read_folder(root)
        except DataError:
            odd = any(split_of(label) or is_missing(label) or set(label) & set("|;,/+&") for label in classes)
            assert odd or len(set(map(name_key, classes))) < 2
            return
        found = {path: records.classes[i] for path, i in zip(records.ids, records.labels, strict=True)}
        assert {path: name_key(label) for path, label in found.items()} == {
            path: name_key(label) for path, label in expected.items()
        }


@pytest.mark.real
def test_a_real_folder_of_class_folders(real: Path) -> None:
    records = read_folder(real / "CRC-VAL-HE-7K")
    assert len(records) == 72 and set(records.counts().values()) == {8}
