"""Every step of pretraining at the size of the real sets: time, memory, and how both grow.

    PYTHONPATH=. python benchmarks/scale.py --work /tmp/scale [--lists NIH_TABLE_AND_LISTS]
    PYTHONPATH=. python benchmarks/scale.py --work /tmp/scale --source all
    PYTHONPATH=. python benchmarks/scale.py --work /tmp/scale --source records --images 1000000 --quick

Small files are written in the layout of ChestX-ray14 (112,120, with ``--lists`` under the real names with the real
labels and lists), with ``--source all`` of BreakHis and EyePACS too (169,198), and a quarter of them beside. Then each
step runs in a process of its own on both, most as the command that users give:

check, prepare   ``python -m training check`` and ``prepare``, at 32 px
again            ``prepare`` with nothing left to do: it lists the tree and compares each file's size and time
open, split      a finished cache opened; its images split by patient
first            from the opened cache to the end of the first step of DenseNet-121, 32 images
start, resume    ``pretrain`` until its first checkpoint, after the first step; stopped, and the same once more
finish           the last step of an epoch, validation with intervals, hashes of all images, run record and bundle
publish          into a folder zoo
audit            21,165 images against as many seen ones as the source has

Seconds are by the clock and, in brackets, of processor time, which other programs on the machine disturb less; of
``open``, ``split``, ``first`` and ``audit`` without the start of Python. Memory is the process's own at its peak,
without pages of files (anonymous memory, sampled). Growth is the exponent of n between the two sizes, of processor time
and of memory: 1 where a thing grows as the number of images does.

``--source records`` has no publisher's layout and no ``check``: its records are given, and their many paths lead, by
linked folders, to a thousand files. ``--quick`` saves the work that is the same for every image: ``prepare`` finds all
but a hundredth of the images decoded by an interrupted call, as noise, and ``finish`` finds their hashes and validates
on drawn logits. Trees and caches that are there are used again, so that ``--only`` repeats a step; the steps from
``again`` on need those before them. A million images take 2 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
SIZE = 32  # the least that the networks take
BATCH = 32
FASTER = 1.1  # an exponent above this is more than noise
MOST_MEMORY = {112_120: 400, 1_000_000: 600}  # MB of prepare at so many images
MOST_SECONDS = {"open": 5, "first": 10}  # at a million


@dataclass(frozen=True)
class Site:
    """One size of one source: its folder, its data sets with their images, NIH's lists."""

    top: str
    source: str
    sets: dict[str, int]
    lists: str
    quick: bool

    @property
    def images(self) -> int:
        return sum(self.sets.values())

    @property
    def work(self) -> Path:
        return Path(self.top, "work")

    @property
    def name(self) -> str:
        return f"densenet121_{'all' if self.source == 'all' else 'cxr'}_ri"

    @property
    def checkpoints(self) -> set[Path]:
        return set((self.work / "runs" / self.name / "checkpoints").glob("at-*.pt"))

    @property
    def caches(self) -> list[Path]:
        """The finished caches, in the source's order."""
        found = []
        for name, images in self.sets.items():
            made = list((self.work / "cache").glob(f"{name}-*/manifest.json"))
            if [json.loads(file.read_text())["images"] for file in made] != [images]:
                raise SystemExit(f"{self.work / 'cache'} lacks one cache of {images:,} images of {name}; delete it")
            found.append(made[0].parent)
        return found


@dataclass(frozen=True)
class Measured:
    """One step: seconds by the clock and of processor time, and the peak of own memory in MB."""

    clock: float
    processor: float
    memory: float


