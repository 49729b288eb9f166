"""Images that are the same file content under several names, found without reading what cannot be a copy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.normalize import some

_SAMPLE = 4096  # bytes read of files of one size, before any is read whole
_MANY = 0.1  # from this share of contradicting images on, a set is refused


def same_content(root: Path, paths: Sequence[str], labels: Sequence[Hashable]) -> list[list[int]]:
    """Find files of the same content with different labels: by size, then a sample from the middle, then a hash.

    Args:
        root: The folder that the paths are relative to.
        paths: N relative paths; a file that cannot be read is a copy of none.
        labels: N labels.

    Returns:
        The rows of each content that carries more than one label.
    """
    groups: list[list[int]] = [list(range(len(paths)))]
    keys: tuple[Callable[[str], Hashable], ...] = (_size, _sample, _digest)
    for key in keys:
        groups = [part for group in groups for part in _divided(root, paths, group, key, labels)]
    return sorted(groups)


def contradictions(where: str, root: Path, paths: Sequence[str], targets: NDArray[np.float32]) -> tuple[str, ...]:
    """Return a note on images of the same content in several classes.

    Raises:
        DataError: They are a tenth of the images or more.
    """
    groups = same_content(root, paths, [row.tobytes() for row in targets])
    if not groups:
        return ()
    count = sum(map(len, groups))
    pairs = some((" = ".join(paths[i] for i in group) for group in groups), 2)
    message = f"{count:,} images are the same file in different classes: {pairs}"
    if count >= _MANY * len(paths):
        raise DataError(f"{where}: {message}; leave each in one class")
    return (message,)


def _divided(
    root: Path, paths: Sequence[str], group: Iterable[int], key: Callable[[str], Hashable], labels: Sequence[Hashable]
) -> list[list[int]]:
    """Divide rows by a property of their files; keep the parts with more than one label."""
    parts: dict[Hashable, list[int]] = {}
    for row in group:
        try:
            parts.setdefault(key(os.path.join(root, paths[row])), []).append(row)  # noqa: PTH118
        except OSError:  # decoding names it
            continue
    parts.pop(0, None)  # empty files
    return [rows for rows in parts.values() if len(rows) > 1 and len({labels[row] for row in rows}) > 1]


def _size(path: str) -> int:
    return os.stat(path).st_size  # noqa: PTH116


def _sample(path: str) -> bytes:
    with open(path, "rb") as stream:  # noqa: PTH123
        stream.seek(max(0, os.fstat(stream.fileno()).st_size // 2 - _SAMPLE // 2))
        return stream.read(_SAMPLE)


def _digest(path: str) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:  # noqa: PTH123
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return digest.digest()
