"""What a tree of folders means: which are classes, which are splits, and which of the two cannot be told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medzoo.core.errors import DataError
from medzoo.data.folder_tree import Folder, build, format_tree
from medzoo.data.normalize import is_missing, name_key, some
from medzoo.data.splits import split_of

# Folders that lie beside class folders and hold no image: left out without asking.
_ASIDE = re.compile(
    r"docs?|documentation|info|meta ?data|readme|licen[cs]es?|scripts?|code|src|notebooks?|annotations?|csvs?|tables?"
    r"|lists?|logs?|results?|outputs?|models?|checkpoints?|weights|misc|other",
    re.IGNORECASE,
)
# Folders that divide a set into parts, never into classes, where all of them hold the same folders.
_PARTS = re.compile(
    r"(k?fold|cv|part|chunk|batch|site|cent(er|re)|hospital|cohort|group|set|split)s?[ _-]?\w{0,3}", re.IGNORECASE
)


@dataclass(frozen=True)
class Layout:
    """What the folders of a data set mean.

    Attributes:
        rows: Path, class and split (an empty text for none) of each image.
        notes: What was assumed, in words.
        beside: Images that lie in no class folder.
        aside: Images in folders that are no part of the set (a copy of it).
    """

    rows: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...] = ()
    beside: int = 0
    aside: int = 0


def read_layout(where: str, images: Iterable[str], folders: Iterable[str], named: Sequence[str] = ()) -> Layout:
    """Tell classes from splits.

    Args:
        where: The folder, for errors.
        images: Relative paths with forward slashes.
        folders: All folders below, relative.
        named: Classes that the user has named: those may be named like a split.

    Raises:
        DataError: It cannot be told which folders are the classes; the error shows the tree and says what to do.
    """
    return _Reading(where, frozenset(named)).read(build(images, folders))


class _Reading:
    def __init__(self, where: str, named: frozenset[str]) -> None:
        self.where, self.named = where, named
        self.notes: list[str] = []
        self.beside = self.aside = 0

    def read(self, root: Folder) -> Layout:
        inner = self._unwrapped(root)
        tops = inner.filled
        splits = {name: folder for name, folder in tops.items() if self._split(name)}
        if splits:
            rows = self._split_first(inner, tops, splits)
        elif tops and all(self._holds_splits(folder) for folder in tops.values()):
            rows = self._class_first(inner)
        else:
            rows = [(path, name, "") for name, path in self._classes(inner, [inner])]
        return Layout(tuple(sorted(rows)), tuple(self.notes), self.beside, self.aside)

    def _split(self, name: str) -> str:
        return "" if name in self.named else split_of(name)

    def _holds_splits(self, folder: Folder) -> bool:
        return not folder.images and bool(folder.filled) and all(map(self._split, folder.filled))

    def _fail(self, root: Folder, what: str) -> DataError:
        return DataError(f"{self.where}: {what} [{format_tree(root)}]")

    def _unwrapped(self, root: Folder) -> Folder:
        """The folder of split or class folders, below folders that hold nothing but one another."""
        inner = root
        while not inner.images and len(inner.filled) == 1:
            (name, only), *_ = inner.filled.items()
            if self._split(name) or only.images:
                break
            if not any(map(self._split, only.filled)) and len(only.filled) > 1:
                raise self._fail(
                    only,
                    f"it holds one folder, {only.path}, which holds {some(sorted(only.filled))}: if those are the"
                    f" classes, give {self.where}/{only.path}; else put the images of each class into a folder beside"
                    f" {name}",
                )
            if not only.filled:
                break
            inner = only
        if inner is not root and any(map(self._split, inner.filled)):
            self.notes.append(f"the splits are the folders of {inner.path}")
            return inner
        return root

    def _split_first(
        self, root: Folder, tops: dict[str, Folder], splits: dict[str, Folder]
    ) -> list[tuple[str, str, str]]:
        """``train/<class>/...``; what lies beside the splits is a copy, holds no image, or is refused."""
        others = {name: folder for name, folder in tops.items() if name not in splits}
        copies = [name for name, folder in others.items() if self._is_copy(folder, splits)]
        rest = [name for name in others if name not in copies]
        names = " and ".join(sorted(splits))
        if rest:
            raise self._fail(
                root,
                f"{names} {'are named like splits' if len(splits) > 1 else 'is named like a split'}, beside"
                f" {some(sorted(rest))}: move out what is no split, or rename it train, val or test; if"
                f" {names} {'are classes' if len(splits) > 1 else 'is a class'}, name all classes with classes=[...]",
            )
        if not any(folder.filled for folder in splits.values()):
            raise self._fail(
                root, f"has no class folders in {names}; expected <split>/<class>/<image> for two or more classes"
            )
        for name in copies:
            count = sum(1 for _ in others[name].all_images())
            self.aside += count
            self.notes.append(f"{name} holds the same splits again: its {count:,} images are left out")
        if root.images:
            self.beside += len(root.images)
            self.notes.append(f"{len(root.images):,} images beside the splits are left out")
        empty = sorted(set(root.below) - set(tops))
        if any(map(self._split, empty)):
            self.notes.append(f"no image lies in {some(name for name in empty if self._split(name))}")
        inner = self._common_wrapper(list(splits.values()))
        split_of_path = {folder.path: self._split(name) for name, folder in splits.items()}
        rows = []
        for name, path in self._classes(root, inner):
            top = next(top for top in split_of_path if path.startswith(f"{top}/"))
            rows.append((path, name, split_of_path[top]))
        return rows

    def _is_copy(self, folder: Folder, splits: Iterable[str]) -> bool:
        """Whether a folder beside the splits holds the same splits, as archives unpack."""
        while not folder.images and len(folder.filled) == 1 and not any(map(self._split, folder.filled)):
            folder = next(iter(folder.filled.values()))
        found = {self._split(name) for name in folder.filled} - {""}
        return bool(found) and found <= set(map(self._split, splits))

    def _common_wrapper(self, splits: list[Folder]) -> list[Folder]:
        """Each split's folder of class folders, where all of them hold one folder of the same name around it."""
        while True:
            names = {name for split in splits for name in split.filled}
            inner = [folder for split in splits for folder in split.filled.values()]
            wrapped = all(not split.images for split in splits) and all(f.filled and not f.images for f in inner)
            if len(names) != 1 and not all(self._split(name) for name in names):
                return splits
            if not wrapped or len(inner) != len(splits):
                return splits
            self.notes.append(f"the classes are the folders of {some(folder.path for folder in inner)}")
            splits = inner

    def _class_first(self, root: Folder) -> list[tuple[str, str, str]]:
        """``<class>/train/...``."""
        self.notes.append("the splits are the folders in each class folder")
        by_path = {
            split.path: self._split(name) for folder in root.filled.values() for name, split in folder.filled.items()
        }
        rows = []
        for name, path in self._classes(root, [root], checked=False):
            rows.append((path, name, by_path["/".join(path.split("/")[: root.path.count("/") + bool(root.path) + 2])]))
        return rows

    def _classes(self, root: Folder, tops: list[Folder], checked: bool = True) -> list[tuple[str, str]]:
        """The class and path of each image in the class folders of some folders (the root, or each split)."""
        filled: dict[str, list[Folder]] = {}
        for top in tops:
            for name, folder in top.filled.items():
                filled.setdefault(name, []).append(folder)
        if not filled:
            raise DataError(
                f"{self.where} has no class folders; expected {self.where}/<class>/<image> for two or more classes"
                + (f" [{format_tree(root)}]" if root.below else "")
            )
        self._check_names(root, filled)
        for top in tops:
            self._check_empty(top, filled)
            if top.images:
                self.beside += len(top.images)
                at = f" of {top.path}" if top.path else ""
                self.notes.append(f"{len(top.images):,} images beside the class folders{at} are left out")
            if checked:
                self._check_siblings(top)
        return [(name, path) for name, folders in filled.items() for folder in folders for path in folder.all_images()]

    def _check_names(self, root: Folder, filled: Iterable[str]) -> None:
        for name in sorted(filled):
            if self._split(name):
                raise self._fail(
                    root,
                    f"the class folder {name} is named like a split: move its class folders one level up, or name all"
                    " classes with classes=[...]",
                )
            if is_missing(name, ambiguous=False):
                raise self._fail(
                    root,
                    f"the class folder {name!r} is named like a missing value; leave it out, or rename it to a class",
                )

    def _check_empty(self, top: Folder, filled: Iterable[str]) -> None:
        known = set(map(name_key, filled))
        for name, folder in sorted(top.below.items()):
            if name in top.filled or name_key(name) in known or _ASIDE.fullmatch(name.replace("_", " ")):
                continue
            raise DataError(
                f"class folder {self.where}/{folder.path} holds no image that can be read; put images there or remove"
                " it"
            )

    def _check_siblings(self, top: Folder) -> None:
        """Refuse class folders that hold one another's names, splits, or nothing but the same folders."""
        filled = top.filled
        keys = {name_key(name): name for name in filled}
        inner = {name: {name_key(below): below for below in folder.filled} for name, folder in filled.items()}
        for name, below in inner.items():
            again = sorted(below[key] for key in below if key in keys and keys[key] != name)
            if again:
                raise self._fail(
                    top,
                    f"the class folder {name} holds folders named like its siblings ({some(again)}): it may be a copy"
                    f" of the set; move it out, or give {self.where}/{filled[name].path} alone",
                )
            splits = sorted(below for below in filled[name].filled if self._split(below))
            if splits:
                raise self._fail(
                    top,
                    f"the class folder {name} holds folders named like splits ({some(splits)}): give"
                    f" {self.where}/{filled[name].path} alone if it is the whole set, else make it"
                    " <split>/<class>/<image>",
                )
        shared = set.intersection(*map(set, inner.values())) if len(inner) > 1 else set()
        if len(shared) < 2 or any(set(below) != shared for below in inner.values()):
            return
        names = some(sorted(next(iter(inner.values())).values()))
        if all(_PARTS.fullmatch(name) for name in filled):
            raise self._fail(
                top,
                f"{some(sorted(filled))} hold the same folders, {names}, and are named like parts of a set: give one"
                " of them, name them train, val and test, or list the images in a table",
            )
        self.notes.append(
            f"each of the class folders {some(sorted(filled))} holds {names}: if those are the classes, list the images"
            " in a table"
        )
