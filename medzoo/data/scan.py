"""One pass over a folder: its images, its other folders, and what was left out and why."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medzoo.core.errors import UnreadableError
from medzoo.data.file_types import DOCUMENTS, IMAGE_SUFFIXES, ending, is_image_content, is_visible

NO_ENDING = "no ending"
_MASK = "masks?|seg|segmentations?|gt|ground[_ -]?truth|annotations?|annotated|labels?|overlay"
_MASK_AFTER = re.compile(rf"(.+?)[_ -](?:{_MASK})(?:[_ -]?\d+)?", re.IGNORECASE)
_MASK_BEFORE = re.compile(rf"(?:{_MASK})[_ -](.+)", re.IGNORECASE)
_MASK_FOLDER = re.compile(
    rf"(?:(?:lung|heart|tumou?r|lesion|nuclei|cell|manual|left|right|binary)[_ -]?)?(?:{_MASK})", re.IGNORECASE
)


@dataclass(frozen=True)
class Scan:
    """What lies below a folder.

    Attributes:
        images: Paths relative to the folder with forward slashes, sorted.
        folders: All folders that are neither hidden nor a system's, relative to it, sorted.
        skipped: How many files were left out, by ending (``"no ending"`` where there is none).
        unreadable: Folders and files that could not be opened, and why.
    """

    images: tuple[str, ...]
    folders: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()


def scan(root: Path, suffixes: frozenset[str] | None = None) -> Scan:
    """List the images below a folder, in an order that no platform changes.

    Hidden and system files and folders are left out; linked folders are entered, each once.

    Args:
        root: The folder to search.
        suffixes: Lower-case endings that make a file an image; by default the known ones, and the content decides of
            files with an ending that is not known or none.
    """
    images: list[str] = []
    folders: list[str] = []
    skipped: Counter[str] = Counter()
    unreadable: list[tuple[str, str]] = []
    entered = set()

    def failed(error: OSError) -> None:
        name = os.path.relpath(str(error.filename or root), root).replace(os.sep, "/")
        unreadable.append((name, f"{name}: cannot be opened ({error.strerror or error})"))

    for folder, below, files in os.walk(root, followlinks=True, onerror=failed):
        real = os.path.realpath(folder)
        if real in entered:  # a link back to where we have been
            below.clear()
            continue
        entered.add(real)
        below[:] = sorted(filter(is_visible, below))
        start = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if start == "." else f"{start}/"
        folders += [prefix + name for name in below]
        for name in filter(is_visible, files):
            suffix = ending(name)
            if suffix in (IMAGE_SUFFIXES if suffixes is None else suffixes):
                images.append(prefix + name)
                continue
            try:
                found = suffixes is None and suffix not in DOCUMENTS and is_image_content(os.path.join(folder, name))  # noqa: PTH118
            except OSError as error:
                failed(error)
                continue
            if found:
                images.append(prefix + name)
            else:
                skipped[suffix or NO_ENDING] += 1
    return Scan(tuple(sorted(images)), tuple(sorted(folders)), dict(skipped), tuple(unreadable))


def image_files(root: Path, suffixes: frozenset[str] | None = None) -> list[str]:
    """List the images below a folder, in an order that no platform changes; see ``scan``.

    Args:
        root: The folder to search.
        suffixes: As in ``scan``.

    Returns:
        Paths relative to ``root`` with forward slashes, sorted.

    Raises:
        UnreadableError: A folder below cannot be opened.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     _ = Path(name, "b.PNG").write_bytes(b"")
        ...     _ = Path(name, ".hidden.png").write_bytes(b"")
        ...     image_files(Path(name))
        ['b.PNG']
    """
    found = scan(root, suffixes)
    refuse_unreadable(root, found)
    return list(found.images)


def refuse_unreadable(root: Path, found: Scan) -> None:
    """Refuse a folder of which parts cannot be opened.

    Raises:
        UnreadableError: There are such parts; the error lists them.
    """
    if found.unreadable:
        raise UnreadableError(
            f"{root}: {len(found.unreadable):,} folders or files cannot be opened (first: {found.unreadable[0][1]});"
            " give yourself the right to read them, or move them out",
            found.unreadable,
        )


def left_out(skipped: Mapping[str, int]) -> tuple[str, ...]:
    """Return a note on the files that were left out by their ending; documents are not worth a word.

    Example:
        >>> left_out({".ima": 6, ".nii": 2, ".txt": 1})
        ('8 files left out, as they are no images that can be read: .ima 6, .nii 2',)
    """
    counts = {name: count for name, count in sorted(skipped.items()) if name not in DOCUMENTS}
    if not counts:
        return ()
    named = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return (f"{sum(counts.values()):,} files left out, as they are no images that can be read: {named}",)


def find_masks(images: Iterable[str]) -> set[str]:
    """Find the images that are masks of others: ``x_mask.png`` beside ``x.png``, ``masks/x.png`` beside ``images/``.

    A name alone makes no mask: there must be an image that it is the mask of.

    Args:
        images: Relative paths with forward slashes.

    Example:
        >>> sorted(find_masks(["a/x.png", "a/x_mask.png", "a/y_mask.png", "a/masks/x.png"]))
        ['a/masks/x.png', 'a/x_mask.png']
    """
    split = {path: _split(path) for path in images}
    by_folder: dict[str, set[str]] = {}
    for folder, stem in split.values():
        by_folder.setdefault(folder, set()).add(stem)
    masks = {path for path, (folder, stem) in split.items() if _of(stem) & by_folder[folder]}
    mask_folders = {folder: top for folder in by_folder if (top := _above_masks(folder)) is not None}
    stems: dict[str, set[str]] = {top: set() for top in mask_folders.values()}
    for folder, names in by_folder.items():
        if folder not in mask_folders:
            parts = folder.split("/") if folder else []
            for depth in range(len(parts) + 1):
                if (top := "/".join(parts[:depth])) in stems:
                    stems[top] |= names
    for path, (folder, stem) in split.items():
        if folder in mask_folders and ({stem} | _of(stem)) & stems[mask_folders[folder]]:
            masks.add(path)
    return masks


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, os.path.splitext(name)[0].lower()  # noqa: PTH122


def _of(stem: str) -> set[str]:
    """The stems of the images that a file of this stem may be the mask of."""
    return {found[1] for pattern in (_MASK_AFTER, _MASK_BEFORE) if (found := pattern.fullmatch(stem))}


def _above_masks(folder: str) -> str | None:
    """The folder above a folder of masks; ``None`` where there is none in the path."""
    parts = folder.split("/")
    place = next((i for i, part in enumerate(parts) if _MASK_FOLDER.fullmatch(part)), None)
    return None if place is None else "/".join(parts[:place])
