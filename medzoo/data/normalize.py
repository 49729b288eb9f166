"""Normal forms of text: the same name, number or id however it was typed, and the words that stand for "nothing"."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

WHOLE = re.compile(r"[-+]?[0-9]+(\.0*)?")  # "2.0" too: gaps turn a column of whole numbers into decimals
# What programs write where there is no value (pandas' own list, without the words that may be a class).
_MISSING = frozenset(
    (
        *("", "nan", "-nan", "nat", "null", "n/a", "<na>", "#n/a", "#na", "#n/a n/a", "#null!", "#value!"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    )
)
# What people write where there is no value; as a label, each may be a class as well (a grade "None").
_AMBIGUOUS = frozenset(
    ("na", "none", "nil", "-", "--", "---", ".", "?", "??", "missing", "unknown", "unk", "undefined")
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


def clean(text: str) -> str:
    """Return a cell without invisible characters and outer blanks, inner blanks as one, in Unicode form NFC.

    Example:
        >>> clean("  No\\u00a0 Finding\\ufeff ")
        'No Finding'
    """
    if text.isascii():
        return " ".join(text.split())
    return unicodedata.normalize("NFC", " ".join(text.translate(_INVISIBLE).split()))


def is_missing(text: str, ambiguous: bool = True) -> bool:
    """Return whether a cell holds no value: the one definition for labels, patients, splits and paths.

    Args:
        text: The cell.
        ambiguous: Count words such as ``None``, ``NA`` and ``unknown`` too, which as a label may be a class.

    Example:
        >>> is_missing("NaN"), is_missing("None"), is_missing("None", ambiguous=False), is_missing("Mass")
        (True, True, False, False)
    """
    text = text.strip().lower()
    return text in _MISSING or (ambiguous and text in _AMBIGUOUS)


def name_key(text: str) -> str:
    """Return what two spellings of one name share: case, Unicode form, blanks and leading zeros do not count.

    Example:
        >>> name_key("NORMAL") == name_key("Normal "), name_key("007"), name_key("7.0")
        (True, '7', '7')
    """
    text = clean(text)
    if not text.isascii():
        text = clean(unicodedata.normalize("NFKC", text))
    if WHOLE.fullmatch(text):
        return str(int(text.partition(".")[0]))
    return clean(text.casefold())


def as_written(text: str) -> str:
    """Return a whole number without decimals (``"7.0"`` as ``"7"``), any other text as it is."""
    return text.partition(".")[0] if "." in text and WHOLE.fullmatch(text) else text


def unify(texts: Sequence[str], key: Callable[[str], str] = name_key) -> tuple[list[str], dict[str, list[str]]]:
    """Give all spellings of one name the commonest of them.

    Args:
        texts: N names.
        key: Returns what two spellings share.

    Returns:
        N names, and the spellings that were joined, by the one that stands for them.

    Example:
        >>> unify(["NORMAL", "Normal", "NORMAL", "ill"])
        (['NORMAL', 'NORMAL', 'NORMAL', 'ill'], {'NORMAL': ['Normal']})
    """
    counts = Counter(texts)
    spellings: dict[str, list[str]] = {}
    for text in sorted(sorted(counts), key=counts.__getitem__, reverse=True):
        spellings.setdefault(key(text), []).append(text)
    joined = {first: others for first, *others in spellings.values() if others}
    to = {other: first for first, others in joined.items() for other in others}
    return [to.get(text, text) for text in texts] if to else list(texts), joined


def joined_note(what: str, joined: dict[str, list[str]], count: int = 5) -> tuple[str, ...]:
    """Return a note on the spellings that ``unify`` joined, or nothing."""
    if not joined:
        return ()
    named = "; ".join(
        f"{' and '.join(map(repr, others))} as {first!r}" for first, others in list(joined.items())[:count]
    )
    more = f" and {len(joined) - count:,} more" if len(joined) > count else ""
    return (f"{what} that differ only in case, blanks, Unicode form or leading zeros are joined: {named}{more}",)


def numbers_note(mapped: Mapping[str, str]) -> str:
    """Return a note on labels that were read as numbers of classes."""
    named = ", ".join(f"{text} = {name}" for text, name in mapped.items())
    return f"the labels are read as numbers of classes, counted from 0: {named}"


def some(names: Iterable[object], count: int = 3) -> str:
    """Return the first few of some names, with commas, and how many there are more.

    Example:
        >>> some("abcde", 2)
        'a, b and 3 more'
    """
    listed = list(map(str, names))
    return ", ".join(listed[:count]) + (f" and {len(listed) - count:,} more" if len(listed) > count else "")