def own_memory(process: psutil.Process) -> int:
    """Return a process's memory in bytes, as far as it comes from no file."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return int(process.memory_full_info().uss)
    line = next((line for line in status.read_text().splitlines() if line.startswith("RssAnon")), "0 0")
    return int(line.split()[1]) * 1024


def measure(site: Site, *words: str, until: Callable[[], bool] = lambda: False) -> Measured:
    """Run Python in a process of its own; where ``until`` says so, the clock stops and SIGTERM asks it to end."""
    log, began, peak, stopped = Path(site.top, "last.log"), time.perf_counter(), 0, 0.0
    with log.open("w") as output:
        child = psutil.Popen([sys.executable, *words], stdout=output, stderr=output)
        used = child.cpu_times()
        while child.poll() is None:
            try:
                peak, used = max(peak, own_memory(child)), child.cpu_times()
            except (psutil.Error, OSError):  # it has just ended
                break
            if not stopped and until():
                stopped = time.perf_counter()
                child.send_signal(signal.SIGTERM)
            time.sleep(0.02)
    code, text = child.wait(), log.read_text()
    if code and not stopped and "check" not in words:  # of another number of images, check says so
        raise SystemExit(f"{' '.join(words)} ended with {code}:\n{text}")
    own = words[0].endswith("scale_steps.py") and not stopped
    inside = json.loads(text.splitlines()[-1]) if own else {}
    clock = (stopped or time.perf_counter()) - began
    return Measured(inside.get("clock", clock), inside.get("processor", used.user + used.system), peak / 1e6)


def step(site: Site, name: str, until: Callable[[], bool] = lambda: False) -> Measured:
    return measure(site, str(HERE / "scale_steps.py"), name, json.dumps(asdict(site)), until=until)


def training(site: Site, *words: str, until: Callable[[], bool] = lambda: False) -> Measured:
    data = ["--data", str(Path(site.top, "data")), "--allow-partial"]
    return measure(site, "-m", "training", *words, *(data if words[0] != "publish" else ()), until=until)


def prepare(site: Site) -> Measured:
    if site.quick and not (site.work / "cache").exists():
        step(site, "nearly_prepared")
    if site.source == "records":
        return step(site, "prepare")
    return training(site, "prepare", *site.sets, "--work", str(site.work), "--image-size", str(SIZE))


def pretrain(site: Site, *, to_the_end: bool = False) -> Measured:
    before = site.checkpoints

    def until() -> bool:
        return not to_the_end and bool(site.checkpoints - before)

    if site.source == "records":
        return step(site, "pretrain", until)
    words = ["pretrain", site.name, "--work", str(site.work), "--image-size", str(SIZE), "--epochs", "1"]
    words += ["--checkpoint-every", "0", "--batch-size", str(BATCH), "--device", "cpu"]
    return training(site, *words, until=until)


def start(site: Site) -> Measured:
    shutil.rmtree(site.work / "runs" / site.name, ignore_errors=True)
    return pretrain(site)


def finish(site: Site) -> Measured:
    step(site, "nearly_finished")
    return pretrain(site, to_the_end=True)


def audit(site: Site) -> Measured:
    step(site, "write_seen")
    return step(site, "audit")


def publish(site: Site) -> Measured:
    return training(site, "publish", site.name, "--work", str(site.work), "--out", str(Path(site.top, "zoo")))


STEPS: dict[str, Callable[[Site], Measured]] = {
    "check": lambda site: training(site, "check", *site.sets),
    "prepare": prepare,
    "again": prepare,
    "open": lambda site: step(site, "open"),
    "split": lambda site: step(site, "split"),
    "first": lambda site: step(site, "first"),
    "start": start,
    "resume": pretrain,
    "finish": finish,
    "publish": publish,
    "audit": audit,
}


def growth(small: float, large: float, ratio: float) -> float:
    """Return the exponent of n with which something grew."""
    return math.log(max(large, 0.01) / max(small, 0.01)) / math.log(ratio)


def report(found: dict[str, list[Measured]], images: list[int]) -> str:
    """Return the table, and the goals that were missed."""
    few, many = (f"{n:,}" for n in images)
    lines = [f"| | s, {few} | s, {many} | growth | MB, {few} | MB, {many} | growth |", "|---" * 7 + "|"]
    missed = []
    for name, (small, large) in found.items():
        grown = [
            growth(getattr(small, what), getattr(large, what), images[1] / images[0])
            for what in ("processor", "memory")
        ]
        cells = [f"{one.clock:.1f} ({one.processor:.1f})" for one in (small, large)] + [f"{grown[0]:.2f}"]
        cells += [f"{one.memory:.0f}" for one in (small, large)] + [f"{grown[1]:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        if max(grown) > FASTER:
            missed.append(f"{name} grows faster than the number of images")
        most = next((limit for n, limit in MOST_MEMORY.items() if images[1] <= n), math.inf)
        if name == "prepare" and large.memory > most:
            missed.append(f"prepare takes {large.memory:.0f} MB, and may take {most}")
        if large.clock > MOST_SECONDS.get(name, math.inf):
            missed.append(f"{name} takes {large.clock:.1f} s, and may take {MOST_SECONDS[name]}")
    return "\n".join([*lines, *(f"missed: {one}" for one in missed), ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for trees and caches, which stay there")
    parser.add_argument("--source", choices=("cxr", "all", "records"), default="cxr")
    parser.add_argument("--images", type=int, default=112_120, help="of ChestX-ray14, or records (default: 112120)")
    parser.add_argument("--lists", default="", help="folder with NIH's Data_Entry_2017*.csv (or .csv.gz) and lists")
    parser.add_argument("--quick", action="store_true", help="leave out work that is the same for every image")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), metavar="STEP")
    given = parser.parse_args()
    if given.source == "records":
        given.only = [name for name in given.only if name != "check"]
    full = {"chestxray14": given.images}
    if given.source == "all":
        full |= {"breakhis": 7_909, "eyepacs": 49_169}
    sites = []
    for parts in (4, 1):
        sets = {name: round(count / parts) for name, count in full.items()}
        top = given.work / f"{given.source}-{sum(sets.values())}"
        sites.append(Site(str(top), given.source, sets, given.lists, given.quick))
    found: dict[str, list[Measured]] = {name: [] for name in given.only}
    for site in sites:
        Path(site.top).mkdir(parents=True, exist_ok=True)
        if not Path(site.top, "data").exists():
            step(site, "write")
        for name in given.only:
            one = STEPS[name](site)
            found[name].append(one)
            figures = f"{one.clock:8.1f} s ({one.processor:.1f} s) {one.memory:7.0f} MB"
            sys.stderr.write(f"{site.images:>9,} {name:<8} {figures}   load {psutil.getloadavg()[0]:.1f}\n")
    sys.stdout.write(report(found, [site.images for site in sites]))


if __name__ == "__main__":
    main()
