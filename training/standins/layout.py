"""The files of a synthetic data set, named before anything is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from training.standins.drawing import Pixels

L = TypeVar("L")


class ImageFile(NamedTuple):
    """One image file.

    Attributes:
        path: Its path below the data set's folder.
        draw: Draws it, given the person's generator and the image's own.
        person: Images with the same text here show the same person (or slide).
        own: Images with the same text here are the same in all else; the path where empty.
    """

    path: str
    draw: Callable[[np.random.Generator, np.random.Generator], Pixels]
    person: str
    own: str = ""


class Layout(NamedTuple):
    """A data set: its image files, and its text files by path."""

    images: list[ImageFile]
    texts: dict[str, str]


def generator(*key: object) -> np.random.Generator:
    """Return a random generator seeded by the key alone, the same on every platform.

    Example:
        >>> int(generator(0, "a").integers(1000)) == int(generator(0, "a").integers(1000))
        True
    """
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def shuffled_labels(rng: np.random.Generator, count: int, shares: Mapping[L, float]) -> list[L]:
    """Return ``count`` labels in random order, each as often as its share says and at least once.

    Args:
        rng: Shuffles them.
        count: At least the number of labels.
        shares: Label to relative share.

    Example:
        >>> sorted(shuffled_labels(np.random.default_rng(0), 5, {"a": 0.9, "b": 0.1}))
        ['a', 'a', 'a', 'a', 'b']
    """
    total = sum(shares.values())
    ends = np.cumsum([1 + (count - len(shares)) * share / total for share in shares.values()])
    labels = list(shares)
    return [labels[int(np.searchsorted(ends, i + 0.5))] for i in rng.permutation(count)]


def table(header: str, rows: Iterable[Sequence[object]]) -> str:
    """Return the text of a CSV file; no value of these tables needs quotes.

    Example:
        >>> table("image,level", [("10_left", 0)])
        'image,level\\n10_left,0\\n'
    """
    return "".join(f"{line}\n" for line in [header, *(",".join(map(str, row)) for row in rows)])
