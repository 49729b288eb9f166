"""The positive class of a binary task: the one that sensitivity, precision and a threshold refer to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from medzoo.core.errors import DataError
from medzoo.core.registry import unknown

# Healthy classes, never positive: whole names (letters and digits alone), and words that make any name healthy.
_NAMES = {
    "0",
    "00",
    "f",
    "n",
    "neg",
    "none",
    "nil",
    "false",
    "absent",
    "control",
    "controls",
    "background",
    "wnl",
    "nad",
}
_NAMES |= {"unremarkable", "nofinding", "nofindings", "class0", "label0", "grade0"}
_WORDS = {"normal", "normals", "healthy", "benign", "negative", "negatives"}
_NEGATIONS = ("no", "non", "not", "without")


def is_healthy(name: str, other: str) -> bool:
    """Return whether a class is the healthy one, by its name.

    Args:
        name: The class.
        other: The other class: ``"noncovid"`` is healthy beside ``"covid"``.

    Example:
        >>> [is_healthy(name, "x") for name in ("No Finding", "COVID_negative", "not normal", "abnormal", "0")]
        [True, True, False, False, True]
    """
    first, *rest = words = _words(name)
    if first in _NEGATIONS:
        return not rest or not is_healthy(" ".join(rest), other)
    if "".join(words) in _NAMES or name.strip() == "-" or _WORDS & set(words):
        return True
    opposite = "".join(_words(other))
    return "".join(words) in {prefix + opposite for prefix in (*_NEGATIONS, "un")} and not _WORDS & {opposite}


def _words(name: str) -> list[str]:
    """Split a name at spaces, punctuation and capitals: ``"NoFinding"`` and ``"NO_FINDING"`` are the same."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", spaced.casefold()) or [name]


def choose_positive(
    task: str, classes: Sequence[str], counts: Mapping[str, int], asked: str | None = None
) -> tuple[str, str]:
    """Choose the positive class of a binary task.

    Args:
        task: The task; one that is not binary has none.
        classes: The class names; their order is that of the outputs and is not changed.
        counts: Images of each class.
        asked: The class that the user named, if any.

    Returns:
        The positive class: the one asked for, else the one beside a healthy class (normal, no finding, benign,
        negative, 0, ...), else the rarer, else the last; and a note where neither the user nor the names decided. Both
        are empty for other tasks.

    Raises:
        DataError: There is no such class, or the task is not binary.

    Example:
        >>> choose_positive("binary", ["COVID", "Normal"], {"COVID": 50, "Normal": 20})
        ('COVID', '')
    """
    if task != "binary":
        if asked is not None:
            raise DataError(f"a {task} task has no positive class; leave positive out, or use task='binary'")
        return "", ""
    if asked is not None:
        if asked not in classes:
            raise DataError(unknown("class", asked, classes))
        return asked, ""
    first, last = classes
    healthy = is_healthy(first, last), is_healthy(last, first)
    if healthy[0] != healthy[1]:
        return (last if healthy[0] else first), ""
    chosen = first if counts[first] < counts[last] else last
    why = "the last, of equally many images" if counts[first] == counts[last] else "the rarer"
    return chosen, f"The positive class is {chosen}, {why}; set positive= (--positive) to choose."
