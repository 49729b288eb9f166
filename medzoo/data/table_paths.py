"""The paths in a table -> files on disk; for those that are missing, why, and which file may be meant."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from medzoo.core.errors import DataError, UnreadableError
from medzoo.data.file_types import is_visible
from medzoo.data.normalize import clean, is_missing

_DRIVE = re.compile(r"([A-Za-z]:)[\\/]|\\\\[^\\/]+[\\/]")
_SEARCHED = 300_000  # files below the root among which a missing one is sought
_SIMILAR = 20  # missing files for which one of a similar name is sought


@dataclass(frozen=True)
class Found:
    """The rows of a table whose images are on disk.

    Attributes:
        rows: Which rows.
        paths: The path of each, relative to the root with forward slashes, as it is on disk.
        missing: The path of each other row as it is in the table, and why it is left out.
        notes: What was read in another form than it is written in.
    """

    rows: list[int]
    paths: list[str]
    missing: list[tuple[str, str]]
    notes: tuple[str, ...] = ()


def find_files(
    where: str, texts: Sequence[str], root: Path, at: Callable[[int], str], skip_missing: bool = False
) -> Found:
    """Find the images that a table lists.

    A path may be relative to the root or absolute, with either slash, with blanks around it and in any Unicode form.

    Args:
        where: The table, for errors.
        texts: N paths.
        root: The folder they are relative to.
        at: Returns where a row stands.
        skip_missing: Leave out rows without a file; else they are an error.

    Raises:
        UnreadableError: Images are missing; the error lists all of them, with reasons.
        DataError: An image is listed twice.
    """
    if not root.is_dir():
        raise DataError(f"{where}: no folder {root}; give the folder that the paths are relative to as root")
    top = os.path.join(root.absolute(), "")  # noqa: PTH118
    rows, paths, missing, other = [], [], [], 0
    seen: dict[str, int] = {}
    folded: dict[str, str] = {}
    for row, text in enumerate(texts):
        path = _existing(text, top)
        if path is None:
            missing.append(row)
            continue
        same = folded.setdefault(path.casefold(), path)
        if path in seen or (same != path and Path(top + same).samefile(top + path)):
            raise DataError(f"{where}: {path} stands in {at(seen[same])} and {at(row)}; remove one")
        seen[path] = row
        rows.append(row)
        paths.append(path)
        other += path not in text.replace("\\", "/")
    if missing:
        reasons = _Reasons(top)
        explained = [(texts[row], f"{at(row)}: {texts[row]!r}: {reasons.why(texts[row])}") for row in missing]
        if not skip_missing or not rows:
            raise UnreadableError(
                f"{where}: {len(missing):,} of {len(texts):,} images are not below {root} (first: {explained[0][1]});"
                f" {reasons.advice(len(missing)) or 'give the folder they are relative to as root'}, or remove their"
                " lines",
                explained,
            )
        missing_rows = explained
    else:
        missing_rows = []
    notes = (f"{other:,} paths are read in the Unicode form, or without the blanks, of the file",) if other else ()
    return Found(rows, paths, missing_rows, notes)


def _existing(text: str, top: str) -> str | None:
    """The path below the root of the file meant; ``None`` where there is none."""
    if _plain(text) and _is_file(top + text):
        return text
    for form in _forms(text):
        if form and (path := _below(form, top)) is not None and _is_file(top + path):
            return path
    return None


def _plain(text: str) -> bool:
    """Whether a text is a relative path without anything to resolve."""
    return bool(text) and "\\" not in text and "//" not in text and "./" not in text and text[0] != "/" and text != "."


def _forms(text: str) -> Iterator[str]:
    """Forms in which a path may be meant."""
    for spelled in dict.fromkeys((text, text.strip(), clean(text))):
        for slashed in dict.fromkeys((spelled, spelled.replace("\\", "/"))):
            for form in ("NFC", "NFD"):
                normal = unicodedata.normalize(form, slashed)
                yield slashed
                yield normal
                if "\\" not in spelled[:2] or not _DRIVE.match(spelled):
                    yield normal.lstrip("/")  # a table that takes the root for "/"


def _below(text: str, top: str) -> str | None:
    """A path relative to the root with forward slashes; ``None`` where it leads out of it."""
    if Path(text).is_absolute():
        for start in dict.fromkeys((top, os.path.join(os.path.realpath(top), ""))):  # noqa: PTH118
            normal = os.path.normpath(text)
            if normal.startswith(start):
                return normal[len(start) :].replace(os.sep, "/")
        return None
    path = posixpath.normpath(text.replace(os.sep, "/"))
    return None if path == ".." or path.startswith("../") else path


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 (twice as fast, for each of 100,000 rows)
    except (OSError, ValueError):
        return False


class _Reasons:
    """Why files are missing, and which may be meant, among those below a folder."""

    def __init__(self, top: str) -> None:
        self._top = top
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._kinds: Counter[str] = Counter()
        self._prefixes: Counter[str] = Counter()
        for path in islice(_files_below(top), _SEARCHED):
            name = _key(path.rpartition("/")[2])
            self._by_name.setdefault(name, []).append(path)
            self._by_stem.setdefault(posixpath.splitext(name)[0], []).append(path)
        self._similar = 0

    def why(self, text: str) -> str:
        """Return why a path is missing, with the nearest file."""
        if is_missing(text):
            return "it holds no path"
        path = posixpath.normpath(clean(text).replace("\\", "/"))
        name = _key(path.rpartition("/")[2])
        drive = _DRIVE.match(text.strip())
        out = path.startswith(("../", "/")) or path == ".."
        begin = (
            f"a path of another computer ({drive[1] or 'a network share'}); "
            if drive
            else "no path below the root; "
            if out
            else ""
        )
        if not drive and not out and os.path.isdir(self._top + path):  # noqa: PTH112
            return "a folder, not a file"
        if found := self._by_name.get(name):
            return begin + self._named_alike(path, self._nearest(found, path))
        stems = self._by_stem.get(name) or self._by_stem.get(posixpath.splitext(name)[0])
        if stems:
            near = self._nearest(stems, path)
            self._kinds["ending"] += 1
            return f"{begin}the ending differs: there is {near!r}"
        if self._similar < _SIMILAR:
            self._similar += 1
            alike = (known for known in islice(self._by_name, 20_000) if _numbers(known) == _numbers(name))
            if close := difflib.get_close_matches(name, list(alike), n=1, cutoff=0.75):
                return f"{begin}no such file; did you mean {self._nearest(self._by_name[close[0]], path)!r}?"
        return f"{begin}no such file"

    def advice(self, missing: int) -> str:
        """Return what would mend most of them; an empty text where nothing would."""
        (prefix, count), *_ = self._prefixes.most_common(1) or [("", 0)]
        if count * 2 > missing:
            return f"give root={self._top + prefix}"
        kind, count = (self._kinds.most_common(1) or [("", 0)])[0]
        return f"write the {kind} of the names as it is on disk" if count * 2 > missing else ""

    def _named_alike(self, path: str, near: str) -> str:
        if near.casefold() == path.casefold():
            self._kinds["case"] += 1
            return f"upper and lower case differ: there is {near!r}"
        if _key(near) == _key(path):
            return f"blanks or the Unicode form differ: there is {near!r}"
        if near.endswith("/" + path.lstrip("./")):
            self._prefixes[near[: -len(path.lstrip("./")) - 1]] += 1
        return f"it lies elsewhere: there is {near!r}"

    @staticmethod
    def _nearest(found: list[str], path: str) -> str:
        """The file whose path shares the longest end with the one sought."""
        return max(found, key=lambda near: (_shared_end(near.casefold(), path.casefold()), -len(near)))


def _shared_end(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(reversed(one), reversed(other), strict=False)) if a != b), len(other))


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", clean(text)).casefold()


def _numbers(name: str) -> list[int]:
    """The numbers in a name: a file of other numbers is another image, however similar its name is."""
    return [int(number) for number in re.findall(r"[0-9]+", name)]


def _files_below(top: str) -> Iterator[str]:
    for folder, below, files in os.walk(top):
        below[:] = sorted(filter(is_visible, below))
        for name in sorted(filter(is_visible, files)):
            yield os.path.relpath(os.path.join(folder, name), top).replace(os.sep, "/")  # noqa: PTH118
