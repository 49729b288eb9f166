"""The whole pipeline on synthetic images, through the same functions as the commands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medzoo.core.errors import ZooError
from medzoo.core.progress import counting, say
from medzoo.zoo.resolve import DEFAULT_ZOO, resolve
from medzoo.zoo.weights import WEIGHTS
from training.cache.load import prepared
from training.datasets import DATASETS
from training.pretraining.imagenet import import_imagenet
from training.pretraining.options import PretrainOptions
from training.pretraining.pretrain import pretrain
from training.publishing.publish import publish
from training.standins import write_standins
from training.study.report import write_report
from training.study.study import StudyOptions, study

# One target of each area keeps the demo under five minutes; `study` runs all five.
TARGETS = ("shenzhen", "kather2016", "deepdrid")
PRETRAIN_EPOCHS, STUDY_EPOCHS = 4, 8

USE = """
The weights just made, in Python:

    import medzoo
    model = medzoo.create_model("densenet121_all_ri", num_classes=2, image_size={size}, zoo="{zoo}")
    print(medzoo.finetune(model, "your_images/", epochs=5).metrics)     # a folder of class folders
"""


def demo(work: Path, *, images: int = 120, image_size: int = 32, imagenet_weights: Path | None = None) -> Path:
    """Run the whole pipeline: synthesize, prepare, pretrain, publish, fine-tune and report.

    Args:
        work: Everything goes below this folder; created if missing.
        images: Synthetic images of each data set.
        image_size: Side of the network's input in pixels.
        imagenet_weights: A file for the IN arms, if the Hub is not available.

    Returns:
        The report, an HTML file.
    """
    started = time.perf_counter()
    data, zoo = work / "data", work / "zoo"
    with (
        _step("draw synthetic stand-ins for eight data sets (not medical images)"),
        counting("drawing", "images") as progress,
    ):
        sets = write_standins(data, images, progress=progress)
    with _step("prepare: decode once into caches"):
        for name in sets:
            cache, _ = prepared(name, data, work / "cache", size=image_size, allow_partial=True)
            say(f"  {DATASETS[name].title}: {len(cache)} images")
    inits = ("ri", "in") if _has_imagenet(work, zoo, imagenet_weights) else ("ri",)
    for entry in WEIGHTS.values():
        if entry.source and entry.init in inits:
            with _step(f"pretrain and publish {entry.name}"):
                options = PretrainOptions(
                    image_size=image_size,
                    epochs=PRETRAIN_EPOCHS,
                    batch_size=16,
                    allow_partial=True,
                    imagenet_weights=imagenet_weights if entry.init == "in" else None,
                )
                pretrain(entry.name, data, work, options)
                publish(entry.name, work, zoo)
    with _step("fine-tune every arm on a target of each area"):
        # One held-out fifth, as in the paper: folds would take five times as long.
        chosen = StudyOptions(image_size=image_size, epochs=STUDY_EPOCHS, folds=1, allow_partial=True)
        results = study(data, work, zoo, chosen, targets=TARGETS, only=_arms(inits))
    page = write_report(results, work / "study")
    say(f"\ndone in {time.perf_counter() - started:.0f} s. Held-out synthetic images, in per cent:\n")
    say((work / "study" / "table.md").read_text(encoding="utf-8"))
    say(f"report: {page}")
    say(USE.format(zoo=zoo, size=image_size))
    return page


def _arms(inits: tuple[str, ...]) -> tuple[str, ...]:
    """Return the arms that can run."""
    random = ("Domain_RI", "All_RI")
    return ("IN", "Domain_RI", "Domain_IN", "All_RI", "All_IN") if "in" in inits else random


def _has_imagenet(work: Path, zoo: Path, file: Path | None) -> bool:
    """Return whether ImageNet weights are available; print a line if not."""
    baseline = "densenet121_in"
    if file is not None:
        import_imagenet(file, work)
        publish(baseline, work, zoo)
        return True
    try:
        resolve(baseline, DEFAULT_ZOO)
    except ZooError:
        say(
            "left out: the arms pretrained on ImageNet; the Hub is not available. "
            "Give the weights with 'python -m training demo --imagenet-weights FILE'"
        )
        return False
    return True


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    say(f"- {what}")
    start = time.perf_counter()
    yield
    say(f"  {time.perf_counter() - start:.0f} s")
