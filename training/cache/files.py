"""The files of a cache: one data set decoded, with labels and rows beside it.

Layout of ``<folder>/<name>-<key>/``::

    images.npy     uint8 [N, H, W, C], uncompressed, never read whole
    targets.npy    float32 [N, labels]
    rows.csv       path, patient, split and the file's stamp (size, time, sha256), in the order of images.npy
    rejected.csv   path and stamp of every file left out, with the reason
    manifest.json  everything else; the folder is moved into place when it is whole: one that is there is complete
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Stamp
from medzoo.data.geometry import Geometry

FORMAT = 1  # of the folder's layout
STAMP = ("size", "mtime_ns", "sha256")
ROWS = ("path", "patient", "split", *STAMP)
REJECTED = ("path", *STAMP, "reason")


@dataclass(frozen=True, eq=False, kw_only=True)
class Cache(ImageDataset[NDArray[np.uint8]]):
    """A complete cache, opened.

    Its images are memory-mapped copy-on-write: writing to them does not change the file.

    Attributes:
        folder: Its folder.
        geometry: How the images were resized.
        manifest: What ``manifest.json`` says.
    """

    folder: Path
    geometry: Geometry
    manifest: dict[str, Any]


def open_cache(folder: Path) -> Cache:
    """Open a complete cache without checking the files it was made from.

    Args:
        folder: The cache's own folder.

    Raises:
        DataError: The folder holds no complete cache of this version.
    """
    try:
        manifest = read_manifest(folder / "manifest.json")
    except FileNotFoundError:
        raise DataError(f"{folder} is no complete cache (no manifest.json); run prepare again to resume it") from None
    if manifest["format"] != FORMAT:
        raise DataError(f"{folder} is of cache format {manifest['format']}, this is {FORMAT}; run prepare again")
    once: dict[str, str] = {}  # each patient's and split's text is kept once
    ids, patients, splits = list[str](), list[str](), list[str]()
    for path, patient, split, *_ in read_rows(folder / "rows.csv"):
        ids.append(path)
        patients.append(once.setdefault(patient, patient))
        splits.append(once.setdefault(split, split))
    geometry = Geometry(**manifest["geometry"])
    images = np.load(folder / "images.npy", mmap_mode="c")  # copy on write: torch takes no read-only array
    if images.shape != (len(ids), geometry.height, geometry.width, geometry.channels):
        raise DataError(f"{folder}: images.npy is {images.shape} for {len(ids)} rows; delete the folder and prepare")
    return Cache(
        folder=folder,
        name=manifest["name"],
        images=images,
        targets=np.load(folder / "targets.npy"),
        classes=tuple(manifest["classes"]),
        task=manifest["task"],
        patients=np.array(patients) if manifest["has_patients"] else None,
        splits=np.array(splits) if manifest["has_splits"] else None,
        ids=tuple(ids),
        geometry=geometry,
        manifest=manifest,
    )


def cells(stamp: Stamp) -> tuple[int, int, str]:
    return stamp.size, stamp.mtime_ns, stamp.sha256


def read_manifest(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write_manifest(path: Path, value: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


def read_rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows below the header, one at a time: a million of them take hundreds of megabytes."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines)
        yield from lines


def read_stamps(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, Stamp]]:
    """Yield the path and the stamp of each row."""
    at = columns.index(STAMP[0])
    for row in read_rows(path):
        yield row[0], Stamp(int(row[at]), int(row[at + 1]), row[at + 2])


def write_rows(path: Path, columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> None:
    new = path.with_suffix(".new")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    new.replace(path)
