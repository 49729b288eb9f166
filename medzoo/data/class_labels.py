"""Labels that exclude one another: names or numbers -> one-hot targets and class names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.data.normalize import WHOLE, as_written, clean, is_missing, joined_note, name_key, numbers_note, some, unify
from medzoo.data.tasks import TASKS, one_hot

_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Labels:
    """The labels of N images, understood.

    Attributes:
        targets: ``float32 [N, C]`` one-hot or multi-hot, NaN where not labelled.
        classes: Names of the C columns.
        task: One of ``medzoo.data.tasks.TASKS``.
        notes: What a reader should know about them, in words.
        rows: ``int64 [N]``, which of the labels given these are; by default all (those left out are uncertain).
    """

    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    notes: tuple[str, ...] = field(default=())
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.targets):
            object.__setattr__(self, "rows", np.arange(len(self.targets)))


def item(index: int) -> str:
    """Return what the label of one image is called, where it stands in no file."""
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
    """Read labels that exclude one another: each image has one class.

    Args:
        where: What the labels are of, for errors.
        texts: N labels; ``"2.0"`` is the class ``2`` where all labels are whole numbers.
        task: ``binary``, ``multiclass`` or ``ordinal``, where the labels do not tell.
        classes: All classes, in their order, where they are known already: none may be missing there, and some may
            have no image. Whole numbers count the classes from 0 where no class is named by a number; a note says so.
        own: The class names, in their order, that the data set gives itself.
        at: Returns where the label of an image stands.

    Returns:
        One-hot targets; without ``classes`` in alphabetical order, of whole numbers in numerical order. Spellings of
        one name (case, blanks, Unicode form) are one class, with a note.

    Raises:
        DataError: An image has no label or one that is not among ``classes``, there is one class only, the labels
            are measurements, or they do not fit the task.
    """
    check_task(task)
    given = classes if classes is not None else own
    _refuse_missing(where, texts, at)
    texts, notes = _spelled(texts, given)
    present = set(texts)
    if given is not None and present <= set(given):
        found = []
    elif all(map(WHOLE.fullmatch, present)):
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
    texts, note = numbered(where, texts, known, at)
    if len(known) < 2:
        raise DataError(f"{where}: the only class is {known[0] if known else 'none'}; expected two classes or more")
    _check_fit(where, known, task, given is not None)
    place = {name: i for i, name in enumerate(known)}
    targets = one_hot([place[text] for text in texts], len(known))
    fitting = "binary" if len(known) == 2 else "multiclass"
    if given is None:
        notes += _ambiguous(texts)
    return Labels(targets, known, task or fitting, (*notes, *note))


def check_task(task: str | None) -> None:
    """Refuse a task that there is not.

    Raises:
        DataError: ``task`` is neither ``None`` nor in ``medzoo.data.tasks.TASKS``.
    """
    if task is not None and task not in TASKS:
        raise DataError(unknown("task", task, TASKS))


def _refuse_missing(where: str, texts: Sequence[str], at: Callable[[int], str]) -> None:
    """Every image needs a label; words such as "NA" are none among numbers, and perhaps a class among names."""
    absent = {text for text in set(texts) if is_missing(text, ambiguous=False)}
    ambiguous = {text for text in set(texts) - absent if is_missing(text)}
    others = set(texts) - absent - ambiguous
    if ambiguous and others and all(map(_NUMBER.fullmatch, others)):
        absent |= ambiguous
    missing = [i for i, text in enumerate(texts) if text in absent]
    if missing:
        text = texts[missing[0]]
        raise DataError(
            f"{where}: {at(missing[0])} has no label{f' ({text!r})' if text else ''}, and {len(missing):,} of"
            f" {len(texts):,} images in all have none; fill them in or leave the images out"
        )


def _ambiguous(texts: Sequence[str]) -> list[str]:
    """A note on classes whose name may mean that there is no label."""
    names = [name for name in sorted(set(texts)) if is_missing(name)]
    counts = ", ".join(f"{name!r} ({sum(text == name for text in texts):,} images)" for name in names)
    return [f"{counts} counts as a class: leave those images out if it means that there is no label"] if names else []


def _spelled(texts: Sequence[str], given: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Labels with one spelling for each name: the known one, else the commonest; notes where that joined some."""
    tidy = {text: as_written(clean(text)) for text in set(texts)}
    texts = [tidy[text] for text in texts]
    if given is None:
        texts, joined = unify(texts)
        return texts, list(joined_note("labels", joined))
    known = {str(name) for name in given}
    spelling: dict[str, list[str]] = {}
    for name in known:
        spelling.setdefault(name_key(name), []).append(name)
    to = {
        text: names[0]
        for text in set(texts) - known
        if len(names := spelling.get(name_key(text), [])) == 1  # two classes that differ in case stay two
    }
    read = [f"{text!r} as {name!r}" for text, name in sorted(to.items())]
    return [to.get(text, text) for text in texts], [f"labels are read {some(read, 5)}"] if read else []


def numbered(
    where: str,
    texts: Sequence[str],
    known: tuple[str, ...],
    at: Callable[[int], str],
    numbers: bool = False,
) -> tuple[Sequence[str], tuple[str, ...]]:
    """Labels by name, where they are numbers of classes; each must be among the known. Notes on what was mapped.

    Args:
        where: As in ``exclusive``.
        texts: As in ``exclusive``.
        known: All class names.
        at: As in ``exclusive``.
        numbers: The labels are class numbers by what the data set declares, whatever its names are.
    """
    present = set(texts)
    if present <= set(known) and not numbers:
        return texts, ()
    numbered = any(map(WHOLE.fullmatch, known))
    if (numbers or not numbered) and all(WHOLE.fullmatch(text) and 0 <= int(text) < len(known) for text in present):
        mapped = {text: known[int(text)] for text in sorted(present, key=int)}
        notable = not numbers or any(WHOLE.fullmatch(name) and name != text for text, name in mapped.items())
        note = (numbers_note(mapped),) if notable else ()
        return [mapped[text] for text in texts], note
    if numbers and all(map(WHOLE.fullmatch, present)):
        wrong = next(i for i, text in enumerate(texts) if not 0 <= int(text) < len(known))
        raise DataError(
            f"{where}, {at(wrong)}: class number {texts[wrong]} of {len(known)} classes, counted from 0"
            f" ({some(known, 8)}); give the labels by name"
        )
    wrong_at = next((i for i, text in enumerate(texts) if text and text not in known), None)
    if wrong_at is not None:
        message = unknown("class", texts[wrong_at], known)
        if numbered and WHOLE.fullmatch(texts[wrong_at]):
            message += (
                f" (the data have {some(sorted(present), 8)}, and where classes are named by numbers, labels are names,"
                " not places)"
            )
        raise DataError(f"{where}, {at(wrong_at)}: {message}")
    return texts, ()


def _check_fit(where: str, classes: tuple[str, ...], task: str | None, given: bool) -> None:
    fitting = ("binary",) if len(classes) == 2 else ("multiclass", "ordinal")
    if task is not None and task not in fitting:
        raise DataError(f"{where}: task {task!r} does not fit {len(classes)} classes; allowed: {' or '.join(fitting)}")
    if task == "ordinal" and not given:
        whole = all(map(WHOLE.fullmatch, classes))
        if not whole or [int(name) for name in classes] != list(range(int(classes[0]), int(classes[0]) + len(classes))):
            raise DataError(
                f"{where}: grades are {', '.join(classes)}; an ordinal task needs 0, 1, 2, ... without a gap,"
                " or classes=[...] in their order"
            )
