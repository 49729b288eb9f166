"""``predict``: class probabilities for images in any form."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medzoo.core.atomic import write_json, write_text
from medzoo.core.errors import DataError, MedzooError
from medzoo.core.progress import bar, say
from medzoo.data.dataset import Files, ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.image_checks import ImageChecks, ImageWarning
from medzoo.data.overview import announce
from medzoo.data.read_options import ReadOptions
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.devices import best_device
from medzoo.engine.loader import ImageArray, Loader, batch_slices, predict_logits
from medzoo.engine.losses import probabilities
from medzoo.engine.runtime import channels_last, flush_denormals
from medzoo.inference.image_stream import decode_chunks, list_images
from medzoo.inference.tta import TTA, TransformedBatches, TTATransform
from medzoo.models.create import create_model
from medzoo.models.info import Model, ModelInfo


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities for some images.

    Attributes:
        ids: The name of each image: its path, or its number.
        classes: Names of the columns.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.
        probabilities: ``float32 [N, C]``; rows add up to 1 unless ``multilabel``.
        unreadable: Images that were left out, each with the reason.
        threshold: Probability from which the positive class (``binary``: one number) or each class (``multilabel``: C
            numbers) is predicted, where another was chosen than 0.5.
        positive: The positive class of a ``binary`` task; empty: the last.
        warnings: What looks wrongly read among the images: black, constant, or inverted against the rest.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    task: str
    probabilities: NDArray[np.float32]
    unreadable: tuple[tuple[str, str], ...] = ()
    threshold: tuple[float, ...] | None = None
    positive: str = ""
    warnings: tuple[ImageWarning, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> list[str]:
        """The most probable class of each image; for ``multilabel`` all from 0.5 or ``threshold``, joined by ``|``."""
        if self.task == "multilabel":
            return ["|".join(np.asarray(self.classes)[row >= (self.threshold or 0.5)]) for row in self.probabilities]
        if self.task == "binary" and self.threshold is not None:
            column = self.classes.index(self.positive) if self.positive else 1
            found = self.probabilities[:, column] >= self.threshold[column]
            return [self.classes[column if hit else 1 - column] for hit in found]
        return [self.classes[i] for i in self.probabilities.argmax(1)]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dictionary per image, for JSON or a table."""
        columns = self._probability_columns(("image", "label"))
        return [
            {"image": name, "label": label, **{c: round(float(p), 6) for c, p in zip(columns, row, strict=True)}}
            for name, label, row in zip(self.ids, self.labels, self.probabilities, strict=True)
        ]

    def to_csv(self, known: Mapping[str, Sequence[str]] | None = None) -> str:
        """Return CSV text: image, label, and one column per class.

        Args:
            known: More columns, behind the image: name to N texts.
        """
        first = ("image", *(known or {}), "label")
        columns = list((known or {}).values())
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*first, *self._probability_columns(first)))
        for name, *more, label, row in zip(self.ids, *columns, self.labels, self.probabilities, strict=True):
            writer.writerow((name, *more, label, *(f"{p:.6f}" for p in row)))
        return text.getvalue()

    def _probability_columns(self, taken: Sequence[str]) -> list[str]:
        """Return a column name for each class: its own, or with ``probability`` where another column is so called."""
        names = set(self.classes) | set(taken)
        columns = []
        for name in self.classes:
            column = name
            while column in taken or (column != name and column in names):
                column = f"{column} probability"
            columns.append(column)
        return columns

    def save(self, path: str | Path) -> Path:
        """Write a CSV or JSON file, by its suffix.

        Raises:
            DataError: The suffix is another.
        """
        path = Path(path)
        check_suffix(path)
        if path.suffix == ".json":
            write_json(path, self.to_dicts())
        else:
            write_text(path, self.to_csv())
        return path


def check_suffix(path: Path) -> None:
    """Refuse a path that ends in neither ``.csv`` nor ``.json``.

    Raises:
        DataError: By its suffix it is another.
    """
    if path.suffix not in (".csv", ".json"):
        raise DataError(f"predictions cannot be written as {path.suffix or 'a file without suffix'}; use .csv or .json")


