"""What the text in a table means: missing values, separators, uncertain labels, spellings, ids and paths."""

from __future__ import annotations

import csv
import importlib
import inspect
import tempfile
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.cli.options import Columns
from medzoo.cli.parsing import grouped
from medzoo.core.errors import DataError, UnreadableError
from medzoo.data.dataset import Files, ImageDataset
from medzoo.data.holdout import shared_patients
from medzoo.data.normalize import is_missing, name_key
from medzoo.data.opening import open_dataset
from medzoo.data.splits import split_of
from medzoo.data.tables import read_table

FILES = tuple(f"{letter}.png" for letter in "abcdef")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def write(folder: Path, *lines: str, name: str = "t.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def column(folder: Path, *labels: str, header: str = "path,label") -> Path:
    return write(folder, header, *(f"{name},{label}" for name, label in zip(FILES, labels, strict=False)))


# ---- nothing


@pytest.mark.parametrize("nothing", ["", "nan", "NaN", "<NA>", "NULL", "#N/A", "n/a", " "])
def test_a_missing_label_is_no_class(folder: Path, nothing: str) -> None:
    with pytest.raises(DataError, match=r"line 4 has no label.*and 1 of 3 images in all have none"):
        read_table(column(folder, "x", "y", nothing))


def test_words_for_nothing_are_none_among_numbers_and_a_class_with_a_note_among_names(folder: Path) -> None:
    with pytest.raises(DataError, match=r"line 4 has no label .'NA'."):
        read_table(column(folder, "0", "1", "NA"))
    records = read_table(column(folder, "mild", "None", "severe"))
    assert records.classes == ("None", "mild", "severe")
    assert records.notes == (
        "'None' (1 images) counts as a class: leave those images out if it means that there is no label",
    )
    assert read_table(column(folder, "mild", "None"), classes=("None", "mild")).notes == ()


def test_patients_that_are_not_known_are_not_one_patient(folder: Path) -> None:
    file = column(folder, "x,7", "y,nan", "x,NaN", "y,unknown", "x,None", "y,", header="path,label,patient")
    records = read_table(file)
    assert records.patients is not None and records.patients.tolist() == ["7", "", "", "", "", ""]
    assert records.notes == ("'None', 'unknown' in the column of patients counts as not known",)


def test_one_patient_with_very_many_images_is_said(tmp_path: Path) -> None:
    for i in range(30):
        (tmp_path / f"{i}.png").write_bytes(b"")
    rows = (f"{i}.png,{i % 2},{'anonymous' if i < 12 else i}" for i in range(30))
    assert (
        "patient 'anonymous' has 12 of 30 images, which stay together"
        in read_table(write(tmp_path, "path,label,patient", *rows)).notes
    )


def test_missing_marks_and_splits(folder: Path) -> None:
    marks = read_table(write(folder, "path,a,b", "a.png,1,NA", "b.png,0,1", "c.png,nan,n/a"), label=["a", "b"])
    np.testing.assert_array_equal(marks.targets, [[1, np.nan], [0, 1], [np.nan, np.nan]])
    assert marks.skipped == {"no label": 1}
    splits = read_table(
        write(folder, "path,label,split", "a.png,x,train", "b.png,y,nan", "c.png,y,Test_Set"), split="split"
    )
    assert splits.splits is not None and splits.splits.tolist() == ["train", "", "test"]


# ---- several labels in a cell


def test_a_separator_is_proposed_and_read(folder: Path) -> None:
    file = column(folder, "Mass|Nodule", "No Finding", "Nodule", "mass | Edema", "", "nan")
    with pytest.raises(DataError, match=r"line 2: 'Mass\|Nodule' seems to be several labels: say label_separator='\|'"):
        read_table(file)
    records = read_table(file, label_separator="|")
    assert (records.task, records.classes) == ("multilabel", ("Edema", "Mass", "No Finding", "Nodule"))
    blank = [np.nan] * 4
    np.testing.assert_array_equal(
        records.targets, [[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0], blank, blank]
    )
    assert "2 of 6 images have several of 4 labels, separated by '|'" in records.notes
    assert any("'mass' as 'Mass'" in note for note in records.notes) and records.skipped == {"no label": 2}
    full = column(folder, "Mass|Nodule", "Mass", "Nodule")
    assert read_table(full, label_separator="").classes == ("Mass", "Mass|Nodule", "Nodule")
    assert read_table(full, label_separator="|", classes=("Nodule", "Mass", "Rare")).targets[0].tolist() == [1, 1, 0]
    with pytest.raises(DataError, match="line 2: no class named 'Mass'"):
        read_table(full, label_separator="|", classes=("Nodule", "Other"))
    with pytest.raises(DataError, match="task 'multiclass' needs one class an image; labels with a separator"):
        read_table(full, label_separator="|", task="multiclass")


@pytest.mark.parametrize(
    ("labels", "separator"),
    [
        (("a;b", "c"), ";"),
        (('"a, b"', "a", "b"), ","),
        (("a/b", "a", "b"), "/"),
        (("a+b", "a", "B"), "+"),
        (("\"['a', 'b']\"", "\"['c']\""), ","),
        (("a/b", "a", "c"), None),
        (('"carcinoma, ductal"', '"carcinoma, lobular"'), None),
        (("T1+N0", "T2+N0"), None),
    ],
)
def test_which_separators_are_seen(folder: Path, labels: tuple[str, ...], separator: str | None) -> None:
    file = column(folder, *labels)
    if separator is None:
        assert read_table(file).task in ("binary", "multiclass")
        return
    with pytest.raises(DataError, match="seems to be several labels"):
        read_table(file)
    assert set("".join(read_table(file, label_separator=separator).classes).lower()) <= set("abc")


# ---- uncertain


def test_uncertain_labels(folder: Path) -> None:
    file = column(folder, "0", "1", "-1", "1.0")
    with pytest.raises(DataError, match=r"0 and -1, and -1 \(1 images\) means uncertain .*uncertain='ignore'"):
        read_table(file)
    ignored = read_table(file, uncertain="ignore")
    assert ignored.ids == ("a.png", "b.png", "d.png") and ignored.skipped == {"uncertain": 1}
    assert "1 images with the uncertain label -1 are left out" in ignored.notes
    assert read_table(file, uncertain="one").labels.tolist() == [0, 1, 1, 1]
    assert read_table(file, uncertain="zero").labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match="no way to read uncertain labels named 'ones'; did you mean 'one'"):
        read_table(file, uncertain="ones")
    assert read_table(file, classes=("-1", "0", "1")).labels.tolist() == [1, 2, 0, 2]
    grades = column(folder, "0", "1", "2", "-1")
    assert read_table(grades, uncertain="ignore", task="ordinal").classes == ("0", "1", "2")
    with pytest.raises(DataError, match="uncertain='one' fits labels of 0, 1 and -1 only"):
        read_table(grades, uncertain="one")
    for signs in (("-1", "1"), ("-2", "-1", "0", "1")):  # classes of their own
        assert read_table(column(folder, *signs)).classes == signs
    marks = write(folder, "path,a,b", "a.png,1,-1", "b.png,-1.0,0", "c.png,0,1")
    for way, value in (("one", 1), ("zero", 0), ("ignore", np.nan)):
        targets = read_table(marks, label=["a", "b"], uncertain=way).targets
        np.testing.assert_array_equal(targets, [[1, value], [value, 0], [0, 1]])


