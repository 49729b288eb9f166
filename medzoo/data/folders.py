"""A folder of class folders, and what counts as an image in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from medzoo.core.errors import DataError
from medzoo.data.dataset import Files, ImageDataset, Records
from medzoo.data.image_io import SUFFIXES
from medzoo.data.labels import exclusive
from medzoo.data.splits import split_of

IMAGE_SUFFIXES = frozenset(SUFFIXES)


def image_files(root: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> list[str]:
    """List the images below a folder, in an order that no platform changes.

    Hidden files and folders (a leading dot) and ``__MACOSX`` are left out; linked folders are
    entered, each once.

    Args:
        root: The folder to search.
        suffixes: Lower-case endings that make a file an image.

    Returns:
        Paths relative to ``root`` with forward slashes, sorted.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     _ = Path(name, "b.PNG").write_bytes(b"")
        ...     _ = Path(name, ".hidden.png").write_bytes(b"")
        ...     image_files(Path(name))
        ['b.PNG']
    """
    found = []
    entered = set()
    for folder, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:  # a link back to where we have been
            below.clear()
            continue
        entered.add(real)
        below[:] = [name for name in below if _visible(name)]
        start = Path(folder).relative_to(root).as_posix()
        prefix = "" if start == "." else f"{start}/"
        found += [prefix + name for name in files if _visible(name) and _suffix(name) in suffixes]
    return sorted(found)


def read_folder(root: str | Path, *, task: str | None = None, classes: Sequence[str] | None = None) -> Records:
    """Read a folder of class folders, or of ``train``/``val``/``test`` folders of class folders.

    Args:
        root: The folder. Each folder in it is a class; images may lie at any depth below it. Where all of them are
            named like splits, they are the data set's own split.
        task: ``"ordinal"`` for class folders named 0, 1, ... in the order of severity; by default
            ``"binary"`` for two classes, else ``"multiclass"``.
        classes: All classes, in their order (grades with names: from the mildest); by default the folders' names.

    Returns:
        A data set named after the folder; classes in alphabetical (integers: numerical) order.

    Raises:
        DataError: There is no such folder, no class folder, a class without images, one class only,
            or the class names do not fit the task.

    Example:
        >>> read_folder("/nowhere")
        Traceback (most recent call last):
        medzoo.core.errors.DataError: no folder /nowhere; expected one with a folder of images for each class
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"no folder {root}; expected one with a folder of images for each class")
    tops = _folders(root)
    parts = {top: split for top in tops if (split := split_of(top))}
    if len(parts) < len(tops) or not tops:
        parts = {"": ""}
    rows = [
        (str(PurePosixPath(part, label, path)), label, split)
        for part, split in parts.items()
        for label in _folders(root / part)
        for path in _class_images(root / part / label)
    ]
    if not rows:
        raise DataError(f"{root} has no class folders; expected {root / '<class>' / '<image>'} for two or more classes")
    paths, names, splits = zip(*sorted(rows), strict=True)
    found = exclusive(str(root), names, task, classes, at=lambda i: paths[i])
    return ImageDataset(
        name=root.resolve().name,
        images=Files(root, paths),
        ids=paths,
        targets=found.targets,
        classes=found.classes,
        task=found.task,
        splits=np.array(splits) if any(splits) else None,
        notes=(*found.notes, *_loose(root, parts)),
    )


def _class_images(folder: Path) -> list[str]:
    found = image_files(folder)
    if not found:
        raise DataError(
            f"class folder {folder} holds no image; put images there or remove it"
            f" (known endings: {' '.join(sorted(IMAGE_SUFFIXES))})"
        )
    return found


def _loose(root: Path, parts: Iterable[str]) -> tuple[str, ...]:
    """A note on images that lie in no class folder."""
    names = [name for part in parts for name in os.listdir(root / part)]  # noqa: PTH208
    count = sum(_visible(name) and _suffix(name) in IMAGE_SUFFIXES for name in names)
    return (f"{count:,} images beside the class folders are left out",) if count else ()


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of 100,000 names is slow)


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if _visible(entry.name) and entry.is_dir())
