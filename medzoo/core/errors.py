"""Errors a user can mend. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Iterable


class MedzooError(Exception):
    """A mistake the user can mend.

    The message says what came, what is allowed and what to do next, in one or two lines. The
    command lines print it on stderr and leave with exit code 2; no traceback is shown.

    Attributes:
        details: Lines for which a message has no room; the command lines print them below it.
    """

    details: tuple[str, ...] = ()


class UnknownNameError(MedzooError, KeyError):
    """A name that stands in no table; a ``KeyError`` too, so that ``Registry.get`` gives its default."""

    __str__ = Exception.__str__  # KeyError's own shows the message in quotes


class DataError(MedzooError):
    """A data set, label file or image that cannot be used as it is."""


class UnreadableError(DataError):
    """Images that are missing or cannot be read: the message names the first of them.

    Args:
        message: As of any error.
        rejected: What each image is called, and why it cannot be read.

    Attributes:
        rejected: All of them.
    """

    def __init__(self, message: str, rejected: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.rejected = tuple(rejected)
        self.details = tuple(reason for _, reason in self.rejected) if len(self.rejected) > 1 else ()


class InputError(MedzooError):
    """An image whose values or shape cannot be read correctly."""


class ZooError(MedzooError):
    """A weight that cannot be found, fetched or trusted."""


class RunError(MedzooError):
    """A run that cannot start or go on."""


class DiskFullError(MedzooError, OSError):
    """No room for a file; an ``OSError`` too, for those who can do without it."""
