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
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

from medzoo.core.atomic import needing_room
from medzoo.core.cluster import Cluster
from medzoo.core.errors import DataError
from medzoo.data.dataset import Records
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
    stamp_of,
    write_manifest,
    write_rows,
)
from training.cache.slices import decode_on_cluster
from training.cache.staging import Staging

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
    partial = folder / f"{slug}-{_short_hash(plan, str(records.images.root.resolve()))}.partial"
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
        return open_cache(_finish(staging, records, geometry, plan, folder / slug))


def _locked(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def _plan(records: Records, geometry: Geometry) -> str:
    """Return a hash of everything that is known before a file is read."""
    known = [FORMAT, DECODE_VERSION, records.name, records.task, geometry.to_dict(), records.ids, records.classes]
    known += [None if column is None else column.tolist() for column in (records.patients, records.splits)]
    return _short_hash(json.dumps(known), np.ascontiguousarray(records.targets).tobytes())


def _is_current(folder: Path, records: Records) -> bool:
    """Return whether all files are unchanged; only those whose size, time or path differs are read."""
    manifest, here = read_manifest(folder / "manifest.json"), str(records.images.root.resolve())
    rows, rejected = read_rows(folder / "rows.csv"), read_rows(folder / "rejected.csv")
    touched = False
    for row in rows + rejected:
        path, was = records.images.root / row["path"], stamp_of(row)
        # Size and time identify a file only at the path from which it was read.
        if manifest["root"] == here and quick_stamp(path).quick == was.quick:
            continue
        now = full_stamp(path)
        if now.sha256 != was.sha256:
            return False
        row.update(zip(STAMP, map(str, cells(now)), strict=True))
        touched = True
    if touched:  # the same bytes with another time or path: save that, so that they are not read again
        write_rows(folder / "rows.csv", ROWS, (row.values() for row in rows))
        write_rows(folder / "rejected.csv", REJECTED, (row.values() for row in rejected))
        write_manifest(folder / "manifest.json", {**manifest, "root": here})
    return True


def _check_rejected(folder: Path, total: int, allowed: int) -> None:
    rejected = read_rows(folder / "rejected.csv")
    if len(rejected) > allowed:
        first = "; ".join(row["reason"] for row in rejected[:3]) + ("; ..." if len(rejected) > 3 else "")
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
    paths = list(records.images)
    now = [quick_stamp(path).quick for path in paths]
    staging.keep(lambda i, stamp: now[i] == stamp.quick)
    missing = {records.ids[i]: i for i in range(len(paths)) if i not in staging.stamps}
    for image, path, stamp in _older_images(older, records, geometry) if missing else ():
        if path in missing and now[missing[path]] == stamp.quick:
            staging.put(missing.pop(path), image, stamp)
    done = len(paths) - len(missing)
    rows = list(missing.values())
    if cluster is None:
        decoded = _decode_here(staging, paths, rows, geometry, jobs)
    else:
        decoded = decode_on_cluster(staging, paths, rows, geometry, records.images.root, cluster)
    rejected = []
    if progress:
        progress(done, len(paths))
    for item in decoded:
        done += 1
        if item.reason:
            rejected.append(item)
        if progress:
            progress(done, len(paths))
    return sorted(rejected, key=lambda item: item.index)


def _decode_here(
    staging: Staging, paths: list[Path], rows: list[int], geometry: Geometry, jobs: int | None
) -> Iterator[Decoded]:
    for item in decode_each(paths, geometry, indices=rows, jobs=jobs):
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
            for image, row in zip(images, read_rows(folder / "rows.csv"), strict=True):
                yield image, row["path"], stamp_of(row)


def _finish(staging: Staging, records: Records, geometry: Geometry, plan: str, prefix: Path) -> Path:
    """Write the files beside the images, and move the folder into place."""
    kept = sorted(staging.stamps)
    if not kept:
        raise DataError(f"data set {records.name}: none of its {len(records)} images can be read")
    some, stamps = records.take(kept), [staging.stamps[i] for i in kept]
    final = staging.finish(kept)
    targets = io.BytesIO()  # written by Python, which says when the disk is full; numpy's own error does not
    np.save(targets, some.targets)
    (final / "targets.npy").write_bytes(targets.getvalue())
    blank = [""] * len(kept)
    patients = blank if some.patients is None else some.patients
    splits = blank if some.splits is None else some.splits
    rows = zip(some.ids, patients, splits, map(cells, stamps), strict=True)
    write_rows(final / "rows.csv", ROWS, ((path, patient, split, *stamp) for path, patient, split, stamp in rows))
    shutil.copyfile(staging.folder / "rejected.csv", final / "rejected.csv")
    key = _short_hash(plan, *(stamp.sha256 for stamp in stamps))
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


def _short_hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:12]
