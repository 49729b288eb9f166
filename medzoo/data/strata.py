"""The values of a column as a few groups: categories as they are, numbers in ranges, what is missing by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError

MISSING = "missing"
MOST = 50  # groups; a column of ids or of free text has more
_FEW = 6  # numbers of so few values are categories: grades, 0 and 1
_AGE = re.compile(r"0*([0-9]+)[Yy]")  # as DICOM writes it: 058Y

Bins: TypeAlias = Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class Strata:
    """The groups of one column.

    Attributes:
        names: The groups; ranges in rising order, ``"missing"`` last.
        member: ``int64 [N]``, the group of each image.
        cuts: Where numbers are cut; empty for categories.
    """

    names: tuple[str, ...]
    member: NDArray[np.int64]
    cuts: tuple[float, ...] = ()


def stratify(column: str, values: NDArray[np.str_] | Sequence[str], bins: Sequence[float] | None = None) -> Strata:
    """Group the values of a column.

    Args:
        column: The column's name, for errors.
        values: N texts, empty where there is no value.
        bins: Where numbers are cut, rising: a value belongs to the range that begins with it. By default at the
            quartiles, where all values are numbers, and more than six different ones.

    Returns:
        The groups that have an image.

    Raises:
        DataError: Bins are given for what is no number or do not rise, or there are more than 50 groups.

    Example:
        >>> found = stratify("age", ["30", "45", "", "61", "40"], bins=[40, 60])
        >>> found.names, found.member.tolist()
        (('below 40', '40 to below 60', '60 or more', 'missing'), [0, 1, 3, 2, 1])
    """
    texts = np.asarray(values, dtype=np.str_)
    known = texts != ""
    numbers = _numbers(texts[known])
    if bins is not None and numbers is None:
        strange = next(text for text in texts[known].tolist() if _number(text) is None)
        raise DataError(f"bins are given for {column!r}, which holds {strange!r}; give them for a column of numbers")
    if bins is None and (numbers is None or len(np.unique(numbers)) <= _FEW):
        names, member = np.unique(texts[known], return_inverse=True)
        order = np.argsort([_number(name) or 0.0 for name in names], kind="stable") if numbers is not None else None
        if order is not None:
            names, member = names[order], np.argsort(order)[member]
        return _with_missing(column, names.tolist(), member, known)
    assert numbers is not None
    cuts = _quartiles(numbers) if bins is None else tuple(map(float, bins))
    if any(a >= b for a, b in pairwise(cuts)):
        raise DataError(f"the bins of {column!r} are {', '.join(map(_short, cuts))}; give rising numbers")
    inner = [f"{_short(a)} to below {_short(b)}" for a, b in pairwise(cuts)]
    ranges = [f"below {_short(cuts[0])}", *inner, f"{_short(cuts[-1])} or more"] if cuts else ["all"]
    place = np.searchsorted(cuts, numbers, side="right")
    present, member = np.unique(place, return_inverse=True)
    return _with_missing(column, [ranges[i] for i in present], member, known, cuts)


def check_bins(bins: Bins, columns: Sequence[str]) -> None:
    """Refuse bins of a column that is not asked for, and such as are no list of numbers.

    Raises:
        DataError: There are such.
    """
    for name, cuts in bins.items():
        if name not in columns:
            raise DataError(f"bins are given for {name!r}; name it in by= too (by: {', '.join(columns) or 'none'})")
        if isinstance(cuts, (str, float, int)) or not len(cuts):
            raise DataError(f"the bins of {name!r} are {cuts!r}; give rising numbers, such as (40, 60)")


def check_columns(columns: Mapping[str, NDArray[np.str_]], names: Sequence[str], bins: Bins) -> None:
    """Refuse columns and bins that make no groups: before the work, not after it.

    Raises:
        DataError: As for ``stratify`` and ``check_bins``.
    """
    check_bins(bins, names)
    for name in names:
        stratify(name, columns[name], bins.get(name))


def _with_missing(
    column: str,
    names: list[str],
    member: NDArray[np.int64],
    known: NDArray[np.bool_],
    cuts: tuple[float, ...] = (),
) -> Strata:
    if len(names) > MOST:
        raise DataError(
            f"column {column!r} has {len(names):,} different values ({', '.join(names[:3])}, ...), more than {MOST}; "
            "give a column of a few groups, or of numbers"
        )
    every = np.full(len(known), len(names), np.int64)
    every[known] = member
    return Strata((*names, *([MISSING] if not known.all() else [])), every, cuts)


def _quartiles(numbers: NDArray[np.float64]) -> tuple[float, ...]:
    """Cuts at values that occur, so that equal values stay together; the lowest value cuts nothing."""
    cuts = np.unique(np.quantile(numbers, (0.25, 0.5, 0.75), method="higher"))
    return tuple(cuts[cuts > numbers.min()].tolist())


def _numbers(texts: NDArray[np.str_]) -> NDArray[np.float64] | None:
    found = [_number(text) for text in texts.tolist()]
    return None if not found or None in found else np.array(found, np.float64)


def _number(text: str) -> float | None:
    age = _AGE.fullmatch(text)
    try:
        value = float(age[1] if age else text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:g}"
