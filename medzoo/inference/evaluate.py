"""``evaluate``: metrics of a model on labelled images that it was not trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo._version import __version__
from medzoo.core.atomic import replacing_folder, write_json, write_text
from medzoo.core.errors import DataError, MedzooError
from medzoo.core.registry import unknown
from medzoo.data.columns import WantedColumns
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.opening import open_dataset
from medzoo.data.overview import announce, name_unreadable
from medzoo.data.positive import choose_positive
from medzoo.data.read_options import ReadOptions
from medzoo.data.splits import SPLITS
from medzoo.data.strata import Bins, check_columns
from medzoo.inference.predict import Predictions, check_batch_size, infer, load_classifier
from medzoo.inference.trained_on import training_notes
from medzoo.inference.tta import TTA
from medzoo.metrics import evaluate as measure
from medzoo.metrics.estimates import Metrics
from medzoo.metrics.subgroups import Subgroups, measure_subgroups
from medzoo.models.info import Model, ModelInfo

METRICS, PREDICTIONS, TEXT = "metrics.json", "predictions.csv", "evaluation.txt"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of ``medzoo.evaluate``.

    Attributes:
        weights: The name of the model.
        data: The name of the data set.
        metrics: The numbers, with 95 % bootstrap intervals by patient.
        predictions: Every image's probabilities.
        targets: ``float32 [N, C]`` the labels, in the columns of ``predictions``; NaN where not labelled.
        patients: ``str [N]``, an empty string where unknown; ``None`` where no patient is known.
        settings: Every option, resolved.
        notes: Remarks for the reader.
        seconds: How long it took.
        subgroups: The metrics by subgroup and the gaps between them, where ``by`` was given.
    """

    weights: str
    data: str
    metrics: Metrics
    predictions: Predictions
    targets: NDArray[np.float32]
    patients: NDArray[np.str_] | None
    settings: dict[str, Any]
    notes: tuple[str, ...]
    seconds: float
    subgroups: Subgroups | None = None

    def __str__(self) -> str:
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        groups = "" if self.subgroups is None else f"\n\n{self.subgroups}"
        return f"{self.weights} on {self.data}, {self.seconds:.0f} s\n{self.metrics}{groups}{notes}"

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics and settings, for JSON."""
        return {
            "schema": 1,
            "kind": "evaluation",
            "medzoo": __version__,
            "weights": self.weights,
            "data": self.data,
            "settings": self.settings,
            "metrics": self.metrics.to_dict(),
            **({} if self.subgroups is None else {"subgroups": self.subgroups.to_dict()}),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 1),
        }

    def save(self, folder: str | Path) -> Path:
        """Write ``metrics.json``, ``predictions.csv`` (with the true labels) and ``evaluation.txt``, all or nothing.

        Args:
            folder: The folder to make, or that of an evaluation saved before, which is replaced.

        Returns:
            The folder.

        Raises:
            MedzooError: Something else stands there.
        """
        folder = Path(folder)
        check_replaceable(folder)
        with replacing_folder(folder) as new:
            write_json(new / METRICS, self.to_dict())
            write_text(new / PREDICTIONS, self.predictions.to_csv(self._known()))
            write_text(new / TEXT, f"{self}\n")
        return folder

    def _known(self) -> dict[str, list[str]]:
        """Return the true label of each image, and its patient, as columns of the table of predictions."""
        classes = np.asarray(self.predictions.classes)
        known = {"true": ["|".join(classes[row == 1]) for row in self.targets]}
        return known if self.patients is None else {**known, "patient": self.patients.tolist()}


def evaluate(
    model: str | Path | Model,
    data: Any,
    *,
    task: str | None = None,
    split: str | None = None,
    positive: str | None = None,
    threshold: float | Sequence[float] | None = None,
    bootstrap: int = 1000,
    tta: str = "none",
    batch_size: int = 32,
    seed: int = 0,
    device: str | None = None,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    by: WantedColumns = (),
    bins: Bins | None = None,
    zoo: str | Path | None = None,
) -> Evaluation:
    """Evaluate a model on labelled images.

    The metrics say how well the model will do on other images only where it has not been trained on these, nor on other
    images of their patients (``medzoo.audit`` finds those that a weight was pretrained on).

    Args:
        model: A model made by ``create_model`` or ``finetune``, a bundle's folder, or the name of a weight that has a
            classifier.
        data: A labelled data set of any form that ``finetune`` takes. Its classes must be among the model's, by name
            and in any order; whole numbers that are no names count the model's classes from 0.
        task: What the labels are, where the model does not say.
        split: ``"train"``, ``"val"``, ``"test"`` or ``"all"`` where the data set has a split of its own; default its
            test images where it has any, else all.
        positive: The positive class of a ``binary`` task; default the model's own, which for models without a record
            of it is the last; for a model without class names as in ``finetune``.
        threshold: Probability from which the positive class (``binary``) or each class (``multilabel``) is predicted;
            default 0.5. Choose it on other images: ``medzoo.metrics.choose_operating_point``.
        bootstrap: Resamples of patients (of images, where none is known) behind the 95 % intervals; 0 for none.
        tta: As in ``predict``.
        batch_size: Images at a time.
        seed: Which resamples.
        device: ``"cpu"``, ``"cuda"`` (ROCm too), ``"mps"`` or ``"xpu"``; default: the machine's accelerator, if any.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.
        skip_unreadable: As in ``finetune``.
        by: As in ``finetune``.
        bins: As in ``finetune``.
        zoo: As in ``create_model``.

    Returns:
        Metrics with their intervals, and every prediction.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
        MedzooError: The model, the data or an option cannot be used, or the classes of the two do not agree.

    Example:
        >>> from medzoo import create_model
        >>> model = create_model("densenet121_hwsi_ri", pretrained=False, image_size=32)
        >>> found = evaluate(model, (np.zeros((4, 40, 40), np.uint8), ["malignant", "benign"] * 2), bootstrap=0)
        >>> found.metrics["auroc"].value
        0.5
    """
    started = time.perf_counter()
    given = model
    model = load_classifier(model, zoo)
    info: ModelInfo = model.medzoo
    check_batch_size(batch_size)
    transforms = TTA[tta].transforms
    reading = ReadOptions(page, max_pixels, skip_unreadable)
    found = select_split(open_labelled(model, data, task, reading, by), split)
    check_columns(found.columns, tuple(by), bins or {})
    found = replace(found, notes=(*found.notes, *training_notes(given, found, zoo)))
    announce(found)
    predictions = infer(model, found, transforms, batch_size=batch_size, device=device)
    found = found.without([(found.ids.index(name), reason) for name, reason in predictions.unreadable])
    name_unreadable(found)
    task = task or info.task or found.task
    if positive is None and task == "binary" and info.classes:
        positive = info.positive or info.classes[-1]
    positive, note = choose_positive(task, found.classes, found.counts(), positive)
    measured = (found.targets, predictions.probabilities, task, found.classes)
    options: dict[str, Any] = {"groups": found.patient_groups(), "bootstrap": bootstrap, "seed": seed}
    options |= {"threshold": threshold, "positive": positive}
    metrics = measure(*measured, **options)
    columns = {name: found.columns[name] for name in by}
    chosen = None if threshold is None else metrics.threshold
    return Evaluation(
        weights=info.weights,
        data=found.name,
        metrics=metrics,
        predictions=replace(predictions, classes=found.classes, threshold=chosen, positive=positive),
        targets=found.targets,
        patients=found.patients,
        settings={
            "tta": tta,
            "image_size": info.input.size,
            "bootstrap": bootstrap,
            "seed": seed,
            "threshold": threshold,
            "positive": positive,
        },
        notes=(*found.notes, *(f"{one.what}." for one in predictions.warnings), *([note] if note else [])),
        seconds=time.perf_counter() - started,
        subgroups=measure_subgroups(*measured, columns, bins=bins, **options) if columns else None,
    )


def open_labelled(
    model: Model, data: Any, task: str | None, reading: ReadOptions, columns: WantedColumns = ()
) -> ImageDataset[Images]:
    """Open labelled images to measure a model on, with their labels in the order of the model's outputs.

    Args:
        model: A classifier.
        data: As in ``evaluate``.
        task: As in ``evaluate``.
        reading: How the images are read.
        columns: Further columns that are to travel with the images.

    Raises:
        MedzooError: The data cannot be used, or its classes are not the model's.
    """
    info: ModelInfo = model.medzoo
    if info.classes and not info.task:  # ImageNet's thousand, which class numbers would fit by chance
        raise MedzooError(
            f"{info.weights} knows {len(info.classes)} classes ({info.classes[0]}, ...) of no medical task; "
            "fine-tune it first"
        )
    classes = info.classes or None
    wanted = task or (info.task if info.task != "multilabel" else "") or None
    known = None if isinstance(data, ImageDataset) else classes  # aligned below
    found = open_dataset(data, wanted, known, reading, columns)
    if info.task and (info.task == "multilabel") != (found.task == "multilabel"):
        raise DataError(
            f"{found.name} is {found.task}, and {info.weights} is {info.task}; give labels of the same kind: one class "
            "an image, or for multilabel a column of 1, 0 and empty for each label"
        )
    if classes is not None:
        found = found.aligned(classes)
    elif len(found.classes) == model.num_classes:
        note = f"The model has no class names: its outputs are taken to be {', '.join(found.classes)}."
        found = replace(found, notes=(*found.notes, note))
    else:
        raise MedzooError(
            f"{info.weights} has {model.num_classes} outputs without names, and {found.name} has the classes "
            f"{', '.join(found.classes)}; fine-tune it on them first"
        )
    return found


def select_split(found: ImageDataset[Images], split: str | None) -> ImageDataset[Images]:
    """Select one part of a data set's own split.

    Args:
        found: The data set.
        split: As in ``evaluate``.

    Raises:
        MedzooError: There is no such part.
    """
    if split not in (None, "all", *SPLITS):
        raise MedzooError(unknown("split", str(split), ("all", *SPLITS)))
    if found.splits is None or not (found.splits != "").any():
        if split not in (None, "all"):
            raise DataError(f"{found.name} has no split of its own; leave split out")
        return found
    parts = sorted(set(found.splits.tolist()))
    part = ("test" if "test" in parts else "all") if split is None else split
    if part == "all":
        note = f"All images are measured, whatever their own split ({', '.join(filter(None, parts))})."
        return replace(found, notes=(*found.notes, note))
    mine = found.splits == part
    if not mine.any():
        raise DataError(f"{found.name} has no {part} images; its split is {', '.join(filter(None, parts))}")
    note = f"Measured on its {int(mine.sum()):,} {part} images of {len(mine):,}."
    return replace(found.take(mine), notes=(*found.notes, note))


def check_replaceable(folder: Path) -> None:
    """Refuse to replace anything but an evaluation saved before.

    Raises:
        MedzooError: A file, or a folder of other things, stands there.
    """
    if folder.is_dir():
        there = {path.name for path in folder.iterdir()}
        if not there <= {METRICS, PREDICTIONS, TEXT}:
            raise MedzooError(f"{folder} holds other files than an evaluation; give another folder")
    elif folder.exists():
        raise MedzooError(f"{folder} is a file; give a folder to save the evaluation in")
