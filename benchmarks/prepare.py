"""How fast and in how much memory images are decoded for a cache, beside the plain ways.

    python benchmarks/prepare.py [--data REAL_IMAGES] [--images 24] [--repeats 5] [--json figures.json]

Three kinds of files of the sizes of the study's originals are made, from real images where ``--data`` has them. Each
kind is read by the plain loop ``Image.open(p).convert("RGB").resize((224, 224))``, by the same in a torch DataLoader
with one worker a core, and by ``training.cache.prepare.prepare`` on one core and on all. The ways take turns within
every repeat; figures are medians. "Per core" is per second of processor time, which other programs on the machine
hardly disturb; the efficiency over all cores is of wall-clock time and needs a quiet machine. Peak memory (Linux) is
that of a process of its own, for a set and for one four times as large.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medzoo.data.dataset import Files, ImageDataset
from medzoo.data.geometry import Geometry
from medzoo.data.tasks import one_hot
from training.cache.prepare import prepare

# kind: width, height, mode, file name's end, how the study keeps it, real images of this kind
KINDS = {
    "1024x1024 grey PNG": ((1024, 1024), "L", ".png", Geometry(224, 224, channels=1), "chestxray14/images/*.png"),
    "700x460 PNG": ((700, 460), "RGB", ".png", Geometry(224, 340, "center"), "BreaKHis_v1/**/*.png"),
    "4752x3168 JPEG": ((4752, 3168), "RGB", ".jpg", Geometry(224, 340, "center"), "eyepacs/train/*.jpeg"),
}
DISTINCT = 6  # different pictures of a kind; the rest are copies under other names


def picture(source: Path | None, size: tuple[int, int], mode: str, seed: int) -> Image.Image:
    """A picture of the size wanted: a real one enlarged, or soft blobs; both with a sensor's noise."""
    rng = np.random.default_rng(seed)
    if source is None:
        small = Image.fromarray(rng.integers(0, 256, (size[1] // 32, size[0] // 32, 3), dtype=np.uint8))
    else:
        small = Image.open(source)
    values = np.asarray(small.convert(mode).resize(size, Image.Resampling.BICUBIC)).astype(np.float32)
    values += rng.normal(0, 2, values.shape).astype(np.float32)  # enlarged images alone compress too well
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def make(kind: str, folder: Path, count: int, data: Path | None) -> list[Path]:
    """Write ``count`` files of one kind."""
    size, mode, suffix, _, pattern = KINDS[kind]
    sources: list[Path | None] = [*sorted(data.glob(pattern))[:DISTINCT]] if data else [None] * DISTINCT
    files: list[Path] = []
    for i in range(count):
        file = folder / f"{i:05d}{suffix}"
        if i < len(sources):
            picture(sources[i], size, mode, i).save(file, quality=90)
        else:
            file.write_bytes(files[i % len(sources)].read_bytes())
        files.append(file)
    return files


def plain(path: Path) -> NDArray[np.uint8]:
    """What everybody writes first."""
    return np.array(Image.open(path).convert("RGB").resize((224, 224)))


def plain_loop(kind: str, files: list[Path]) -> None:
    """One image after the other."""
    for file in files:
        plain(file)


class Plain:
    """The plain way as a torch data set."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return plain(self.files[index])


def data_loader(kind: str, files: list[Path]) -> None:
    """The plain way on all cores."""
    from torch.utils.data import DataLoader

    for _ in DataLoader(Plain(files), batch_size=4, num_workers=joblib.cpu_count()):  # type: ignore[arg-type]
        pass


def prepared(jobs: int) -> Callable[[str, list[Path]], None]:
    """``training.cache.prepare.prepare``, writing the cache included."""

    def run(kind: str, files: list[Path]) -> None:
        names = tuple(file.name for file in files)
        records = ImageDataset(
            "bench", Files(files[0].parent, names), names, one_hot([0] * len(files), 2), ("a", "b"), "binary"
        )
        with tempfile.TemporaryDirectory() as folder:
            prepare(records, KINDS[kind][3], Path(folder), jobs=jobs)

    return run


WAYS: dict[str, Callable[[str, list[Path]], None]] = {
    "plain loop, 1 core": plain_loop,
    "prepare, 1 core": prepared(1),
    "DataLoader, all cores": data_loader,
    "prepare, all cores": prepared(joblib.cpu_count()),
}


def measure(kind: str, files: list[Path], repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median images per second of every way, taking turns: by the clock, and by processor time."""
    clock: dict[str, list[float]] = {way: [] for way in WAYS}
    processor: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, run in WAYS.items():
            wall, cpu = time.perf_counter(), sum(os.times()[:4])
            run(kind, files)
            clock[way].append(len(files) / (time.perf_counter() - wall))
            processor[way].append(len(files) / (sum(os.times()[:4]) - cpu))  # children included
    median = [{way: statistics.median(rates) for way, rates in table.items()} for table in (clock, processor)]
    return median[0], median[1]


def peak(kind: str, way: str, folder: Path, count: int) -> int:
    """Peak memory in MB of a process that reads the first ``count`` files in one way."""
    command = [sys.executable, __file__, "--peak", kind, way, str(folder), str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real images (as in MEDZOO_REAL)")
    parser.add_argument(
        "--images", type=int, default=24, help="files of each kind in one pass (PNG: four times as many)"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        kind, way, folder, count = options.peak
        WAYS[way](kind, sorted(Path(folder).iterdir())[: int(count)])
        # Not getrusage's figure: that one begins with the parent's.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        print(int(status["VmHWM"].split()[0]) // 1024)
        return
    cores, figures = joblib.cpu_count(), {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            count = options.images * (1 if kind.endswith("JPEG") else 4)
            files = make(kind, Path(folder), count, options.data)
            clock, processor = measure(kind, files, options.repeats)
            one, every, plainly = "prepare, 1 core", "prepare, all cores", "plain loop, 1 core"
            row = {f"images/s by the clock: {way}": round(rate, 1) for way, rate in clock.items()}
            row |= {f"images/s per core: {way}": round(rate, 1) for way, rate in processor.items()}
            row["times the plain loop, per core"] = round(processor[one] / processor[plainly], 2)
            row["times the DataLoader"] = round(clock[every] / clock["DataLoader, all cores"], 2)
            row["efficiency over all cores, %"] = round(100 * clock[every] / clock[one] / cores)
            for share in (4, 1):
                row[f"peak MB, {count // share} images"] = peak(
                    kind, "prepare, all cores", Path(folder), count // share
                )
            row["peak MB, plain loop"] = peak(kind, plainly, Path(folder), count // 4)
            figures[kind] = row
            print(f"{kind} ({files[0].stat().st_size / 1e6:.2f} MB a file, {cores} cores)")
            for name, value in row.items():
                print(f"  {name:48} {value:10g}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
