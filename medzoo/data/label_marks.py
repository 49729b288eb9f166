"""Marks of several labels an image: columns of 1 and 0, names with a separator, and CheXpert's -1 for "uncertain"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.data.normalize import WHOLE, clean, is_missing, joined_note, name_key, some, unify

UNCERTAIN = {"one": 1.0, "zero": 0.0, "ignore": np.nan}  # CheXpert's U-Ones, U-Zeros and U-Ignore
_MARKS = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0, "1.0": 1.0, "0.0": 0.0}
_UNSURE = ("-1", "-1.0")
_SEPARATORS = ("|", ";", ",", "/", "+", "&")
_CERTAIN = ("|", ";")  # no name holds these


def check_uncertain(uncertain: str | None) -> None:
    """Refuse a policy for uncertain labels that there is not.

    Raises:
        DataError: ``uncertain`` is neither ``None`` nor in ``UNCERTAIN``.
    """
    if uncertain is not None and uncertain not in UNCERTAIN:
        raise DataError(unknown("way to read uncertain labels", uncertain, UNCERTAIN))


def mark_targets(
    where: str, columns: Mapping[str, Sequence[str]], at: Callable[[int], str], uncertain: str | None = None
) -> NDArray[np.float32]:
    """Read columns of marks.

    Args:
        where: What they are of, for errors.
        columns: N texts a label: 1, 0, true or false, -1 (uncertain), or nothing (not labelled).
        at: Returns where the mark of an image stands.
        uncertain: What -1 means: ``"one"``, ``"zero"`` or ``"ignore"`` (not labelled); by default an error.

    Returns:
        ``float32 [N, C]`` of 1, 0 and NaN.

    Raises:
        DataError: A text is no mark.
    """
    values: dict[str, float] = {}
    targets = np.empty((len(next(iter(columns.values()))), len(columns)), np.float32)
    for c, (name, texts) in enumerate(columns.items()):
        for i, text in enumerate(texts):
            if text not in values:
                values[text] = _mark(where, name, text, at(i), uncertain)
            targets[i, c] = values[text]
    return targets


def _mark(where: str, name: str, text: str, at: str, uncertain: str | None) -> float:
    mark = clean(text).lower()
    if mark in _MARKS:
        return _MARKS[mark]
    if is_missing(mark):
        return float("nan")
    if mark in _UNSURE:
        if uncertain is not None:
            return UNCERTAIN[uncertain]
        raise DataError(
            f"{where}, {at}: {name} is {text!r}, which in CheXpert's tables means uncertain: say uncertain='one',"
            " 'zero' or 'ignore'"
        )
    raise DataError(f"{where}, {at}: {name} is {text!r}; expected 1, 0 or empty (not labelled)")


def settle_uncertain(
    where: str, texts: Sequence[str], uncertain: str | None, known: Iterable[str] | None
) -> tuple[list[str], list[int]]:
    """Settle what -1 means in a column of one class an image.

    -1 beside 0 (and no other number below 0) is no class: it means uncertain (CheXpert) or not gradable.

    Args:
        where: What they are of, for errors.
        texts: N labels.
        uncertain: As in ``mark_targets``; with ``"ignore"``, the images are left out.
        known: Classes that are known already; -1 among them is a class.

    Returns:
        The labels, and the rows to keep.

    Raises:
        DataError: There are such labels and ``uncertain`` does not say what they mean, or cannot.
    """
    numbers = {int(float(text)) for text in set(texts) if WHOLE.fullmatch(text)}
    unsure = [i for i, text in enumerate(texts) if text in _UNSURE]
    if not unsure or 0 not in numbers or min(numbers) < -1 or (known is not None and {*_UNSURE} & set(known)):
        return list(texts), list(range(len(texts)))
    if uncertain is None:
        raise DataError(
            f"{where}: the labels hold 0 and -1, and -1 ({len(unsure):,} images) means uncertain or not gradable in"
            " most tables: say uncertain='ignore' (left out), 'zero' or 'one'; or name -1 among classes=[...]"
        )
    if uncertain == "ignore":
        left = set(unsure)
        return list(texts), [i for i in range(len(texts)) if i not in left]
    if numbers - {-1, 0, 1}:
        raise DataError(
            f"{where}: uncertain={uncertain!r} fits labels of 0, 1 and -1 only, and these are"
            f" {some(sorted(numbers), 8)}; say uncertain='ignore'"
        )
    replaced = "1" if uncertain == "one" else "0"
    return [replaced if text in _UNSURE else text for text in texts], list(range(len(texts)))


def seen_separator(texts: Iterable[str]) -> str | None:
    """Return what seems to separate several labels in one cell; ``None`` where each cell seems to be one label.

    ``|`` and ``;`` separate wherever they stand between two names; other signs where every part of a cell stands
    alone in another one.

    Example:
        >>> seen_separator(["Mass|Nodule", "Effusion"]), seen_separator(["a/b", "a", "b"]), seen_separator(["a/b", "c"])
        ('|', '/', None)
    """
    names = set(texts)
    keys = {name_key(name) for name in names}
    for separator in _SEPARATORS:
        for name in names:
            if separator not in name:
                continue
            parts = divided(name, separator)
            if len(parts) > 1 and (separator in _CERTAIN or all(name_key(part) in keys for part in parts)):
                return separator
            if _listed(name) and len(parts) > 1:
                return separator
    return None


def divided(text: str, separator: str) -> list[str]:
    """Return the labels in one cell; brackets and quotes of a written list are left out.

    Example:
        >>> divided("Mass | Nodule|", "|"), divided("['mass', 'edema']", ",")
        (['Mass', 'Nodule'], ['mass', 'edema'])
    """
    if _listed(text):
        text = text[1:-1]
    parts = (clean(part) for part in text.split(separator))
    return [
        part for part in (re.sub(r"""^(['"])(.*)\1$""", r"\2", part) for part in parts) if not is_missing(part, False)
    ]


def _listed(text: str) -> bool:
    return len(text) > 1 and text[0] + text[-1] in ("[]", "()", "{}")


def separated_targets(
    where: str, texts: Sequence[str], separator: str, classes: Sequence[str] | None, at: Callable[[int], str]
) -> tuple[NDArray[np.float32], tuple[str, ...], tuple[str, ...]]:
    """Read cells that hold the names of all labels of an image.

    Args:
        where: What they are of, for errors.
        texts: N cells; an empty one is not labelled.
        separator: What stands between names.
        classes: All labels, where they are known.
        at: Returns where the cell of an image stands.

    Returns:
        ``float32 [N, C]`` of 1, 0 and (a whole row) NaN; the labels, by default in alphabetical order; notes.

    Raises:
        DataError: A name is not among ``classes``, or there are less than two labels.
    """
    counts = Counter(texts)
    cells = {text: divided(text, separator) for text in counts}
    flat = [name for text, count in counts.items() for name in cells[text] for _ in range(count)]
    flat, joined = unify(flat)
    names = tuple(sorted(set(flat))) if classes is None else tuple(classes)
    if len(names) < 2:
        raise DataError(
            f"{where}: separated by {separator!r}, the labels are {some(names) or 'none'}; expected two or more"
        )
    place = {name_key(name): i for i, name in enumerate(names)}
    marks = {}
    for text, row in cells.items():
        strange = next((name for name in row if name_key(name) not in place), None)
        if strange is not None:
            raise DataError(f"{where}, {at(texts.index(text))}: {unknown('class', strange, names)}")
        marks[text] = np.full(len(names), 0 if row else np.nan, np.float32)
        marks[text][[place[name_key(name)] for name in row]] = 1
    targets = np.array([marks[text] for text in texts])
    several = sum(count for text, count in counts.items() if len(cells[text]) > 1)
    note = f"{several:,} of {len(texts):,} images have several of {len(names)} labels, separated by {separator!r}"
    return targets, names, (note, *joined_note("labels", joined if classes is None else {}))
