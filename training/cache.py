"""A data set decoded once: images as one memory-mapped uint8 array, with labels and rows beside it.

Layout of ``<folder>/<name>-<key>/``::

    images.npy     uint8 [N, H, W, C], uncompressed, never read whole
    targets.npy    float32 [N, labels]
    rows.csv       path, patient, split and the file's stamp (size, time, sha256), in the order of images.npy
    rejected.csv   path and stamp of every file left out, with the reason
    manifest.json  everything else; the folder is moved into place when it is whole: one that is there is complete

**Key.** A hash of what was asked (paths, labels, patients, splits, geometry, decoder version: the *plan*) and of the
sha256 of every file. Hashing a large set at each start would take minutes, so a file is hashed while it is decoded, and
again only when its size, time or place is not what it was: the usual start costs one ``stat`` per file. A file that was
only touched or copied keeps the cache valid; one changed byte makes a new cache, which takes over the unchanged images
of the old one.

**Resume.** Work goes on in ``<name>-<plan>.partial/`` (see ``training.staging``): a run killed at any point loses less
than a batch, and an image whose file has changed since is decoded again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

from medzoo.decode import Decoded, Progress, Stamp, decode_each, full_stamp, quick_stamp
from medzoo.errors import DataError
from medzoo.geometry import Geometry
from medzoo.images import DECODE_VERSION
from medzoo.records import Records
from training.staging import Staging

_FORMAT = 1  # of the folder's layout
_STAMP = ("size", "mtime_ns", "sha256")
_ROWS = ("path", "patient", "split", *_STAMP)
_REJECTED = ("path", *_STAMP, "reason")


@dataclass(frozen=True)
class Cache:
    """A complete cache, opened.

    Attributes:
        folder: Where it lies.
        name: The data set's name.
        images: ``uint8 [N, H, W, C]``, memory-mapped; what is written to it stays in memory, the file is safe.
        targets: ``float32 [N, labels]``, as in ``medzoo.records.Records``.
        classes: The label names, in the order of the columns of ``targets``.
        task: One of ``medzoo.records.TASKS``.
        patients: ``str [N]`` or ``None``.
        splits: ``str [N]`` or ``None``.
        paths: Each image's path relative to the data set's root.
        geometry: How the images were resized.
        manifest: What ``manifest.json`` says.
    """

    folder: Path
    name: str
    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    patients: NDArray[np.str_] | None
    splits: NDArray[np.str_] | None
    paths: tuple[str, ...]
    geometry: Geometry
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return len(self.paths)


def prepare(
    records: Records,
    geometry: Geometry,
    folder: Path,
    *,
    max_rejected: int = 0,
    progress: Progress | None = None,
    jobs: int | None = None,
) -> Cache:
    """Decode a data set once, or open what an earlier call decoded.

    Args:
        records: The data set.
        geometry: The size and channels to keep.
        folder: Where caches lie; each gets a folder of its own in it. Old ones are left: delete them as you like.
        max_rejected: How many unreadable images may be left out. All of them are listed in ``rejected.csv`` either way.
        progress: Called with (done, total) images.
        jobs: Threads; by default one for each core this process may use.

    Returns:
        The opened cache.

    Raises:
        DataError: More images than allowed cannot be read. What was decoded is kept for the next call.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from medzoo.records import one_hot
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("a.png", "b.png"):
        ...         Image.new("L", (64, 64)).save(Path(root) / name)
        ...     records = Records("tiny", Path(root), ("a.png", "b.png"), one_hot([0, 1], 2), ("no", "yes"), "binary")
        ...     prepare(records, Geometry(8, 8, channels=1), Path(root) / "cache").images.shape
        (2, 8, 8, 1)
    """
    plan = _plan(records, geometry)
    slug = re.sub(r"[^\w.-]+", "_", records.name)
    partial = folder / f"{slug}-{_short_hash(plan, str(records.root.resolve()))}.partial"
    folder.mkdir(parents=True, exist_ok=True)
    # Two processes asked for the same cache: one works, the other waits and finds it.
    with FileLock(folder / f".{slug}-{plan}.lock"):
        complete = [found.parent for found in sorted(folder.glob(f"{slug}-*/manifest.json"))]
        for found in complete:
            if _read_json(found / "manifest.json")["plan"] == plan and _is_current(found, records):
                shutil.rmtree(partial, ignore_errors=True)
                _check_rejected(found, len(records), max_rejected)
                return open_cache(found)
        with Staging(partial, len(records), geometry) as staging:
            rejected = _fill(staging, records, geometry, complete, progress, jobs)
        _write_csv(
            partial / "rejected.csv",
            _REJECTED,
            ((records.paths[r.index], *_cells(r.stamp), r.reason) for r in rejected),
        )
        _check_rejected(partial, len(records), max_rejected)
        return open_cache(_finish(staging, records, geometry, plan, folder / slug))


def open_cache(folder: Path) -> Cache:
    """Open a complete cache without looking at the files it was made from.

    Args:
        folder: The cache's own folder.

    Returns:
        The opened cache.

    Raises:
        DataError: The folder holds no complete cache of this version.
    """
    try:
        manifest = _read_json(folder / "manifest.json")
    except FileNotFoundError:
        raise DataError(f"{folder} is no complete cache (no manifest.json); run prepare again: it goes on") from None
    if manifest["format"] != _FORMAT:
        raise DataError(f"{folder} is of cache format {manifest['format']}, this is {_FORMAT}; run prepare again")
    rows = _read_csv(folder / "rows.csv")
    geometry = Geometry(**manifest["geometry"])
    images = np.load(folder / "images.npy", mmap_mode="c")  # copy on write: torch takes no read-only array
    if images.shape != (len(rows), geometry.height, geometry.width, geometry.channels):
        raise DataError(f"{folder}: images.npy is {images.shape} for {len(rows)} rows; delete the folder and prepare")
    return Cache(
        folder=folder,
        name=manifest["name"],
        images=images,
        targets=np.load(folder / "targets.npy"),
        classes=tuple(manifest["classes"]),
        task=manifest["task"],
        patients=np.array([row["patient"] for row in rows]) if manifest["has_patients"] else None,
        splits=np.array([row["split"] for row in rows]) if manifest["has_splits"] else None,
        paths=tuple(row["path"] for row in rows),
        geometry=geometry,
        manifest=manifest,
    )


def _plan(records: Records, geometry: Geometry) -> str:
    """A hash of everything that is known before a file is read."""
    told = [_FORMAT, DECODE_VERSION, records.name, records.task, asdict(geometry), records.paths, records.classes]
    told += [None if column is None else column.tolist() for column in (records.patients, records.splits)]
    return _short_hash(json.dumps(told), np.ascontiguousarray(records.targets).tobytes())


def _is_current(folder: Path, records: Records) -> bool:
    """Whether every file is what it was when the cache was made; only files that look changed are read."""
    manifest, here = _read_json(folder / "manifest.json"), str(records.root.resolve())
    rows, rejected = _read_csv(folder / "rows.csv"), _read_csv(folder / "rejected.csv")
    touched = False
    for row in rows + rejected:
        path, was = records.root / row["path"], _stamp(row)
        # Size and time vouch for a file only where it was when it was read.
        if manifest["root"] == here and quick_stamp(path).quick == was.quick:
            continue
        now = full_stamp(path)
        if now.sha256 != was.sha256:
            return False
        row.update(zip(_STAMP, map(str, _cells(now)), strict=True))
        touched = True
    if touched:  # the same bytes with another date or place: remember it, and do not read them again next time
        _write_csv(folder / "rows.csv", _ROWS, (row.values() for row in rows))
        _write_csv(folder / "rejected.csv", _REJECTED, (row.values() for row in rejected))
        _write_json(folder / "manifest.json", {**manifest, "root": here})
    return True


def _check_rejected(folder: Path, total: int, allowed: int) -> None:
    rejected = _read_csv(folder / "rejected.csv")
    if len(rejected) > allowed:
        first = "; ".join(row["reason"] for row in rejected[:3]) + ("; ..." if len(rejected) > 3 else "")
        raise DataError(
            f"{len(rejected)} of {total} images cannot be read, {allowed} allowed: {first}\n"
            f"All are listed in {folder / 'rejected.csv'}: mend them, or allow more (max_rejected); the rest is kept."
        )


def _fill(
    staging: Staging,
    records: Records,
    geometry: Geometry,
    older: list[Path],
    progress: Progress | None,
    jobs: int | None,
) -> list[Decoded]:
    """Put every image in its place: those there already, those of older caches, the rest decoded now."""
    paths = [records.path(i) for i in range(len(records))]
    now = [quick_stamp(path).quick for path in paths]
    staging.keep(lambda i, stamp: now[i] == stamp.quick)
    missing = {records.paths[i]: i for i in range(len(paths)) if i not in staging.stamps}
    for image, path, stamp in _older_images(older, records, geometry) if missing else ():
        if path in missing and now[missing[path]] == stamp.quick:
            staging.put(missing.pop(path), image, stamp)
    done = len(paths) - len(missing)
    rejected = []
    for item in decode_each(paths, geometry, indices=list(missing.values()), jobs=jobs):
        if progress:
            progress(done, len(paths))
        if item.image is None:
            rejected.append(item)
        else:
            staging.put(item.index, item.image, item.stamp)
        done += 1
    if progress:
        progress(done, len(paths))
    return rejected


def _older_images(
    caches: list[Path], records: Records, geometry: Geometry
) -> Iterator[tuple[NDArray[np.uint8], str, Stamp]]:
    """Images decoded earlier from the same place in the same way, for other labels or before a file changed."""
    same = {"format": _FORMAT, "decode_version": DECODE_VERSION, "geometry": asdict(geometry)}
    same["root"] = str(records.root.resolve())
    for folder in caches:
        manifest = _read_json(folder / "manifest.json")
        if all(manifest.get(key) == value for key, value in same.items()):
            images = np.load(folder / "images.npy", mmap_mode="r")
            for image, row in zip(images, _read_csv(folder / "rows.csv"), strict=True):
                yield image, row["path"], _stamp(row)


def _finish(staging: Staging, records: Records, geometry: Geometry, plan: str, prefix: Path) -> Path:
    """Write what stands beside the images, and move the folder into place."""
    kept = sorted(staging.stamps)
    if not kept:
        raise DataError(f"data set {records.name}: none of its {len(records)} images can be read")
    some, stamps = records.take(kept), [staging.stamps[i] for i in kept]
    final = staging.finish(kept)
    np.save(final / "targets.npy", some.targets)
    blank = [""] * len(kept)
    patients = blank if some.patients is None else some.patients
    splits = blank if some.splits is None else some.splits
    cells = zip(some.paths, patients, splits, map(_cells, stamps), strict=True)
    _write_csv(final / "rows.csv", _ROWS, ((path, patient, split, *stamp) for path, patient, split, stamp in cells))
    shutil.copyfile(staging.folder / "rejected.csv", final / "rejected.csv")
    key = _short_hash(plan, *(stamp.sha256 for stamp in stamps))
    manifest = {
        "format": _FORMAT,
        "name": records.name,
        "key": key,
        "plan": plan,
        "root": str(records.root.resolve()),
        "images": len(kept),
        "rejected": len(records) - len(kept),
        "geometry": asdict(geometry),
        "task": records.task,
        "classes": records.classes,
        "counts": some.counts,
        "has_patients": records.patients is not None,
        "has_splits": records.splits is not None,
        "notes": records.notes,
        "decode_version": DECODE_VERSION,
        "pillow": PIL.__version__,
    }
    _write_json(final / "manifest.json", manifest)
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


def _cells(stamp: Stamp) -> tuple[int, int, str]:
    return stamp.size, stamp.mtime_ns, stamp.sha256


def _stamp(row: dict[str, str]) -> Stamp:
    return Stamp(int(row["size"]), int(row["mtime_ns"]), row["sha256"])


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> None:
    new = path.with_suffix(".new")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    new.replace(path)
