"""Errors a user can mend. Everything else is a bug and keeps its traceback."""


class MedzooError(Exception):
    """A mistake the user can mend.

    The message says what came, what is allowed and what to do next, in one or two lines. The
    command lines print it on stderr and leave with exit code 2; no traceback is shown.
    """


class UnknownNameError(MedzooError, KeyError):
    """A name that stands in no table; a ``KeyError`` too, so that ``Table.get`` gives its default."""

    __str__ = Exception.__str__  # KeyError's own shows the message in quotes


class DataError(MedzooError):
    """A data set, label file or image that cannot be used as it is."""


class InputError(MedzooError):
    """An image whose values or shape cannot be read correctly."""


class ZooError(MedzooError):
    """A weight that cannot be found, fetched or trusted."""


class RunError(MedzooError):
    """A run that cannot start or go on."""
