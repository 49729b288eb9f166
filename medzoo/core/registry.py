"""The one container for facts: a read-only mapping of names to typed entries."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from medzoo.core.errors import UnknownNameError

_SHOWN = 20  # names in an error; ImageNet has a thousand


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str: ...


E = TypeVar("E", bound=Named)


class Registry(Mapping[str, E], Generic[E]):
    """A read-only mapping from a name to its entry, in the order given.

    Args:
        kind: What one entry is called in an error, for example ``"weight"``.
        entries: Objects with a ``name``; a name that occurs twice is an error.

    Raises:
        ValueError: Two entries share a name (at import: a table is code).

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Colour:
        ...     name: str
        >>> colours = Registry("colour", [Colour("red"), Colour("green")])
        >>> colours["red"]
        Colour(name='red')
        >>> colours["gren"]
        Traceback (most recent call last):
        medzoo.core.errors.UnknownNameError: no colour named 'gren'; did you mean 'green'?
    """

    def __init__(self, kind: str, entries: Iterable[E]) -> None:
        self.kind = kind
        self._entries: dict[str, E] = {}
        for entry in entries:
            if entry.name in self._entries:
                raise ValueError(f"two entries of the {kind} table are named {entry.name!r}")
            self._entries[entry.name] = entry

    def __getitem__(self, name: str) -> E:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(unknown(self.kind, name, self._entries)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest ones.

    Args:
        kind: What is named, for example ``"weight"``.
        name: What came.
        known: What is allowed.

    Returns:
        One line; the names near it, or when none is, all of them: of more than 20 the nearest 20, and how many more.

    Example:
        >>> unknown("head", "mpl", ["mlp", "linear"])
        "no head named 'mpl'; did you mean 'mlp'?"
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    if near:
        return f"no {kind} named {name!r}; did you mean {' or '.join(map(repr, near))}?"
    if len(names) <= _SHOWN:
        return f"no {kind} named {name!r}; known: {', '.join(names) or 'none'}"
    shown = difflib.get_close_matches(str(name), names, n=_SHOWN, cutoff=0.0)
    return f"no {kind} named {name!r}; known: {', '.join(shown)} and {len(names) - _SHOWN:,} more"