def predict(
    model: str | Path | Model,
    images: Any,
    *,
    tta: str = "none",
    batch_size: int = 32,
    device: str | None = None,
    skip_unreadable: bool = False,
    page: int | None = None,
    max_pixels: int | None = None,
    zoo: str | Path | None = None,
) -> Predictions:
    """Predict class probabilities.

    Files are decoded on all cores, some thousands at a time, before the network sees them: what cannot be read is named
    at the start. The same image as path, PIL image, array or tensor gives the same probabilities, to the last bit.

    Args:
        model: A model made by ``create_model`` or ``finetune``, a bundle's folder or a weight's name.
        images: A file, a folder (searched below for names that end as an image's do; DICOM files without an ending are
            read where their paths are given), or one or several paths, PIL images, arrays or tensors.
        tta: Test-time augmentation: a name in ``medzoo.inference.tta.TTA``, best the one the model was trained with as
            ``augment``; probabilities are the mean over 5 small shifts (``light``, ``cxr``), 4 mirrorings (``efi``) or
            8 mirrorings and quarter turns (``hwsi``), and take as many times longer.
        batch_size: Images at a time.
        device: ``"cpu"``, ``"cuda"`` (ROCm too), ``"mps"`` or ``"xpu"``; default: the machine's accelerator, if any.
        skip_unreadable: Leave out images that cannot be read, and folders that cannot be opened, and list them in
            ``.unreadable``.
        page: As in ``medzoo.read_image``.
        max_pixels: As in ``medzoo.read_image``.
        zoo: As in ``create_model``.

    Returns:
        Probabilities with class names.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
        MedzooError: The model or an option cannot be used.

    Example:
        >>> model = create_model("densenet121_efi_ri", pretrained=False, image_size=64)
        >>> len(predict(model, [np.zeros((80, 80), np.uint8)]))
        1
    """
    model = load_classifier(model, zoo)
    check_batch_size(batch_size)
    transforms = TTA[tta].transforms
    found = list_images(images, ReadOptions(page, max_pixels, skip_unreadable))
    if isinstance(found.images, Files):  # where something may have been left out
        announce(found)
    predictions = infer(model, found, transforms, batch_size=batch_size, device=device)
    return replace(predictions, unreadable=(*found.unreadable, *predictions.unreadable))


def load_classifier(model: str | Path | Model, zoo: str | Path | None = None) -> Model:
    """Load a model that predicts classes.

    Args:
        model: As in ``predict``.
        zoo: As in ``create_model``.

    Raises:
        MedzooError: It gives features, or was made by neither ``create_model`` nor ``finetune``.
    """
    if isinstance(model, (str, Path)):
        model = create_model(model, zoo=zoo)
    info: ModelInfo | None = getattr(model, "medzoo", None)
    if info is None:
        raise MedzooError(
            f"a {type(model).__name__} does not define how images are prepared; make it with medzoo.create_model, "
            "or fine-tune it with medzoo.finetune first"
        )
    if info.head == "features":
        raise MedzooError("a model made with features_only=True gives feature maps, not classes; make it without")
    if info.head == "none":
        raise MedzooError(f"{info.weights} has no head and gives features, not predictions; fine-tune it first")
    return model


def check_batch_size(batch_size: int) -> None:
    """Refuse an impossible batch size.

    Raises:
        MedzooError: It is less than 1.
    """
    if batch_size < 1:
        raise MedzooError(f"batch_size is {batch_size}; give 1 or more")


def infer(
    model: Model, data: ImageDataset[Images], transforms: Sequence[TTATransform], *, batch_size: int, device: str | None
) -> Predictions:
    """Predict images that are already listed, and say on stderr which look wrongly read.

    Args:
        model: From ``classifier``.
        data: The images, in any form; labels are not used.
        transforms: Their probabilities are averaged.
        batch_size: As in ``predict``.
        device: As in ``predict``.

    Returns:
        Probabilities with class names; ``unreadable`` lists what ``data.reading`` says is to be skipped.

    Raises:
        UnreadableError: As in ``predict``.
    """
    info: ModelInfo = model.medzoo
    where, names = best_device(device), data.ids
    rows: list[int] = []
    found: list[NDArray[np.float32]] = []
    unreadable: list[tuple[str, str]] = []
    checks = ImageChecks()
    with channels_last(model, where), flush_denormals():
        for chunk in decode_chunks(names, data.images, info.input.geometry, reading=data.reading):
            loader = Loader([ImageArray(chunk.images, AUGMENTS["none"])], info.input, where)
            rows += chunk.rows.tolist()
            if not isinstance(data.images, np.ndarray):  # as before training: their owner has seen those
                checks.add(chunk.images)
            unreadable += [(names[index], reason) for index, reason in chunk.unreadable]
            with bar("predicting", len(loader)) as advance:
                for part in batch_slices(len(loader), batch_size):
                    found.append(_mean_over(model, loader, torch.arange(part.start, part.stop), transforms, info.task))
                    advance(part.stop - part.start, "")
    stacked = np.concatenate(found)
    classes = info.classes or tuple(map(str, range(stacked.shape[1])))
    ids = tuple(names[row] for row in rows)
    warnings = checks.warnings(ids)
    for warning in warnings:
        say(f"warning: {warning}")
    return Predictions(ids, classes, info.task, stacked, tuple(unreadable), warnings=warnings)


def _mean_over(
    model: Model, loader: Loader, rows: Tensor, transforms: Sequence[TTATransform], task: str
) -> NDArray[np.float32]:
    """Return the mean of a batch's probabilities over the transforms."""
    seen = [
        probabilities(predict_logits(model, TransformedBatches(loader, one), rows, len(rows)), task)
        for one in transforms
    ]
    return np.stack(seen).mean(0)
