"""What a layout says before anything is drawn: which pictures, which text files, under which names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from training.standins.pixels import Pixels

Painter = Callable[[np.random.Generator, np.random.Generator], Pixels]
L = TypeVar("L")


@dataclass(frozen=True)
class Picture:
    """One image file.

    Attributes:
        path: Where it goes below the set's folder.
        paint: Paints it, given two generators: the person's and the picture's own.
        person: Pictures with the same text here show the same person (or slide).
        own: Pictures with the same text here are the same in all else; the path where empty.
    """

    path: str
    paint: Painter
    person: str
    own: str = ""


@dataclass(frozen=True)
class Plan:
    """A whole data set: its image files, and its text files by path."""

    pictures: list[Picture]
    texts: dict[str, str]


def generator(*key: object) -> np.random.Generator:
    """A random generator that depends on the key alone, alike on every platform.

    Example:
        >>> int(generator(0, "a").integers(1000)) == int(generator(0, "a").integers(1000))
        True
    """
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def deal(rng: np.random.Generator, count: int, shares: Mapping[L, float]) -> list[L]:
    """``count`` labels in random order, each as often as its share says and at least once.

    Args:
        rng: Shuffles them.
        count: At least the number of labels.
        shares: Label to relative share.

    Example:
        >>> sorted(deal(np.random.default_rng(0), 5, {"a": 0.9, "b": 0.1}))
        ['a', 'a', 'a', 'a', 'b']
    """
    total = sum(shares.values())
    ends = np.cumsum([1 + (count - len(shares)) * share / total for share in shares.values()])
    labels = list(shares)
    dealt = [labels[int(np.searchsorted(ends, i + 0.5))] for i in range(count)]
    return [dealt[i] for i in rng.permutation(count)]


def table(header: str, rows: Iterable[Sequence[object]]) -> str:
    """A CSV file's text. No value needs quotes in these tables; one with a comma would be a mistake.

    Example:
        >>> table("image,level", [("10_left", 0)])
        'image,level\\n10_left,0\\n'
    """
    return "".join(f"{line}\n" for line in [header, *(",".join(map(str, row)) for row in rows)])
