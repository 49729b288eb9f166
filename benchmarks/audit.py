"""Measure the audit on real images: copies found, false alarms, what a copy may go through, and speed.

    python benchmarks/audit.py --data ../shared/real

``--data`` holds ``chestxray14_overlap/`` (``images/`` and ``pairs.csv``: ChestX-ray14 originals and the COVID-19
Radiography files that were made from them) beside the data sets; every image below it is hashed at its own size.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable
from itertools import combinations_with_replacement, permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medzoo.contamination.perceptual_hash import LENGTH, NEAR, NEAR_BITS, image_hash, image_hashes
from medzoo.contamination.result import audit_records
from medzoo.contamination.seen_images import seen_of

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
Array = NDArray[Any]


def decode(path: Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image if image.mode in ("L", "RGB", "I;16") else image.convert("RGB"))


def distances(a: Array, b: Array) -> Array:
    return np.unpackbits(a[:, NEAR] ^ b[:, NEAR], axis=1).sum(1, dtype=np.int64)


def images_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def recall(data: Path, hashes: dict[Path, Array]) -> set[frozenset[Path]]:
    """Print how many of the known pairs the audit finds; return the pairs."""
    overlap, target = data / "chestxray14_overlap", data / "covid19_radiography"
    with (overlap / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth = {
        target / "Normal" / "images" / row["covid19_radiography_normal_file"]: overlap
        / "images"
        / row["chestxray14_image"]
        for row in rows
    }
    sources = [*images_of(overlap), *images_of(data / "chestxray14")]
    targets = images_of(target)
    seen = seen_of("chestxray14", np.stack([hashes[path] for path in sources]))
    audit = audit_records(np.stack([hashes[path] for path in targets]), None, seen)
    found = {targets[i]: sources[audit.row[i]] for i in np.flatnonzero(audit.copies)}
    right = sum(found.get(copy) == original for copy, original in truth.items())
    print(f"copies found: {right} of {len(truth)}; other images called copies: {len(found) - right} of {len(targets)}")
    bits = distances(*(np.stack([hashes[path] for path in side]) for side in zip(*truth.items(), strict=True)))
    print(f"bits that differ between a copy and its original: at most {bits.max()}, mean {bits.mean():.2f}")
    return {frozenset(pair) for pair in truth.items()}


def signs(rows: list[Array]) -> NDArray[np.float32]:
    return np.unpackbits(np.stack(rows)[:, NEAR], axis=1).astype(np.float32) * 2 - 1


def false_alarms(data: Path, hashes: dict[Path, Array], truth: set[frozenset[Path]]) -> None:
    """Compare every image with every other one, within and between sets, and print what is called a copy."""
    sets: dict[str, list[Path]] = {}
    for path in hashes:
        sets.setdefault(path.relative_to(data).parts[0], []).append(path)
    print(
        f"\n{'pairs of different images':<66}{'pairs':>10}  {'alarms':>6}  {'per 100,000':>11}  {'nearest, bits':>13}"
    )
    place = {path: (name, i) for name, paths in sets.items() for i, path in enumerate(paths)}
    copies = [(place[one], place[other]) for pair in truth for one, other in permutations(pair)]
    total = alarms = 0
    for a, b in combinations_with_replacement(sets, 2):
        bits = (256 - signs([hashes[p] for p in sets[a]]) @ signs([hashes[p] for p in sets[b]]).T) / 2
        different = np.triu(np.ones(bits.shape, bool), 1) if a == b else np.ones(bits.shape, bool)
        for (one, i), (other, j) in copies:
            if (one, other) == (a, b):
                different[i, j] = False
        count = int(different.sum())
        if not count:
            continue
        close = np.argwhere(different & (bits <= NEAR_BITS))
        total, alarms = total + count, alarms + len(close)
        print(
            f"{a + ' x ' + b:<66}{count:>10,}  {len(close):>6}  {len(close) / count * 1e5:>11.3f}"
            f"  {int(bits[different].min()):>13}"
        )
        for i, j in close:
            print(f"    alarm at {int(bits[i, j])} bits: {sets[a][i].name} and {sets[b][j].name}")
    print(f"{'all':<66}{total:>10,}  {alarms:>6}  {alarms / total * 1e5:>11.3f}")
    if not alarms:
        print(f"none in {total:,}: with 95 % confidence fewer than {3 / total * 1e5:.3f} in 100,000 (rule of three)")


def resized(size: int) -> Callable[[Array], Array]:
    return lambda a: np.asarray(Image.fromarray(a).resize((size, size), Image.Resampling.BICUBIC))


def jpeg(quality: int) -> Callable[[Array], Array]:
    def change(a: Array) -> Array:
        buffer = io.BytesIO()
        Image.fromarray(a).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return change


def gamma(power: float) -> Callable[[Array], Array]:
    return lambda a: np.round(255 * (a / 255) ** power).astype(np.uint8)


def contrast(gain: float) -> Callable[[Array], Array]:
    return lambda a: np.clip(np.round((a - 128.0) * gain + 128), 0, 255).astype(np.uint8)


def cropped(share: float) -> Callable[[Array], Array]:
    def change(a: Array) -> Array:
        y, x = (max(1, round(side * share / 2)) for side in a.shape[:2])
        return a[y:-y, x:-x]

    return change


def labelled(a: Array) -> Array:
    out = a.copy()
    out[: a.shape[0] // 20, : a.shape[1] // 8] = 255
    return out


CHANGES: dict[str, Callable[[Array], Array]] = {
    **{f"resized to {size} x {size}": resized(size) for size in (64, 128, 224, 512, 1024)},
    **{f"JPEG, quality {quality}": jpeg(quality) for quality in (95, 75, 50)},
    "128 x 128, JPEG 50": lambda a: jpeg(50)(resized(128)(a)),
    "grey": lambda a: np.asarray(Image.fromarray(a).convert("L")),
    "16 bits": lambda a: a.astype(np.uint16) * 257,
    **{f"gamma {power}": gamma(power) for power in (0.5, 0.7, 1.4, 2.0)},
    **{f"contrast x {gain}": contrast(gain) for gain in (0.5, 1.2, 1.5)},
    "histogram equalised": lambda a: np.asarray(ImageOps.equalize(Image.fromarray(a))),
    **{f"cropped by {share:.0%}": cropped(share) for share in (0.01, 0.02, 0.05)},
    "white label over 0.6 %": labelled,
    "rotated by 1 degree": lambda a: np.asarray(Image.fromarray(a).rotate(1, Image.Resampling.BILINEAR)),
    "flipped": lambda a: a[:, ::-1],
}


def robustness(data: Path, hashes: dict[Path, Array], count: int) -> None:
    """Print how many images of each set are still found after each change."""
    rng = np.random.default_rng(0)
    sets = ("chestxray14", "BreaKHis_v1", "eyepacs")
    sample = {name: images_of(data / name) for name in sets}
    sample = {name: [paths[i] for i in rng.permutation(len(paths))[:count]] for name, paths in sample.items()}
    print("\nstill found after a change (95th percentile of bits); limit", NEAR_BITS)
    print(f"{'':<26}" + "".join(f"{name:>20}" for name in sets))
    for title, change in CHANGES.items():
        cells = []
        for name in sets:
            before = np.stack([hashes[path] for path in sample[name]])
            bits = distances(before, image_hashes(change(decode(path)) for path in sample[name]))
            cells.append(f"{(bits <= NEAR_BITS).mean():>13.0%} ({np.quantile(bits, 0.95):>3.0f})")
        print(f"{title:<26}" + " ".join(cells), flush=True)


def speed(hashes: dict[Path, Array], queries: int, known: int) -> None:
    """Time hashing at 224 pixels, and matching at the size of the study's largest audit."""
    print()
    rng = np.random.default_rng(0)
    for shape in ((224, 224), (224, 224, 3), (1024, 1024)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        times = []
        for _ in range(30):
            start = time.perf_counter()
            image_hash(image)
            times.append(time.perf_counter() - start)
        print(f"hash of one image {shape}: {np.median(times) * 1e3:.2f} ms")
    # Real hashes with some bits turned: as unevenly spread as real images are, and none a copy of another.
    real = np.stack(list(hashes.values()))

    def crowd(count: int) -> Array:
        turned = np.packbits(rng.random((count, LENGTH * 8)) < 0.15, axis=1)
        return real[rng.integers(0, len(real), count)] ^ turned

    target, seen = crowd(queries), seen_of("source", crowd(known))
    start = time.perf_counter()
    audit_records(target, None, seen)
    print(f"audit of {queries:,} images against {known:,}: {time.perf_counter() - start:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--sample", type=int, default=40, help="images of a set for each change (default: 40)")
    parser.add_argument("--queries", type=int, default=20_000, help="audited images in the timing (default: 20000)")
    parser.add_argument("--known", type=int, default=170_000, help="seen images in the timing (default: 170000)")
    options = parser.parse_args()
    paths = images_of(options.data)
    start = time.perf_counter()
    hashes = {path: image_hash(decode(path)) for path in paths}
    print(f"{len(paths):,} images decoded and hashed in {time.perf_counter() - start:.1f} s")
    truth = recall(options.data, hashes)
    false_alarms(options.data, hashes, truth)
    robustness(options.data, hashes, options.sample)
    speed(hashes, options.queries, options.known)


if __name__ == "__main__":
    main()
