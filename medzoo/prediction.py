"""``predict``: probabilities with class names, for images in any form."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medzoo.augment import AUGMENTS
from medzoo.batches import Part, Pool, in_order, predict_logits
from medzoo.errors import DataError, MedzooError
from medzoo.execution import best_device, flushed_denormals
from medzoo.files import write_json, write_text
from medzoo.images import as_array
from medzoo.losses import probabilities
from medzoo.model import create_model
from medzoo.modelinfo import Model, ModelInfo
from medzoo.progress import bar
from medzoo.userdata import image_files


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities for some images.

    Attributes:
        ids: What each image is called: its path, or its number.
        classes: Names of the columns.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.
        probabilities: ``float32 [N, C]``; rows add up to 1 unless ``multilabel``.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    task: str
    probabilities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> list[str]:
        """Each image's most probable class; for ``multilabel`` those of at least 0.5, joined by ``|``."""
        if self.task != "multilabel":
            return [self.classes[i] for i in self.probabilities.argmax(1)]
        return ["|".join(np.asarray(self.classes)[row >= 0.5]) for row in self.probabilities]

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary an image, for JSON or a table."""
        return [
            {"image": name, "label": label, **{c: round(float(p), 6) for c, p in zip(self.classes, row, strict=True)}}
            for name, label, row in zip(self.ids, self.labels, self.probabilities, strict=True)
        ]

    def to_csv(self) -> str:
        """A CSV text: image, label, and a column a class."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("image", "label", *self.classes))
        for name, label, row in zip(self.ids, self.labels, self.probabilities, strict=True):
            writer.writerow((name, label, *(f"{p:.6f}" for p in row)))
        return text.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write a file; its suffix says whether CSV or JSON.

        Raises:
            DataError: The suffix is another.
        """
        path = Path(path)
        if path.suffix == ".json":
            write_json(path, self.to_dicts())
        elif path.suffix == ".csv":
            write_text(path, self.to_csv())
        else:
            raise DataError(
                f"predictions cannot be written as {path.suffix or 'a file without suffix'}; use .csv or .json"
            )
        return path


def predict(model: str | Path | Model, images: Any, *, batch_size: int = 32, device: str | None = None) -> Predictions:
    """Predict.

    Args:
        model: A model made by ``create_model`` or ``finetune``, a bundle's folder or a weight's name.
        images: A file, a folder (searched below), or one or several paths, PIL images, arrays or tensors.
        batch_size: Images at a time.
        device: ``"cpu"`` or ``"cuda"``; default: a GPU where there is one.

    Returns:
        Probabilities with class names.

    Raises:
        MedzooError: The model or an image cannot be used; the image is named.

    Example:
        >>> model = create_model("densenet121_efi_ri", pretrained=False, image_size=64)
        >>> len(predict(model, [np.zeros((80, 80), np.uint8)]))
        1
    """
    if isinstance(model, (str, Path)):
        model = create_model(model)
    info: ModelInfo = model.medzoo
    if info.head == "features":
        raise MedzooError("a model made with features_only=True gives feature maps, not classes; make it without")
    if info.head == "none":
        raise MedzooError(f"{info.weights} has no head and gives features, not predictions; fine-tune it first")
    if batch_size < 1:
        raise MedzooError(f"batch_size is {batch_size}; give 1 or more")
    names, items = _listed(images)
    if not items:
        raise DataError("there are no images to predict; give paths, a folder with images, arrays or tensors")
    where = best_device(device)
    model.to(where)
    logits = []
    with flushed_denormals(), bar("predicting", len(items)) as advance:
        for part in in_order(len(items), batch_size):
            arrays = np.stack([as_array(item, info.input.geometry) for item in items[part]])
            pool = Pool([Part(arrays, AUGMENTS["none"])], info.input, where)
            logits.append(predict_logits(model, pool, torch.arange(len(arrays)), batch_size))
            advance(len(arrays), "")
    stacked = torch.cat(logits)
    classes = info.classes or tuple(map(str, range(stacked.shape[1])))
    return Predictions(names, classes, info.task, probabilities(stacked, info.task))


def _listed(images: Any) -> tuple[tuple[str, ...], list[Any]]:
    """Names and items of whatever was given."""
    if isinstance(images, (str, Path)):
        path = Path(images)
        if path.is_dir():
            found = image_files(path)
            return tuple(found), [path / name for name in found]
        return (str(images),), [path]
    alone = isinstance(images, Image.Image) or (isinstance(images, (np.ndarray, torch.Tensor)) and images.ndim < 4)
    items = [images] if alone or not isinstance(images, Iterable) else list(images)
    return tuple(str(x) if isinstance(x, (str, Path)) else str(i) for i, x in enumerate(items)), items
