"""Pooled features of a network, computed once, for probes, transferability scores and scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medzoo.core.atomic import replacing_file
from medzoo.core.progress import bar
from medzoo.data.dataset import Examples
from medzoo.data.opening import open_dataset
from medzoo.data.overview import name_unreadable
from medzoo.data.read_options import ReadOptions
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.devices import best_device
from medzoo.engine.loader import ImageArray, Loader, forward_batches
from medzoo.engine.runtime import channels_last, flush_denormals
from medzoo.models.create import create_model
from medzoo.models.info import Model, pooled_features


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a data set, row by row with its labels.

    Attributes:
        weights: The name of the network.
        values: ``float32 [N, F]``.
        examples: The images and labels they belong to.
    """

    weights: str
    values: NDArray[np.float32]
    examples: Examples

    def save(self, path: str | Path) -> Path:
        """Write a compressed ``.npz`` file: ``features``, ``targets``, ``ids``, ``groups``, ``classes``; no pickles.

        Args:
            path: The file.

        Returns:
            The file.
        """
        with replacing_file(Path(path)) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                features=self.values,
                targets=self.examples.targets,
                ids=np.asarray(self.examples.ids),
                groups=self.examples.groups,
                classes=np.asarray(self.examples.classes),
            )
        return Path(path)


def extract_features(
    model: str | Path | Model,
    data: Any,
    *,
    task: str | None = None,
    image_size: int | None = None,
    batch_size: int = 32,
    device: str | None = None,
    page: int | None = None,
    max_pixels: int | None = None,
    skip_unreadable: bool = False,
    zoo: str | Path | None = None,
) -> Features:
    """Compute the features that a head would be put on, in evaluation mode and without augmentation.

    Args:
        model: A weight's name, a bundle's folder, or a model made by ``create_model``.
        data: A labelled data set of any form that ``finetune`` takes.
        task: As in ``finetune``.
        image_size: Another input size than the weight's, in pixels; for a name or folder.
        batch_size: Images at a time; fewer where a GPU's memory is short.
        device: ``"cpu"``, ``"cuda"`` (ROCm too), ``"mps"`` or ``"xpu"``; default: the machine's accelerator, if any.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.
        skip_unreadable: As in ``finetune``.
        zoo: As in ``create_model``.

    Returns:
        ``float32 [N, F]`` with ids and labels.

    Raises:
        MedzooError: The weight or the data cannot be used.

    Example:
        >>> model = create_model("densenet121_efi_ri", pretrained=False, image_size=32)
        >>> extract_features(model, (np.zeros((4, 40, 40), np.uint8), [0, 1, 0, 1])).values.shape
        (4, 1024)
    """
    if isinstance(model, (str, Path)):
        model = create_model(model, head=None, zoo=zoo, image_size=image_size)
    contract = model.medzoo.input
    reading = ReadOptions(page, max_pixels, skip_unreadable)
    examples = open_dataset(data, task, reading=reading).decode(contract.geometry)
    name_unreadable(examples)
    where = best_device(device)
    model.eval()
    loader = Loader([ImageArray(examples.images, AUGMENTS["none"])], contract, where)
    parts = []
    with channels_last(model, where), flush_denormals(), bar("computing features", len(examples)) as advance:
        for part in forward_batches(partial(pooled_features, model), loader, torch.arange(len(examples)), batch_size):
            parts.append(part.numpy())
            advance(len(part), "")
    return Features(model.medzoo.weights, np.concatenate(parts), examples)
