"""Errors that a user can fix. Every other exception is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Iterable


class MedzooError(Exception):
    """A mistake that the user can fix.

    The message says what was given, what is allowed and what to do next, in one or two lines. The
    command lines print it on stderr without a traceback and exit with code 2.

    Attributes:
        details: Further lines, which the command lines print below the message.
    """

    details: tuple[str, ...] = ()


class UnknownNameError(MedzooError, KeyError):
    """A name that no registry has; a ``KeyError`` too, so that ``Registry.get`` returns its default."""

    __str__ = Exception.__str__  # KeyError's own shows the message in quotes


class DataError(MedzooError):
    """A data set, label file or image that cannot be used as it is."""


class UnreadableError(DataError):
    """Images that are missing or cannot be read; the message names the first of them.

    Args:
        message: As of any error.
        rejected: The name of each image, and why it cannot be read.

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
    """Pretrained weights that cannot be found, downloaded or verified."""


class RunError(MedzooError):
    """A run that cannot start or resume."""


class DiskFullError(MedzooError, OSError):
    """A full disk; an ``OSError`` too, for callers that can do without the file."""


class InUseError(MedzooError, OSError):
    """A file that another program has open, which Windows does not replace."""
