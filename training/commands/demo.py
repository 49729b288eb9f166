"""The whole chain on generated drawings, through the same functions that the commands call."""

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
from training.pretraining.options import Options
from training.pretraining.pretrain import pretrain
from training.publishing.publish import publish
from training.standins import write_standins
from training.study.report import write_report
from training.study.study import Options as StudyOptions
from training.study.study import study

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
    """Draw, prepare, pretrain, publish, fine-tune and report.

    Args:
        work: Everything goes below this folder; made where missing.
        images: Drawings a data set.
        image_size: Side of the network's input in pixels.
        imagenet_weights: A file for the IN arms, where the Hub cannot be reached.

    Returns:
        The report's HTML page.
    """
    started = time.perf_counter()
    data, zoo = work / "data", work / "zoo"
    with (
        _station("draw stand-ins for eight data sets (drawings, not medical images)"),
        counting("drawing", "pictures") as progress,
    ):
        sets = write_standins(data, images, progress=progress)
    with _station("prepare: decode once into caches"):
        for name in sets:
            cache, _ = prepared(name, data, work / "cache", size=image_size, allow_partial=True)
            say(f"  {DATASETS[name].title}: {len(cache)} images")
    inits = ("ri", "in") if _has_imagenet(work, zoo, imagenet_weights) else ("ri",)
    for entry in WEIGHTS.values():
        if entry.source and entry.init in inits:
            with _station(f"pretrain and publish {entry.name}"):
                options = Options(
                    image_size=image_size,
                    epochs=PRETRAIN_EPOCHS,
                    batch_size=16,
                    allow_partial=True,
                    imagenet_weights=imagenet_weights if entry.init == "in" else None,
                )
                pretrain(entry.name, data, work, options)
                publish(entry.name, work, zoo)
    with _station("fine-tune every arm on a target of each area"):
        # One held-out fifth, as in the paper: folds would take five times as long.
        chosen = StudyOptions(image_size=image_size, epochs=STUDY_EPOCHS, folds=1, allow_partial=True)
        outcomes = study(data, work, zoo, chosen, targets=TARGETS, only=_arms(inits))
    page = write_report(outcomes, work / "study")
    say(f"\ndone in {time.perf_counter() - started:.0f} s. Held-out images of drawings, in per cent:\n")
    say((work / "study" / "table.md").read_text(encoding="utf-8"))
    say(f"report: {page}")
    say(USE.format(zoo=zoo, size=image_size))
    return page


def _arms(inits: tuple[str, ...]) -> tuple[str, ...]:
    """Without ImageNet weights, only the arms that do without them."""
    random = ("Domain_RI", "All_RI")
    return ("IN", "Domain_RI", "Domain_IN", "All_RI", "All_IN") if "in" in inits else random


def _has_imagenet(work: Path, zoo: Path, file: Path | None) -> bool:
    """Whether there are ImageNet weights; says so in one line where not."""
    baseline = "densenet121_in"
    if file is not None:
        import_imagenet(file, work)
        publish(baseline, work, zoo)
        return True
    try:
        resolve(baseline, DEFAULT_ZOO)
    except ZooError:
        say(
            "left out: the arms that start from ImageNet; the Hub cannot be reached. "
            "Give the weights with 'python -m training demo --imagenet-weights FILE'"
        )
        return False
    return True


@contextmanager
def _station(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    say(f"- {what}")
    start = time.perf_counter()
    yield
    say(f"  {time.perf_counter() - start:.0f} s")
