"""What ``scale.py`` runs in processes of their own: trees of small files, and steps that are no command.

A few dozen images are drawn and encoded; each file is one of them with a comment of its own, so that no two files are
equal and 100,000 are written in some ten seconds.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scale import BATCH, SIZE, Site

from medzoo.contamination.perceptual_hash import LENGTH, VERSION, image_hashes
from medzoo.contamination.result import audit_records
from medzoo.contamination.seen_images import read_seen, seen_of, write_seen
from medzoo.data.dataset import Files, ImageDataset, Records
from medzoo.data.decoding import Progress
from medzoo.zoo.sources import SOURCES
from training.cache.files import Cache, open_cache
from training.cache.prepare import prepare
from training.datasets import DATASETS, load
from training.readers import chestxray14
from training.standins.drawing import draw_xray
from training.standins.layout import generator
from training.standins.layout_xray import ENTRY_HEADER
from training.standins.layouts import LAYOUTS

SIDE = 96  # of the files
QUERIES = 21_165  # images of COVID-19 Radiography, the study's largest target
Row = tuple[str, str, str, bool]  # image, findings, patient, in the publisher's test list


def drawings(count: int, side: int) -> list[NDArray[np.uint8]]:
    """Draw chest X-rays, each of another patient."""
    seeds = (generator("scale", number) for number in range(count))
    return [draw_xray(rng, rng, ["Mass"] * (number % 2), (side, side)) for number, rng in enumerate(seeds)]


def encoded(kind: str, mode: str) -> list[bytes]:
    found = []
    for pixels in drawings(48, SIDE):
        stream = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(stream, kind)
        found.append(stream.getvalue())
    return found


def commented(content: bytes, number: int) -> bytes:
    """Add a comment to a PNG, behind its header, or to a JPEG, behind its first marker."""
    if content.startswith(b"\x89PNG"):
        text = b"tEXtComment\0%d" % number
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        return content[:33] + chunk + content[33:]
    text = b"%d" % number
    return content[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + content[2:]


def write_files(root: Path, paths: list[str], files: list[bytes]) -> None:
    for folder in {path.rpartition("/")[0] for path in paths}:
        (root / folder).mkdir(parents=True)
    for number, (path, content) in enumerate(zip(paths, cycle(files), strict=False)):
        (root / path).write_bytes(commented(content, number))


def published_rows(lists: Path) -> Iterator[Row]:
    """Yield the rows of NIH's table, the table perhaps as ``.csv.gz``."""
    tables = (lists / f"{name}{end}" for name in chestxray14.TABLES for end in ("", ".gz"))
    table = next(path for path in tables if path.is_file())
    tested = set((lists / chestxray14.LISTS["test"]).read_text().split())
    content = table.read_bytes()
    text = (gzip.decompress(content) if table.suffix == ".gz" else content).decode()
    for row in csv.DictReader(io.StringIO(text)):
        yield row["Image Index"], row["Finding Labels"], row["Patient ID"], row["Image Index"] in tested


def invented_rows() -> Iterator[Row]:
    """Yield rows as NIH's: some 3.6 images a patient, half of them with no finding."""
    labels = cycle([*chestxray14.CLASSES, *[chestxray14.CLASSES[-1]] * 13])
    for patient, visits in enumerate(cycle((1, 1, 1, 2, 3, 5, 12)), 1):
        for visit in range(visits):
            yield f"{patient:08d}_{visit:03d}.png", next(labels), str(patient), patient % 4 == 3


def write_chestxray14(root: Path, images: int, lists: str) -> None:
    rows = sorted(islice(published_rows(Path(lists)) if lists else invented_rows(), images))
    folders = (f"images_{1 + 12 * number // images:03d}/images" for number in range(images))
    write_files(root, [f"{one}/{row[0]}" for one, row in zip(folders, rows, strict=True)], encoded("PNG", "L"))
    with (root / chestxray14.TABLES[0]).open("w", newline="") as file:
        file.write(ENTRY_HEADER + "\n")
        csv.writer(file).writerows((image, labels, 0, who, 60, "F", "PA", 2500, 2048) for image, labels, who, _ in rows)
    for name, tested in (("train", False), ("test", True)):
        (root / chestxray14.LISTS[name]).write_text("\n".join(row[0] for row in rows if row[3] == tested) + "\n")


def write_breakhis(root: Path, images: int, lists: str) -> None:
    layout = LAYOUTS["breakhis"](images, generator("scale"))
    write_files(root, [one.path for one in layout.images], encoded("PNG", "RGB"))