def test_patients_and_splits_stay_with_their_images_when_rows_are_left_out(folder: Path) -> None:
    file = column(folder, "-1,p,train", "0,q,test", "1,r,train", header="path,label,patient,split")
    records = read_table(file, uncertain="ignore")
    assert records.patients is not None and records.patients.tolist() == ["q", "r"]
    assert records.splits is not None and records.splits.tolist() == ["test", "train"]


# ---- numbers and spellings


def test_numbers_are_never_places_where_classes_are_numbers(folder: Path) -> None:
    file = column(folder, "0", "1", "2", "3", "4")
    with pytest.raises(DataError, match=r"line 2: no class named '0'.*labels are names, not places"):
        read_table(file, classes=tuple("12345"), task="ordinal")
    assert read_table(column(folder, "1.0", "02", "3"), classes=tuple("01234")).labels.tolist() == [1, 2, 3]
    file = column(folder, "0", "1", "2", "3", "4")
    named = read_table(file, classes=("none", "mild", "moderate", "severe", "proliferative"))
    assert "0 = none, 1 = mild, 2 = moderate, 3 = severe, 4 = proliferative" in named.notes[0]


def test_spellings_of_one_label_are_joined_with_a_note(folder: Path) -> None:
    accent = unicodedata.normalize("NFD", "é")
    records = read_table(column(folder, "Normal", " NORMAL", "Normal\u00a0", "é", accent, ' "Normal"'))
    assert records.classes == ("Normal", "é") and records.labels.tolist() == [0, 0, 0, 1, 1, 0]
    assert "'NORMAL' as 'Normal'" in records.notes[0]
    assert read_table(column(folder, "n", "N", "m"), classes=("n", "N", "m")).labels.tolist() == [0, 1, 2]
    read = read_table(column(folder, "normal", "ILL"), classes=("Normal", "Ill"))
    assert read.labels.tolist() == [0, 1] and "'normal' as 'Normal'" in read.notes[0]


