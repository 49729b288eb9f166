"""What labels mean: texts, numbers or marks -> targets, class names and task. The same rules for every form of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.class_labels import Labels, check_task, exclusive, item, numbered
from medzoo.data.label_marks import (
    check_uncertain,
    divided,
    mark_targets,
    seen_separator,
    separated_targets,
    settle_uncertain,
)
from medzoo.data.normalize import as_written


def as_text(value: Any) -> str:
    """Return a label or a table's cell as text: "" for None and NaN, whole numbers without decimals, lists with "|".

    Example:
        >>> as_text(2.0), as_text(True), as_text(float("nan")), as_text("mass"), as_text(["mass", "edema"])
        ('2', 'True', '', 'mass', 'mass|edema')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, set)) or (isinstance(value, np.ndarray) and value.ndim):
        return "|".join(map(as_text, value))
    if isinstance(value, (bytes, dict)):
        return str(value)
    if pd.isna(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def column_labels(
    where: str,
    texts: Sequence[str],
    task: str | None = None,
    classes: Sequence[str] | None = None,
    *,
    label_separator: str | None = None,
    uncertain: str | None = None,
    at: Callable[[int], str] = item,
) -> Labels:
    """Find out what the labels of one column mean.

    Args:
        where: What the labels are of, for errors.
        texts: N labels.
        task: As in ``exclusive``.
        classes: As in ``exclusive``.
        label_separator: What stands between several labels in one cell, which make the set multi-label; ``""`` for
            nothing; by default an error where the cells seem to have a separator.
        uncertain: What -1 means: ``"one"``, ``"zero"`` or ``"ignore"``; by default an error where it is beside 0.
        at: Returns where the label of an image stands.

    Returns:
        The labels, of the rows that are left.

    Raises:
        DataError: As in ``exclusive``; or a separator or an uncertain label was found that no option explains.
    """
    check_task(task)
    check_uncertain(uncertain)
    if label_separator:
        if task not in (None, "multilabel"):
            raise DataError(f"{where}: task {task!r} needs one class an image; labels with a separator are multilabel")
        targets, names, notes = separated_targets(where, texts, label_separator, classes, at)
        return _multilabel(where, targets, names, notes)
    if label_separator is None and not (classes is not None and set(texts) <= set(classes)):
        found = seen_separator(texts)
        if found is not None:
            first = next(i for i, text in enumerate(texts) if len(divided(text, found)) > 1)
            raise DataError(
                f"{where}, {at(first)}: {texts[first]!r} seems to be several labels: say label_separator={found!r}, or"
                " label_separator='' if it is one class"
            )
    if task == "multilabel":
        raise DataError(
            f"{where}: task 'multilabel' needs several columns of 1 and 0, or label_separator= for one of names"
        )
    texts, kept = settle_uncertain(where, [as_written(text) for text in texts], uncertain, classes)
    rows = np.array(kept, np.int64)
    labels = exclusive(where, [texts[i] for i in kept], task, classes, at=lambda i: at(kept[i]))
    left = len(texts) - len(rows)
    note = (f"{left:,} images with the uncertain label -1 are left out",) if left else ()
    return replace(labels, rows=rows, notes=(*labels.notes, *note))


def marks(
    where: str,
    columns: Mapping[str, Sequence[str]],
    task: str | None = None,
    *,
    at: Callable[[int], str] = item,
    uncertain: str | None = None,
) -> Labels:
    """Read several labels an image, a column for each.

    Args:
        where: What the labels are of, for errors.
        columns: N marks a label: 1, 0 or empty (not labelled; -1 with ``uncertain``).
        task: ``multilabel`` or ``None``, and nothing else.
        at: Returns where the mark of an image stands.
        uncertain: What -1 means: ``"one"``, ``"zero"`` or ``"ignore"`` (not labelled); by default an error.

    Returns:
        Multi-hot targets, NaN where not labelled.

    Raises:
        DataError: A text is no mark, no image is labelled, or the task is another.
    """
    check_task(task)
    check_uncertain(uncertain)
    if task not in (None, "multilabel"):
        raise DataError(f"{where}: task {task!r} needs one class an image; several columns of labels are multilabel")
    return _multilabel(where, mark_targets(where, columns, at, uncertain), tuple(columns))


def _multilabel(where: str, targets: NDArray[np.float32], names: tuple[str, ...], notes: Sequence[str] = ()) -> Labels:
    blank = int(np.isnan(targets).all(1).sum())
    if blank == len(targets):
        raise DataError(f"{where}: none of the {len(targets):,} images has a label; expected marks of 1 and 0")
    notes = list(notes)
    empty = [name for name, column in zip(names, targets.T, strict=True) if not (column == 1).any()]
    if empty:
        notes.append(f"no image has the label {', '.join(empty)}")
    if blank:
        notes.append(f"{blank:,} images have no label at all and teach nothing")
    return Labels(targets, names, "multilabel", tuple(notes))


def read_labels(
    labels: Any,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    *,
    own: Sequence[str] | None = None,
    where: str = "the data set",
) -> Labels:
    """Find out what a list of labels means.

    Args:
        labels: N class numbers or names (whole floats and booleans too), or N rows of 0, 1 and NaN (multi-label).
            Rows of a single number are class numbers.
        task: Overrides what the labels look like; with ``multiclass`` or ``ordinal``, rows are one-hot.
        classes: As in ``exclusive``.
        own: As in ``exclusive``; class numbers count them from 0.
        where: What the labels are of, for errors.

    Returns:
        The labels.

    Raises:
        DataError: The labels are of no known form or all alike, or do not fit the task.

    Example:
        >>> found = read_labels(["cat", "dog", "cat"])
        >>> found.classes, found.task, found.targets[:, 1].tolist()
        (('cat', 'dog'), 'binary', [0.0, 1.0, 0.0])
    """
    listed = [_plain(label) for label in labels]
    texts: Sequence[str]
    if len({len(label) if isinstance(label, list) else 0 for label in listed}) > 1:
        raise DataError("the labels have different lengths; give one class an image, or rows of 0, 1 and NaN")
    if any(isinstance(cell, (list, dict)) for label in listed for cell in (label if isinstance(label, list) else ())):
        raise DataError(f"{where}: labels of more than two dimensions are of no known form; give a class an image")
    if not isinstance(listed[0], list):
        texts = [as_text(label) for label in listed]
    elif len(listed[0]) == 1 and task != "multilabel":
        texts = [as_text(label[0]) for label in listed]
    else:
        names = tuple(map(str, own or classes or range(len(listed[0]))))
        return _rows(where, [[as_text(cell) for cell in row] for row in listed], names, task, classes)
    if own is not None:
        own = tuple(map(str, own))
        if "" not in texts and not any(isinstance(label, str) for label in listed):
            texts, note = numbered(where, texts, own, item, numbers=True)
            found = exclusive(where, texts, task, classes, own=own)
            return replace(found, notes=(*found.notes, *note))
    elif classes is None and (separator := seen_separator(texts)) is not None:
        first = next(text for text in texts if len(divided(text, separator)) > 1)
        raise DataError(f"{where}: {first!r} seems to be several labels; give rows of 1 and 0, a column for each label")
    if own is None:
        settle_uncertain(where, list(map(as_written, texts)), None, classes)
    return exclusive(where, texts, task, classes, own=own)


def _rows(
    where: str, rows: list[list[str]], names: tuple[str, ...], task: str | None, classes: Sequence[str] | None
) -> Labels:
    """Rows of marks, or with an exclusive task one-hot rows."""
    if len(names) != len(rows[0]):
        raise DataError(f"{where}: rows of {len(rows[0])} labels came with {len(names)} class names; give one a column")
    if task in (None, "multilabel"):
        return marks(where, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), task)
    found = marks(where, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))).targets
    wrong = np.flatnonzero(np.nansum(found, 1) != 1)
    if len(wrong):
        raise DataError(f"{where}: {item(int(wrong[0]))} is not of one class, as task {task!r} needs; multilabel fits")
    return exclusive(where, [names[i] for i in np.nanargmax(found, 1)], task, classes, own=names)


def _plain(label: Any) -> Any:
    """A label as Python's own number, text or list."""
    if hasattr(label, "detach"):  # a tensor, perhaps on a GPU
        label = label.detach().cpu()
    return np.asarray(label).tolist()