def write_eyepacs(root: Path, images: int, lists: str) -> None:
    """Write two eyes a patient, all in ``train``; ``test`` has an image of the grade that the study leaves out."""
    names = [f"{1 + number // 2}_{('left', 'right')[number % 2]}" for number in range(images)]
    write_files(root, [*(f"train/{name}.jpeg" for name in names), "test/999999_left.jpeg"], encoded("JPEG", "RGB"))
    levels = "".join(f"{name},{number % 5}\n" for number, name in enumerate(names))
    (root / "trainLabels.csv").write_text("image,level\n" + levels)
    (root / "retinopathy_solution.csv").write_text("image,level,Usage\n999999_left,0,Private\n")


WRITERS = {"chestxray14": write_chestxray14, "breakhis": write_breakhis, "eyepacs": write_eyepacs}


def write(site: Site) -> None:
    """Write the trees, each under its published folder's name."""
    new = Path(site.top, "data.new")
    shutil.rmtree(new, ignore_errors=True)
    if site.source == "records":
        write_files(new, [f"files/{number:03d}.png" for number in range(1000)], encoded("PNG", "L"))
        for folder in range(-(-site.images // 1000)):
            (new / f"{folder:05d}").symlink_to("files")
    else:
        for name, images in site.sets.items():
            WRITERS[name](new / DATASETS[name].folders[0], images, site.lists)
    new.rename(Path(site.top, "data"))


def records_of(site: Site, name: str) -> Records:
    data = Path(site.top, "data")
    if site.source != "records":
        return load(name, data, allow_partial=True)
    ids = tuple(f"{number // 1000:05d}/{number % 1000:03d}.png" for number in range(site.images))
    hot = np.random.default_rng(0).random((site.images, len(chestxray14.CLASSES)), np.float32) < 0.1
    patients = np.array([str(number // 4) for number in range(site.images)])
    return ImageDataset(name, Files(data, ids), ids, hot.astype("f"), chestxray14.CLASSES, "multilabel", patients)


def prepare_records(site: Site, progress: Progress | None = None) -> None:
    for name in site.sets:
        geometry = DATASETS[name].geometry.scaled(SIZE)
        prepare(records_of(site, name), geometry, site.work / "cache", progress=progress)


def nearly_prepared(site: Site) -> None:
    """Begin caches of noise, and list all but the last hundredth of the images as done."""

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    for name in site.sets:
        with contextlib.suppress(InterruptedError):
            prepare_records(replace(site, sets={name: site.sets[name]}), stop)
        records, [folder] = records_of(site, name), (site.work / "cache").glob(f"{name}-*.partial")
        images = np.lib.format.open_memmap(folder / "images.npy", "r+")
        noise = np.random.default_rng(0).integers(0, 256, (1000, *images.shape[1:]), np.uint8)
        for begin in range(0, len(images), len(noise)):
            images[begin : begin + len(noise)] = noise[: len(images) - begin]
        with (folder / "journal.csv").open("w", encoding="ascii") as journal:
            for row, file in enumerate(islice(records.images, len(records) * 99 // 100)):
                status = file.stat()
                journal.write(f"{row},{status.st_size},{status.st_mtime_ns},{row:064x}\n")


def nearly_finished(site: Site) -> None:
    """Set the checkpoint of the first step to the last step but one of the epoch."""
    import torch

    from medzoo.engine.sampling import Sampler

    file = max(site.checkpoints)
    state = torch.load(file, weights_only=True)
    run = json.loads(state["run"])
    trained = site.images - sum(held_out for _, held_out in run["settings"]["data"])
    run["position"]["step"] = len(Sampler([torch.arange(trained)], BATCH, 0)) - 1
    torch.save({**state, "run": json.dumps(run)}, file)
    for folder, images in zip(site.caches, site.sets.values(), strict=True) if site.quick else ():
        hashes = np.random.default_rng(0).integers(0, 256, (images, LENGTH), np.uint8)
        np.save(folder / f"hashes-{VERSION}.npy", hashes)


def timed(work: Callable[[], object]) -> None:
    """Do something, and print how long it took as the last line."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    took = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
    sys.stdout.write(json.dumps(took) + "\n")


def corpus_of(site: Site, caches: list[Cache]) -> Any:
    from training.pretraining.corpus import join_caches
    from training.pretraining.recipes import RECIPES

    source = SOURCES["all" if site.source == "all" else "cxr"]
    members = [SOURCES[name] for name in source.members]
    return join_caches(source, [(one, cache, ()) for one, cache in zip(members, caches, strict=True)], RECIPES["paper"])


def split(site: Site) -> None:
    import training.pretraining.corpus  # noqa: F401  # before the clock starts

    caches = [open_cache(folder) for folder in site.caches]
    timed(lambda: corpus_of(site, caches))


def first(site: Site) -> None:
    """Split, and take one step; the loader ends it when it is asked for a second batch."""
    import torch

    from medzoo.data.input_spec import InputContract
    from medzoo.engine.loader import Loader
    from medzoo.engine.loop import fit
    from medzoo.engine.losses import make_loss
    from medzoo.engine.runtime import Execution
    from medzoo.engine.sampling import Sampler
    from medzoo.models.create import create_model
    from training.pretraining.options import PretrainOptions

    class Once(Loader):
        asked = False

        def batch(self, *given: Any) -> Any:
            if self.asked:
                raise InterruptedError
            self.asked = True
            return super().batch(*given)

    caches = [open_cache(folder) for folder in site.caches]

    def take_one() -> None:
        corpus, recipe = corpus_of(site, caches), PretrainOptions(batch_size=BATCH).resolved()
        loader = Once(corpus.parts(recipe), InputContract(SIZE, corpus.source.crop))
        train = [torch.from_numpy((~corpus.held_out & corpus.of(one)).nonzero()[0]) for one in corpus.members]
        model, targets = create_model(site.name, pretrained=False), torch.from_numpy(corpus.targets)
        sampler, loss = Sampler(train, BATCH, 0, recipe.balanced), make_loss(corpus.source.task)
        with contextlib.suppress(InterruptedError):
            fit(model, loader, targets, sampler, loss, recipe.plan, execution=Execution("cpu"))

    timed(take_one)


def pretrain_records(site: Site) -> None:
    """Do what the command ``pretrain`` does, on the cache of records that no reader reads."""
    import torch

    import training.pretraining.pretrain as command
    from medzoo.engine.runtime import Execution
    from training.pretraining import validation

    command.gather = lambda *_, **__: corpus_of(site, [open_cache(folder) for folder in site.caches])  # type: ignore
    if site.quick:
        labels = len(chestxray14.CLASSES)
        validation.predict_logits = lambda model, loader, rows: torch.randn(len(rows), labels)  # type: ignore
    options = {"image_size": SIZE, "epochs": 1, "batch_size": BATCH, "checkpoint_every": 0.0}
    options |= {"execution": Execution("cpu"), "allow_partial": True}
    work = command.PretrainOptions(**options)  # type: ignore
    timed(lambda: command.pretrain(site.name, Path(site.top, "data"), site.work, work))


def turned(seed: int, count: int) -> NDArray[np.uint8]:
    """Turn some bits of hashes of drawings: as unevenly spread as those of real images, and none a copy."""
    rng, drawn = np.random.default_rng(seed), image_hashes(drawings(200, 224))
    found = drawn[rng.integers(0, len(drawn), count)]
    for begin in range(0, count, 10_000):
        part = found[begin : begin + 10_000]
        part ^= np.packbits(rng.random((len(part), LENGTH * 8), np.float32) < 0.15, axis=1)
    return found


def write_seen_file(site: Site) -> None:
    patients = [str(number // 4) for number in range(site.images)]
    write_seen(Path(site.top, "seen.safetensors"), seen_of("source", turned(0, site.images), patients))


def audit(site: Site) -> None:
    targets, patients = turned(1, QUERIES), [f"target:{number}" for number in range(QUERIES)]
    timed(lambda: audit_records(targets, patients, read_seen(Path(site.top, "seen.safetensors"))))


STEPS: dict[str, Callable[[Site], None]] = {
    "write": lambda site: timed(lambda: write(site)),
    "nearly_prepared": lambda site: timed(lambda: nearly_prepared(site)),
    "prepare": lambda site: timed(lambda: prepare_records(site)),
    "pretrain": pretrain_records,
    "nearly_finished": lambda site: timed(lambda: nearly_finished(site)),
    "write_seen": lambda site: timed(lambda: write_seen_file(site)),
    "open": lambda site: timed(lambda: [open_cache(folder) for folder in site.caches]),
    "split": split,
    "first": first,
    "audit": audit,
}


if __name__ == "__main__":
    STEPS[sys.argv[1]](Site(**json.loads(sys.argv[2])))
