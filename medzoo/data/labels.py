"""What labels mean: texts, numbers or marks -> targets, class names and task. The same rules for every form of data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.data.tasks import TASKS, one_hot

_WHOLE = re.compile(r"-?[0-9]+(\.0+)?")  # "2.0" too: gaps turn a column of whole numbers into decimals
_NUMBER = re.compile(r"-?[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?", re.IGNORECASE)
_MARKS = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0, "": np.nan, "nan": np.nan, "1.0": 1.0, "0.0": 0.0}


@dataclass(frozen=True)
class Labels:
    """The labels of N images, understood.

    Attributes:
        targets: ``float32 [N, C]`` one-hot or multi-hot, NaN where not labelled.
        classes: Names of the C columns.
        task: One of ``medzoo.data.tasks.TASKS``.
        notes: What a reader should know about them, in words.
    """

    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    notes: tuple[str, ...] = field(default=())


def as_text(value: Any) -> str:
    """A label or a table's cell as text: nothing (None, NaN) is "", and a whole number has no decimals.

    Example:
        >>> as_text(2.0), as_text(True), as_text(float("nan")), as_text("mass")
        ('2', 'True', '', 'mass')
    """
    if pd.isna(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def item(index: int) -> str:
    """What the label of one image is called, where it stands in no file."""
    return f"item {index}"


def exclusive(
    where: str,
    texts: Sequence[str],
    task: str | None = None,
    classes: Sequence[str] | None = None,
    *,
    own: Sequence[str] | None = None,
    at: Callable[[int], str] = item,
) -> Labels:
    """Labels that exclude one another: each image has one class.

    Args:
        where: What the labels are of, for errors.
        texts: N labels; ``"2.0"`` is the class ``2`` where all labels are whole numbers.
        task: ``binary``, ``multiclass`` or ``ordinal``, where the labels do not tell.
        classes: All classes, in their order, where they are known already: none may be missing there, and some may
            have no image. Whole numbers that are no names among them count the classes from 0.
        own: The class names, in their order, that the data set gives itself.
        at: Says where the label of an image stands.

    Returns:
        One-hot targets; without ``classes`` in alphabetical order, of whole numbers in numerical order.

    Raises:
        DataError: An image has no label or one that is not among ``classes``, there is one class only, the labels
            are measurements, or they do not fit the task.
    """
    check_task(task)
    missing = [i for i, text in enumerate(texts) if not text]
    if missing:
        raise DataError(
            f"{where}: {at(missing[0])} has no label, and {len(missing):,} of {len(texts):,} images in all have none;"
            " fill them in or leave the images out"
        )
    given, present = classes if classes is not None else own, set(texts)
    if given is not None and present <= set(given):
        found = []
    elif all(map(_WHOLE.fullmatch, present)):
        texts = [text.partition(".")[0] for text in texts]
        present = set(texts)
        found = sorted(present, key=lambda text: (int(text), text))
    elif given is None and all(map(_NUMBER.fullmatch, present)):
        raise DataError(
            f"{where}: the labels are numbers with decimals (such as {sorted(present)[0]}), which is of no known form:"
            " give classes, for example grades made with pandas.cut"
        )
    else:
        found = sorted(present)
    if classes is None and len(present) < 2:
        raise DataError(f"{where}: all {len(texts):,} images are {texts[0]!r}; expected two classes or more")
    known = tuple(map(str, found if given is None else given))
    texts = _named(where, texts, known, at)
    _check_fit(where, known, task, given is not None)
    index = {name: i for i, name in enumerate(known)}
    targets = one_hot([index[text] for text in texts], len(known))
    return Labels(targets, known, task or ("binary" if len(known) == 2 else "multiclass"))


def marks(
    where: str, columns: Mapping[str, Sequence[str]], task: str | None = None, at: Callable[[int], str] = item
) -> Labels:
    """Multi-label marks: 1, 0 or nothing (not labelled), each label in a column of its own.

    Args:
        where: What the labels are of, for errors.
        columns: N texts for each label: 1, 0, true, false, nan or empty.
        task: May say ``multilabel``, and nothing else.
        at: Says where the mark of an image stands.

    Returns:
        Multi-hot targets, NaN where not labelled.

    Raises:
        DataError: A text is no mark, no image is labelled, or the task is another.
    """
    check_task(task)
    if task not in (None, "multilabel"):
        raise DataError(f"{where}: task {task!r} needs one class an image; several columns of labels are multilabel")
    targets = np.empty((len(next(iter(columns.values()))), len(columns)), np.float32)
    for c, (name, texts) in enumerate(columns.items()):
        for i, text in enumerate(texts):
            value = _MARKS.get(text.strip().lower())
            if value is None:
                raise DataError(f"{where}, {at(i)}: {name} is {text!r}; expected 1, 0 or empty (not labelled)")
            targets[i, c] = value
    blank = int(np.isnan(targets).all(1).sum())
    if blank == len(targets):
        raise DataError(f"{where}: none of the {len(targets):,} images has a label; expected marks of 1 and 0")
    notes = []
    empty = [name for name, column in zip(columns, targets.T, strict=True) if not (column == 1).any()]
    if empty:
        notes.append(f"no image has the label {', '.join(empty)}")
    if blank:
        notes.append(f"{blank:,} images have no label at all and teach nothing")
    return Labels(targets, tuple(columns), "multilabel", tuple(notes))


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
            texts = _named(where, texts, own, item, numbers=True)
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


def check_task(task: str | None) -> None:
    """Refuse a task that there is not.

    Raises:
        DataError: ``task`` is neither ``None`` nor in ``medzoo.data.tasks.TASKS``.
    """
    if task is not None and task not in TASKS:
        raise DataError(unknown("task", task, TASKS))


def _plain(label: Any) -> Any:
    """A label as Python's own number, text or list."""
    if hasattr(label, "detach"):  # a tensor, perhaps on a GPU
        label = label.detach().cpu()
    return np.asarray(label).tolist()


def _named(
    where: str,
    texts: Sequence[str],
    known: tuple[str, ...],
    at: Callable[[int], str],
    numbers: bool = False,
) -> Sequence[str]:
    """Labels by name, where they are numbers of classes; each must be among the known."""
    present = set(texts)
    if present <= set(known) and not numbers:
        return texts
    if all(_WHOLE.fullmatch(text) and 0 <= float(text) < len(known) for text in present):
        return [known[int(float(text))] for text in texts]
    wrong = next((i for i, text in enumerate(texts) if text and text not in known), None)
    if wrong is not None:
        raise DataError(f"{where}, {at(wrong)}: {unknown('class', texts[wrong], known)}")
    return texts


def _check_fit(where: str, classes: tuple[str, ...], task: str | None, given: bool) -> None:
    fitting = ("binary",) if len(classes) == 2 else ("multiclass", "ordinal")
    if task is not None and task not in fitting:
        raise DataError(f"{where}: task {task!r} does not fit {len(classes)} classes; allowed: {' or '.join(fitting)}")
    if task == "ordinal" and not given:
        whole = all(map(_WHOLE.fullmatch, classes))
        if not whole or [int(name) for name in classes] != list(range(int(classes[0]), int(classes[0]) + len(classes))):
            raise DataError(
                f"{where}: grades are {', '.join(classes)}; an ordinal task needs 0, 1, 2, ... without a gap,"
                " or classes=[...] in their order"
            )
