"""Decode a data set once: images as one memory-mapped uint8 array, with labels and rows beside it.

The files are described in ``training.cache.files``.

**Key.** A hash of the request (paths, labels, patients, splits, geometry, decoder version: the *plan*) and of the
sha256 of every file. Hashing a large set at each call would take minutes, so a file is hashed while it is decoded, and
again only if its size, time or path has changed: the usual call costs one ``stat`` per file. A file that was only
touched or copied keeps the cache valid; one changed byte makes a new cache, which reuses the unchanged images.

**Resume.** Work is resumed in ``<name>-<plan>.partial/`` (see ``training.cache.staging``): a run killed at any point
loses less than a batch, and an image whose file has changed since is decoded again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from filelock import FileLock
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0
from numpy.typing import NDArray

from medzoo.core.atomic import needing_room
from medzoo.core.cluster import Cluster
from medzoo.core.errors import DataError
from medzoo.data.dataset import Files, Records
from medzoo.data.decoding import Decoded, Progress, Stamp, decode_each, full_stamp, quick_stamp
from medzoo.data.geometry import Geometry
from medzoo.data.image_io import DECODE_VERSION
from training.cache.files import (
    FORMAT,
    REJECTED,
    ROWS,
    STAMP,
    Cache,
    cells,
    open_cache,
    read_manifest,
    read_rows,
    read_stamps,
    write_manifest,
    write_rows,
)
from training.cache.slices import decode_on_cluster
from training.cache.staging import Staging

_STAMPED = {"rows.csv": ROWS, "rejected.csv": REJECTED}
_PIECE = 10_000  # values

__all__ = ["Cache", "open_cache", "prepare"]


def prepare(
    records: Records,
    geometry: Geometry,
    folder: Path,
    *,
    max_rejected: int = 0,
    progress: Progress | None = None,
    jobs: int | None = None,
    cluster: Cluster | None = None,
) -> Cache:
    """Decode a data set, or open the cache of an earlier call.

    Args:
        records: The data set.
        geometry: The size and channels to keep.
        folder: The folder that holds the caches. Old ones are not removed.
        max_rejected: How many unreadable images may be left out. All of them are listed in ``rejected.csv`` either way.
        progress: Called with (done, total) images.
        jobs: Threads; by default one for each available core.
        cluster: Workers that see ``folder`` and the files, and decode instead of this process. The cache is the same,
            byte for byte.

    Raises:
        DataError: More images than allowed cannot be read. What was decoded is kept for the next call.
        DiskFullError: There is no room. What was decoded is kept for the next call.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from medzoo.data.dataset import Files, ImageDataset
        >>> from medzoo.data.tasks import one_hot
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("a.png", "b.png"):
        ...         Image.new("L", (64, 64)).save(Path(root) / name)
        ...     files = Files(Path(root), ("a.png", "b.png"))
        ...     records = ImageDataset("tiny", files, files.paths, one_hot([0, 1], 2), ("no", "yes"), "binary")
        ...     prepare(records, Geometry(8, 8, channels=1), Path(root) / "cache").images.shape
        (2, 8, 8, 1)
    """
    plan = _plan(records, geometry)
    slug = re.sub(r"[^\w.-]+", "_", records.name)
    partial = folder / f"{slug}-{_short_hash([plan, str(records.images.root.resolve())])}.partial"
    # If two processes need the same cache, one waits for the other.
    with needing_room(folder), _locked(folder / f".{slug}-{plan}.lock"):
        complete = [found.parent for found in sorted(folder.glob(f"{slug}-*/manifest.json"))]
        for found in complete:
            if read_manifest(found / "manifest.json")["plan"] == plan and _is_current(found, records):
                shutil.rmtree(partial, ignore_errors=True)
                _check_rejected(found, len(records), max_rejected)
                return open_cache(found)
        with Staging(partial, len(records), geometry) as staging:
            rejected = _fill(staging, records, geometry, complete, progress, jobs, cluster)
        write_rows(
            partial / "rejected.csv",
            REJECTED,
            ((records.ids[r.index], *cells(r.stamp), r.reason) for r in rejected),
        )
        _check_rejected(partial, len(records), max_rejected)
        made = _finish(staging, records, geometry, plan, folder / slug)
        del staging  # before the cache is opened, for their memory
        return open_cache(made)


def _locked(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def _plan(records: Records, geometry: Geometry) -> str:
    """Return a hash of everything that is known before a file is read."""
    known = [FORMAT, DECODE_VERSION, records.name, records.task, geometry.to_dict(), records.ids, records.classes]
    return _short_hash(_json([*known, records.patients, records.splits]), np.ascontiguousarray(records.targets).data)


def _is_current(folder: Path, records: Records) -> bool:
    """Return whether all files are unchanged; only those whose size, time or path differs are read."""
    manifest, here = read_manifest(folder / "manifest.json"), str(records.images.root.resolve())
    touched: dict[str, Stamp] = {}
    for name, columns in _STAMPED.items():
        for path, was in read_stamps(folder / name, columns):
            file = records.images.root / path
            # Size and time identify a file only at the path from which it was read.
            if manifest["root"] == here and quick_stamp(file).quick == was.quick:
                continue
            now = full_stamp(file)
            if now.sha256 != was.sha256:
                return False
            touched[path] = now
    if touched:  # the same bytes with another time or path: save that, so that they are not read again
        for name, columns in _STAMPED.items():
            write_rows(folder / name, columns, _restamped(folder / name, columns, touched))
        write_manifest(folder / "manifest.json", {**manifest, "root": here})
    return True


def _restamped(file: Path, columns: tuple[str, ...], stamps: dict[str, Stamp]) -> Iterator[list[object]]:
    at = columns.index(STAMP[0])
    for row in read_rows(file):
        stamp = cells(stamps[row[0]]) if row[0] in stamps else row[at : at + len(STAMP)]
        yield [*row[:at], *stamp, *row[at + len(STAMP) :]]


def _check_rejected(folder: Path, total: int, allowed: int) -> None:
    rejected = list(read_rows(folder / "rejected.csv"))
    if len(rejected) > allowed:
        first = "; ".join(row[-1] for row in rejected[:3]) + ("; ..." if len(rejected) > 3 else "")
        raise DataError(
            f"{len(rejected)} of {total} images cannot be read, {allowed} allowed: {first}\n"
            f"All are listed in {folder / 'rejected.csv'}: repair them, or allow more (max_rejected); the rest is kept."
        )


def _fill(
    staging: Staging,
    records: Records,
    geometry: Geometry,
    older: list[Path],
    progress: Progress | None,
    jobs: int | None,
    cluster: Cluster | None,
) -> list[Decoded]:
    """Fill in every image: those staged already, those of older caches, the rest decoded now."""
    files, total = records.images, len(records)
    quick = chain.from_iterable(quick_stamp(path).quick for path in files)
    now = np.fromiter(quick, np.int64, 2 * total).reshape(total, 2)
    staging.stamps.keep(now)
    if older and len(staging.stamps) < total:
        missing = {records.ids[i]: i for i in staging.stamps.missing}
        for image, path, stamp in _older_images(older, records, geometry):
            if path in missing and tuple(now[missing[path]]) == stamp.quick:
                staging.put(missing.pop(path), image, stamp)
        staging.commit()
    rows = staging.stamps.missing
    if cluster is None:
        decoded = _decode_here(staging, files, rows, geometry, jobs)
    else:
        decoded = decode_on_cluster(staging, files, rows, geometry, cluster)
    rejected = []
    if progress:
        progress(total - len(rows), total)
    for done, item in enumerate(decoded, total - len(rows) + 1):
        if item.reason:
            rejected.append(item)
        if progress:
            progress(done, total)
    return sorted(rejected, key=lambda item: item.index)


def _decode_here(
    staging: Staging, files: Files, rows: list[int], geometry: Geometry, jobs: int | None
) -> Iterator[Decoded]:
    for item in decode_each(files, geometry, indices=rows, jobs=jobs):
        if item.image is not None:
            staging.put(item.index, item.image, item.stamp)
        yield item


def _older_images(
    caches: list[Path], records: Records, geometry: Geometry
) -> Iterator[tuple[NDArray[np.uint8], str, Stamp]]:
    """Yield images of older caches, made from the same folder in the same way."""
    same = {"format": FORMAT, "decode_version": DECODE_VERSION, "geometry": geometry.to_dict()}
    same["root"] = str(records.images.root.resolve())
    for folder in caches:
        manifest = read_manifest(folder / "manifest.json")
        if all(manifest.get(key) == value for key, value in same.items()):
            images = np.load(folder / "images.npy", mmap_mode="r")
            for image, (path, stamp) in zip(images, read_stamps(folder / "rows.csv", ROWS), strict=True):
                yield image, path, stamp


def _finish(staging: Staging, records: Records, geometry: Geometry, plan: str, prefix: Path) -> Path:
    """Write the files beside the images, and move the folder into place."""
    kept = sorted(staging.stamps)
    if not kept:
        raise DataError(f"data set {records.name}: none of its {len(records)} images can be read")
    some = records if len(kept) == len(records) else records.take(kept)
    final = staging.finish(kept)
    targets = np.ascontiguousarray(some.targets)
    with (final / "targets.npy").open("wb") as file:  # by Python, which says when the disk is full; numpy does not
        write_array_header_1_0(file, header_data_from_array_1_0(targets))
        file.write(targets.data)
    blank = [""] * len(kept)
    patients = blank if some.patients is None else some.patients
    splits = blank if some.splits is None else some.splits
    rows = zip(some.ids, patients, splits, map(cells, staging.stamps.values()), strict=True)
    write_rows(final / "rows.csv", ROWS, ((path, patient, split, *stamp) for path, patient, split, stamp in rows))
    shutil.copyfile(staging.folder / "rejected.csv", final / "rejected.csv")
    key = _short_hash(chain([plan], (stamp.sha256 for stamp in staging.stamps.values())))
    manifest = {
        "format": FORMAT,
        "name": records.name,
        "key": key,
        "plan": plan,
        "root": str(records.images.root.resolve()),
        "images": len(kept),
        "rejected": len(records) - len(kept),
        "geometry": geometry.to_dict(),
        "task": records.task,
        "classes": records.classes,
        "counts": some.counts(),
        "has_patients": records.patients is not None,
        "has_splits": records.splits is not None,
        "notes": records.notes,
        "decode_version": DECODE_VERSION,
        "pillow": PIL.__version__,
    }
    write_manifest(final / "manifest.json", manifest)
    folder = prefix.with_name(f"{prefix.name}-{key}")
    if folder.exists():  # the same images, but beside other rejected files than now
        shutil.rmtree(folder)
    final.rename(folder)
    shutil.rmtree(staging.folder)
    return folder


def _json(columns: list[Any]) -> Iterator[str]:
    """Yield the text of ``json.dumps(columns)`` in pieces: a million paths take hundreds of megabytes otherwise."""
    for number, column in enumerate(columns):
        yield ", " if number else "["
        if not isinstance(column, (tuple, np.ndarray)):
            yield json.dumps(column)
            continue
        yield "["
        for start in range(0, len(column), _PIECE):
            piece = column[start : start + _PIECE]
            yield ", " * bool(start) + json.dumps(piece if isinstance(piece, tuple) else piece.tolist())[1:-1]
        yield "]"
    yield "]"


def _short_hash(texts: Iterable[str], content: memoryview | bytes = b"") -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    digest.update(content)
    return digest.hexdigest()[:12]