def test_a_cell_quoted_after_a_blank(folder: Path) -> None:
    file = write(folder, "path, label", 'a.png, "Mass, left"', 'b.png, "Edema"', "c.png, Edema")
    assert read_table(file).classes == ("Edema", "Mass, left")


def test_patients_are_compared_in_one_form(folder: Path) -> None:
    file = column(folder, "x,007", "y,7", "x,7.0", "y,P\u00e9", "x,pe\u0301", "y,70", header="path,label,patient")
    records = read_table(file)
    assert records.patients is not None and len(set(records.patients.tolist())) == 3
    assert "patient ids that differ only in case" in records.notes[0]
    sides = ImageDataset(
        "two", Files(folder, FILES[:4]), FILES[:4], np.eye(2, dtype=np.float32)[[0, 1, 0, 1]], ("x", "y"), "binary"
    )
    for left, right in (("007", "7"), ("7.0", "7"), ("P\u00e9", "pe\u0301")):
        patients = np.array([left, "u", right, "v"])
        split = np.array([False, False, True, True])
        assert shared_patients(replace(sides, patients=patients), split) == [f"{left} = {right}"]
    assert shared_patients(replace(sides, patients=np.array(["P7", "a", "P07", "b"])), split) == []


# ---- files


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("begin", ["", "sep={}\n", "\ufeff", "\n\n"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_any_separator_of_cells(folder: Path, separator: str, begin: str, name: str) -> None:
    rows = [["path", "label", "note"], ["a.png", "x", "1,5"], ["b.png", "y", "two"], ["", "", ""], ["c.png", "x", ""]]
    with (folder / name).open("w", newline="", encoding="utf-8") as stream:
        stream.write(begin.format(separator))
        csv.writer(stream, delimiter=separator).writerows(rows)
    records = read_table(folder / name)
    assert records.ids == ("a.png", "b.png", "c.png") and records.classes == ("x", "y")


def test_wide_characters_and_surplus_cells_of_nothing(folder: Path) -> None:
    (folder / "t.csv").write_text("path\tlabel\na.png\tx\t\t\nb.png\ty\n", encoding="utf-16")
    assert read_table(folder / "t.csv").classes == ("x", "y")


def test_line_numbers_are_those_of_the_file(folder: Path) -> None:
    file = write(folder, "path,label,note", "", 'a.png,x,"two', 'lines"', ",,", "", "b.png,,", "c.png,y,")
    with pytest.raises(DataError, match="line 7 has no label"):
        read_table(file)
    write(folder, "path,label", "", "a.png,x", "", "b.png,y,surplus")
    with pytest.raises(DataError, match="line 5: 3 cells, the header has 2"):
        read_table(file)


def test_a_frame_is_a_table(folder: Path) -> None:
    frame = pd.DataFrame(
        {"path": [str(folder / name) for name in FILES[:3]], "label": ["x", "y", None]}, index=[5, 7, 9]
    )
    frame["pixels"] = [np.zeros(3)] * 3  # columns that are not asked for may hold anything
    records = read_table(frame.dropna(), folder)
    assert records.ids == ("a.png", "b.png") and records.name == "frame"
    with pytest.raises(DataError, match="the frame: row 9 has no label"):
        read_table(frame, folder)
    lists = pd.DataFrame({"path": list(FILES[:3]), "label": [["m", "n"], ["n"], []]})
    assert read_table(lists, folder, label_separator="|").targets[:2].tolist() == [[1, 1], [0, 1]]
    assert read_table(frame.dropna(), folder, label="label").counts() == {"x": 1, "y": 1}


def test_a_frame_goes_wherever_data_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = open_dataset(pd.DataFrame({"path": ["a.png", "b.png"], "label": [0, 1]}))
    assert found.ids == ("a.png", "b.png") and found.task == "binary"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A.png", "upper and lower case differ: there is 'a.png'"),
        ("a.jpg", "the ending differs: there is 'a.png'"),
        ("a", "the ending differs: there is 'a.png'"),
        ("scan.png", "it lies elsewhere: there is 'deep/scan.png'"),
        (r"C:\data\scan.png", r"a path of another computer \(C:\); it lies elsewhere: there is 'deep/scan.png'"),
        (r"\\server\share\scan.png", r"a path of another computer \(a network share\); it lies elsewhere"),
        ("/other/scan.png", "no path below the root; it lies elsewhere: there is 'deep/scan.png'"),
        ("../scan.png", "no path below the root; it lies elsewhere"),
        ("deep", "a folder, not a file"),
        ("patient_012_lft.png", r"did you mean 'deep/patient_012_left.png'\?"),
        ("patient_013_left.png", "no such file$"),
        ("nan", "it holds no path"),
    ],
)
def test_a_missing_path_says_why_and_what_may_be_meant(folder: Path, text: str, reason: str) -> None:
    (folder / "deep").mkdir()
    for name in ("scan.png", "patient_012_left.png"):
        (folder / "deep" / name).write_bytes(b"")
    file = write(folder, "path,label", "b.png,x", f"{text},y", "c.png,y")
    with pytest.raises(UnreadableError, match="1 of 3 images are not below") as caught:
        read_table(file)
    [(name, why)] = caught.value.rejected
    assert name == text and why.startswith("line 3: ")
    with pytest.raises(DataError, match=reason):
        raise DataError(why)
    records = read_table(file, skip_unreadable=True)
    assert records.ids == ("b.png", "c.png") and records.skipped == {"unreadable": 1}
    assert any(note.startswith("1 lines are left out") for note in records.notes)


