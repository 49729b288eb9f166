"""The whole pipeline in minutes, through the commands' functions: pretraining on drawings, fine-tuning on tissue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medzoo.core.errors import ZooError
from medzoo.core.progress import counting, say
from medzoo.finetuning.finetune import finetune
from medzoo.zoo import preview
from medzoo.zoo.mirror import mirror
from medzoo.zoo.resolve import DEFAULT_ZOO, resolve
from medzoo.zoo.weights import arms
from training.cache.load import prepared
from training.datasets import DATASETS
from training.pretraining.imagenet import import_imagenet
from training.pretraining.options import PretrainOptions
from training.pretraining.pretrain import pretrain
from training.publishing.publish import publish
from training.standins import write_standins
from training.study.report import write_report
from training.study.study import StudyOptions, study

# Real tiles, of which README.md there tells source and licence.
TILES = Path(__file__).parents[1] / "demo_data"
TARGET = "crc_val_he_7k"
BASELINE = "densenet121_in"
# What a study of tissue compares: one domain and all three; of previews and of weights made here.
PREVIEWS = ("densenet121_hwsi_in", "densenet121_all_in")
PRETRAINED = ("densenet121_hwsi_ri", "densenet121_all_ri")
SOURCES = ("chestxray14", "breakhis", "eyepacs")
PRETRAIN_EPOCHS, STUDY_EPOCHS, FINETUNE_EPOCHS = 4, 6, 6
BATCH = 8  # of 58 training tiles: small batches give enough steps

USE = """
The same in Python, on images of your own (a folder of class folders):

    import medzoo
    report = medzoo.finetune("{name}", "your_images/", epochs=5, image_size=96, zoo="{zoo}")
    report.save("my_model/")
"""


def demo(work: Path, *, images: int = 120, image_size: int = 32, imagenet_weights: Path | None = None) -> Path:
    """Run the whole pipeline: draw, prepare, pretrain, publish; then fine-tune, compare and report on real tissue.

    Args:
        work: Everything goes below this folder; created if missing.
        images: Synthetic images of each data set of pretraining.
        image_size: Side of the network's input in pretraining, in pixels.
        imagenet_weights: A file for the arm IN, if the Hub is not available.

    Returns:
        The report of the fine-tuned model, an HTML file.
    """
    started = time.perf_counter()
    data, zoo = work / "data", work / "zoo"
    with (
        _step("draw synthetic stand-ins for the three data sets of pretraining (not medical images)"),
        counting("drawing", "images") as progress,
    ):
        sets = write_standins(data, dict.fromkeys(SOURCES, images), progress=progress)
    with _step("prepare: decode once into caches"):
        for name in sets:
            cache, _ = prepared(name, data, work / "cache", size=image_size, allow_partial=True)
            say(f"  {DATASETS[name].title}: {len(cache)} images")
    for name in PRETRAINED:
        with _step(f"pretrain {name} on the drawings and publish it to {zoo}"):
            options = PretrainOptions(image_size=image_size, epochs=PRETRAIN_EPOCHS, batch_size=16, allow_partial=True)
            pretrain(name, data, work, options)
            publish(name, work, zoo)
    names = [*PRETRAINED, *_add_imagenet(work, zoo, imagenet_weights), *_add_previews(zoo)]
    best = next(name for name in (*PREVIEWS, *PRETRAINED) if name in names)
    with _step("compare all these weights, fine-tuned on real tissue"):
        # One held-out fifth, as in the paper: folds would take five times as long.
        chosen = StudyOptions(image_size=64, epochs=STUDY_EPOCHS, batch_size=BATCH, folds=1, allow_partial=True)
        found = [arm for arm, name in arms(DATASETS[TARGET].area).items() if name in names]
        table = write_report(study(TILES, work, zoo, chosen, targets=(TARGET,), only=found), work / "study")
    with _step(f"fine-tune {best} on the tissue, and report"):
        tiles = TILES / DATASETS[TARGET].folders[0]
        report = finetune(best, tiles, epochs=FINETUNE_EPOCHS, batch_size=BATCH, image_size=96, augment="hwsi", zoo=zoo)
        report.save(work / "model")
    say(f"\ndone in {time.perf_counter() - started:.0f} s. Held-out tissue tiles, in per cent:\n")
    say((work / "study" / "table.md").read_text(encoding="utf-8"))
    say(f"comparison: {table}")
    say(f"fine-tuned model, with images of tissue in its report: {work / 'model' / 'report.html'}")
    say(USE.format(zoo=zoo, name=best))
    return work / "model" / "report.html"


def _add_imagenet(work: Path, zoo: Path, file: Path | None) -> list[str]:
    """Add the ImageNet weights to the demo's zoo, if they are available; print a line if not."""
    if file is not None:
        import_imagenet(file, work)
        publish(BASELINE, work, zoo)
        return [BASELINE]
    try:
        resolve(BASELINE, DEFAULT_ZOO)
    except ZooError:
        say(
            "left out: ImageNet weights; the Hub is not available. "
            "Give them with 'python -m training demo --imagenet-weights FILE'"
        )
        return []
    return [BASELINE]


def _add_previews(zoo: Path) -> list[str]:
    """Copy the preview weights that are here into the demo's zoo; print a line if there are none."""
    names = [name for name in PREVIEWS if name in preview.preview_pins()]
    if not names:
        say(
            f"left out: preview weights; {preview.PREVIEW} has none. Fine-tuning uses the weights pretrained on the "
            "drawings, which know nothing of tissue"
        )
        return []
    mirror(zoo, names, preview.PREVIEW)
    return names


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    say(f"- {what}")
    start = time.perf_counter()
    yield
    say(f"  {time.perf_counter() - start:.0f} s")
