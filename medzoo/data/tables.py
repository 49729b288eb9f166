"""A table of images: one line an image, with its path, labels and, where known, patient and split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.data.columns import named_columns, read_columns
from medzoo.data.dataset import Files, ImageDataset, Records
from medzoo.data.duplicates import contradictions
from medzoo.data.labels import column_labels, marks
from medzoo.data.normalize import as_written, clean, is_missing, joined_note, name_key, unify
from medzoo.data.read_options import ReadOptions
from medzoo.data.splits import split_of
from medzoo.data.table_cells import read_cells
from medzoo.data.table_paths import find_files

# Columns that are used without being named, compared without case, blanks, "_" and "-".
PATIENTS = ("patient", "patientid", "subject", "subjectid")
SPLIT_COLUMNS = ("split",)
_GIANT, _FEW = 0.2, 20  # a patient with a fifth of the images, in a set of 20 images or more


def read_table(
    file: str | Path | pd.DataFrame,
    root: str | Path | None = None,
    *,
    path: str = "path",
    label: str | Sequence[str] = "label",
    patient: str | None = None,
    split: str | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    label_separator: str | None = None,
    uncertain: str | None = None,
    skip_unreadable: bool = False,
    columns: Sequence[str] = (),
) -> Records:
    """Read a CSV, TSV or Parquet table of images, or a pandas frame, for any function that takes data.

    Args:
        file: The table, one line an image.
        root: The folder that the paths are relative to; by default the table's (of a frame: the current folder).
        path: The column of paths: relative to ``root``, or absolute and below it.
        label: The column of class names; or several columns of 1, 0 and empty (not labelled), which
            make the set multi-label.
        patient: The column of patient ids; images of one patient are never split. By default a column named
            ``patient``, ``patient_id``, ``subject`` or ``subject_id``, where there is one; ``""`` for none.
        split: The column of your own split: train, val(id) and test in any spelling, or empty. By default a column
            named ``split``, where there is one; ``""`` for none.
        task: ``"ordinal"`` for grades 0, 1, ..., K - 1; by default ``"binary"`` for two classes, else
            ``"multiclass"``.
        classes: All classes, in their order (grades with names: from the mildest); by default those in the column.
        label_separator: What stands between several labels in one cell (``"|"`` in NIH's ``Mass|Nodule``), which
            make the set multi-label; ``""`` where a cell is one class whatever it holds.
        uncertain: What -1 means (CheXpert's "uncertain"): ``"one"``, ``"zero"`` or ``"ignore"`` (not labelled).
        skip_unreadable: Leave out lines whose image is not on disk or cannot be read, with a note; else they are an
            error.
        columns: Further columns that are to travel with the images, such as ``["sex", "age", "site"]``.

    Returns:
        A data set named after the table, sorted by path.

    Raises:
        UnreadableError: Images are not on disk; the error lists each with its line and the nearest file.
        DataError: The file or a column is missing, an image is listed twice, a label is empty or unknown, or there is
            one class only.

    Example:
        >>> read_table("labels.ods")
        Traceback (most recent call last):
        medzoo.core.errors.DataError: labels.ods is no table that can be read; expected .csv, .tsv or .parquet
    """
    frame = isinstance(file, pd.DataFrame)
    cells = read_cells(file if isinstance(file, pd.DataFrame) else Path(file))
    where, known, further = cells.name, cells.columns, named_columns(columns)
    if root is None:
        root = Path() if isinstance(file, pd.DataFrame) else Path(file).parent
    root = Path(root)
    labels = [label] if isinstance(label, str) else list(label)
    patient = matching_column(known, PATIENTS) if patient is None else patient
    found_split = matching_column(known, SPLIT_COLUMNS) if split is None else split
    used: dict[str, Iterable[str | None]] = {
        "path": [path],
        "label": labels,
        "patient": [patient],
        "split": [found_split],
        "columns": further,
    }
    check_columns(where, known, used)
    texts = {name: known[name] for name in dict.fromkeys((path, *labels, patient, found_split, *further)) if name}
    if not len(texts[path]):
        raise DataError(f"{where} lists no image; expected one line an image")
    files = find_files(where, texts[path], root, cells.at, skip_unreadable)
    order = sorted(range(len(files.rows)), key=files.paths.__getitem__)
    rows = [files.rows[i] for i in order]

    def column(name: str) -> list[str]:
        cells = texts[name]
        tidy = {text: clean(text) for text in set(cells)}
        return [tidy[cells[row]] for row in rows]

    def at(index: int) -> str:
        return cells.at(rows[index])

    if isinstance(label, str):
        options = {"label_separator": label_separator, "uncertain": uncertain}
        found = column_labels(where, column(label), task, classes, **options, at=at)
    else:
        found = marks(where, {name: column(name) for name in labels}, task, at=at, uncertain=uncertain)
    paths = [files.paths[i] for i in order]
    paths = [paths[i] for i in found.rows]
    patients, notes = one_patient_form(column(patient)) if patient else (None, ())
    splits, note = own_splits(where, column(found_split), split is not None, at) if found_split else (None, ())
    others, joined = read_columns({name: column(name) for name in further})
    note = (*note, *joined)
    if found.task != "multilabel":
        note = (*note, *contradictions(where, root, paths, found.targets))
    if files.missing:
        note = (*note, f"{len(files.missing):,} lines are left out, as their image is missing ({files.missing[0][1]})")
    skipped = {
        "unreadable": len(files.missing),
        "uncertain": len(rows) - len(found.rows),
        "no label": int(np.isnan(found.targets).all(1).sum()),
    }
    return ImageDataset(
        name="frame" if frame else Path(str(file)).stem,
        images=Files(root, tuple(paths)),
        ids=tuple(paths),
        targets=found.targets,
        classes=found.classes,
        task=found.task,
        patients=None if patients is None else patients[found.rows],
        splits=None if splits is None else splits[found.rows],
        notes=(*found.notes, *files.notes, *notes, *note),
        skipped={name: count for name, count in skipped.items() if count},
        unreadable=tuple(files.missing),
        reading=ReadOptions(skip_unreadable=skip_unreadable),
        columns={name: column[found.rows] for name, column in others.items()},
    )


def matching_column(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """Return the first column with one of some names, whatever its case, blanks and dashes; ``None`` without one.

    Example:
        >>> matching_column(["path", "Patient ID"], PATIENTS)
        'Patient ID'
    """
    return next((column for column in columns if re.sub(r"[\s_-]", "", column).lower() in names), None)


def check_columns(where: str, known: Iterable[str], wanted: Mapping[str, Iterable[str | None]]) -> None:
    """Refuse columns that are not there, and say how another is named.

    Args:
        where: What they are of.
        known: The columns there are.
        wanted: The columns of each keyword; ``None`` or an empty text for none.

    Raises:
        DataError: One is missing.
    """
    names = list(known)
    for keyword, columns in wanted.items():
        for column in columns:
            if column and column not in names:
                raise DataError(f"{where}: {unknown('column', column, names)} (say which with {keyword}=)")


def one_patient_form(texts: Sequence[str]) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Read a column of patient ids: one form for each patient, an empty text where none is known.

    Args:
        texts: N ids.

    Returns:
        ``str [N]``, and notes: ids that were joined, words that are no id, one patient with very many images.

    Example:
        >>> one_patient_form(["007", "7", "NaN", "P 1"])[0].tolist()
        ['007', '007', '', 'P 1']
    """
    words = sorted({text for text in set(texts) if text and is_missing(text) and not is_missing(text, ambiguous=False)})
    known = ["" if is_missing(text) else as_written(text) for text in texts]
    known, joined = unify(known, name_key)
    notes = list(joined_note("patient ids", joined))
    if words:
        notes.append(f"{', '.join(map(repr, words))} in the column of patients counts as not known")
    ids, counts = np.unique([text for text in known if text] or [""], return_counts=True)
    if len(texts) >= _FEW and len(ids) > 2 and counts.max() > _GIANT * len(texts) and ids[counts.argmax()]:
        notes.append(
            f"patient {str(ids[counts.argmax()])!r} has {counts.max():,} of {len(texts):,} images, which stay together"
        )
    return np.array(known), tuple(notes)


def own_splits(
    where: str, texts: Sequence[str], named: bool, at: object = None
) -> tuple[NDArray[np.str_] | None, tuple[str, ...]]:
    """Read a column of splits.

    Args:
        where: What it is of, for errors.
        texts: N names of splits in any spelling, or empty.
        named: The user named the column: what cannot be understood is an error, and else a note.
        at: Returns where a row stands.

    Returns:
        ``str [N]`` of train, val, test and empty, or ``None`` where it says nothing; notes.

    Raises:
        DataError: The column was named and holds something else.
    """
    known = {text: "" if is_missing(text) else split_of(text) for text in set(texts)}
    strange = next((i for i, text in enumerate(texts) if not known[text] and not is_missing(text)), None)
    if strange is not None:
        message = f"the split column holds {texts[strange]!r}; expected train, val, test or empty"
        if named:
            place = f", {at(strange)}" if callable(at) else ""
            raise DataError(f"{where}{place}: {message}")
        return None, (f"{message}, so it is not used",)
    splits = [known[text] for text in texts]
    return (np.array(splits), ()) if any(splits) else (None, ())