def test_advice_that_mends_most_of_the_lines(folder: Path) -> None:
    (folder / "images").mkdir()
    for name in ("1_left.jpeg", "2_left.jpeg"):
        (folder / "images" / name).write_bytes(b"")
    with pytest.raises(UnreadableError, match="; write the ending of the names as it is on disk, or remove"):
        read_table(write(folder, "path,label", "1_left,0", "2_left,1"), folder / "images")
    with pytest.raises(UnreadableError, match=f"; give root={folder}/images, or remove"):
        read_table(write(folder, "path,label", "1_left.jpeg,0", "2_left.jpeg,1"))
    with pytest.raises(DataError, match=r"no folder .*nowhere; give the folder that the paths are relative to"):
        read_table(folder / "t.csv", folder / "nowhere")


@pytest.mark.parametrize(
    "text", ["./x/é 1.png", "x\\é 1.png", " x/é 1.png ", "x//é 1.png", "x/../x/é 1.png", "/x/é 1.png", "\\x\\é 1.png"]
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_forms_of_a_path_that_are_read(folder: Path, text: str, form: str) -> None:
    (folder / "x").mkdir()
    on_disk = unicodedata.normalize(form, "x/é 1.png")
    (folder / on_disk).write_bytes(b"")
    records = read_table(write(folder, "path,label", f'"{text}",x', "b.png,y"))
    assert records.ids == ("b.png", on_disk)


def test_odd_names_that_are_on_disk_are_taken_as_they_are(folder: Path) -> None:
    names = ["C:x.png", "a..png", "dot.", "nan", " lead.png", "back\\slash.png"]
    for name in names:
        (folder / name).write_bytes(b"")
    records = read_table(write(folder, "path,label", *(f'"{name}",{i % 2}' for i, name in enumerate(names))))
    assert list(records.ids) == sorted(names)


def test_one_file_listed_twice_where_the_file_system_knows_no_case(folder: Path) -> None:
    (folder / "A.png").symlink_to(folder / "a.png")  # what such a file system makes of it
    with pytest.raises(DataError, match=r"A.png stands in line 2 and line 4; remove one"):
        read_table(write(folder, "path,label", "a.png,x", "b.png,y", "A.png,x"))


def test_the_same_file_under_two_labels(folder: Path) -> None:
    for i, name in enumerate(FILES):
        (folder / name).write_bytes(f"image {min(i, 1)}".encode() * 100)
    with pytest.raises(DataError, match=r"are the same file in different classes: b.png = "):
        read_table(column(folder, "x", "y", "x", "y", "x", "y"))


def test_the_options_of_the_command_line(folder: Path) -> None:
    several = column(folder, "Mass|Nodule", "Mass", "Nodule")
    assert Columns().open(several) == several
    assert Columns(label_separator="|").open(several).task == "multilabel"
    assert Columns(uncertain="zero").open(column(folder, "0", "1", "-1")).labels.tolist() == [0, 1, 0]
    for grade in ("0", "1", "-1"):
        (folder / "set" / grade).mkdir(parents=True)
        (folder / "set" / grade / f"{grade}.png").write_bytes(grade.encode())
    assert Columns(uncertain="ignore").open(folder / "set").classes == ("0", "1")
    with pytest.raises(DataError, match="set is no table that can be read"):
        Columns(label_column=["grade"]).open(folder / "set")


@pytest.mark.parametrize("name", ["finetune", "evaluate", "compare", "recommend", "audit", "analyze", "look"])
def test_every_command_that_reads_labels_has_them(name: str) -> None:
    command = grouped(getattr(importlib.import_module(f"medzoo.cli.{name}"), name))
    assert {"label_separator", "uncertain", "root", "path_column"} <= set(inspect.signature(command).parameters)


CELLS = st.sampled_from(
    [
        "a.png",
        "b.png",
        "A.png",
        "c",
        "x",
        "nan",
        "None",
        "-1",
        "0",
        "1",
        "2",
        "1.0",
        "007",
        "7",
        "train",
        "val",
        "fold",
        "Mass",
        "mass",
        "Mass|Edema",
        "Mass;Edema",
        "C:\\a.png",
        "../a.png",
        "",
        " ",
        '"',
        "a b",
        "Mass, Edema",
        "é",
        "é",
        "two\nlines",
    ]
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([*FILES, "missing.png", "A.png"]), CELLS, CELLS, CELLS), min_size=1, max_size=6
    ),
    separator=st.sampled_from(",;\t"),
    options=st.fixed_dictionaries(
        {},
        optional={
            "label_separator": st.sampled_from(["|", ";", ""]),
            "uncertain": st.sampled_from(["one", "zero", "ignore"]),
            "task": st.sampled_from(["ordinal", "multilabel", "binary"]),
            "skip_unreadable": st.booleans(),
        },
    ),
)
def test_any_table_is_read_correctly_or_refused(rows: list[Any], separator: str, options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for file in FILES:
            (root / file).write_bytes(file.encode())
        with (root / "t.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, delimiter=separator).writerows([("path", "label", "patient", "split"), *rows])
        try:
            records = read_table(root / "t.csv", **options)
        except DataError as error:
            assert "t.csv" in str(error)
            return
        cells = {path: (label, patient, split) for path, label, patient, split in rows}
        for i, path in enumerate(records.ids):
            label, patient, split = cells[path]
            if records.task != "multilabel" and name_key(label) != "-1":
                assert name_key(records.classes[records.labels[i]]) == name_key(label)
            assert records.patients is not None
            assert name_key(str(records.patients[i])) == ("" if is_missing(patient) else name_key(patient))
            if records.splits is not None:
                assert records.splits[i] == split_of(split)
        assert not any(is_missing(label, ambiguous=False) for label in records.classes)


@pytest.mark.real
def test_nih_s_own_table(real: Path) -> None:
    names = {"path": "Image Index", "label": "Finding Labels", "patient": "Patient ID"}
    file, root = real / "chestxray14" / "Data_Entry_2017_v2020.csv", real / "chestxray14" / "images"
    with pytest.raises(DataError, match=r"say label_separator='\|'"):
        read_table(file, root, **names)
    records = read_table(file, root, **names, label_separator="|")
    assert (len(records), len(records.classes), records.task) == (930, 15, "multilabel")
    assert len(records.notes) == 1 and records.skipped == {}
