"""``explain``: Grad-CAM heat maps of the evidence for a class.

Own code rather than the package ``grad-cam``: that one needs OpenCV and hooks into a layer which the user must name;
here the feature map is what ``forward_features`` gives, the gradient runs through the head alone, and the image
under the heat map is the one that the network saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from medzoo.core.atomic import replacing_file
from medzoo.core.errors import MedzooError
from medzoo.core.progress import bar
from medzoo.core.registry import unknown
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.read_options import ReadOptions
from medzoo.engine.augment import AUGMENTS
from medzoo.engine.devices import best_device
from medzoo.engine.loader import ImageArray, Loader, batch_slices
from medzoo.engine.losses import probabilities
from medzoo.engine.runtime import flush_denormals
from medzoo.inference.image_stream import decode_chunks, list_images
from medzoo.inference.predict import check_batch_size, load_classifier
from medzoo.models.info import Model, ModelInfo

_STRONGEST = 0.6  # opacity of the overlay where the heat is 1
_SIDE = 256  # smaller images are enlarged, by whole numbers


@dataclass(frozen=True, eq=False)
class Explanation:
    """A heat map of one image for one class.

    Attributes:
        id: The name of the image: its path, or its number.
        number: Which of the images it is, from 0.
        label: The class explained.
        probability: Of this class.
        image: ``uint8 [S, S, C]``, the image as the network saw it, C 1 or 3.
        heat: ``float32 [h, w]`` in [0, 1], on the grid of the network's last feature map: 1 at the strongest
            evidence for the class, 0 everywhere if there is none.
    """

    id: str
    number: int
    label: str
    probability: float
    image: NDArray[np.uint8]
    heat: NDArray[np.float32]

    def heat_map(self) -> NDArray[np.float32]:
        """Return the heat at the image's size, ``float32 [S, S]`` in [0, 1], bilinear between the grid's cells."""
        size = (self.image.shape[1], self.image.shape[0])
        return np.asarray(Image.fromarray(self.heat).resize(size, Image.Resampling.BILINEAR))

    def overlay(self) -> Image.Image:
        """Draw the heat over the image, from green (warm) to yellow (hot); cold regions stay unchanged.

        Returns:
            An RGB image of the image's size.
        """
        heat = self.heat_map()[..., None]
        # Viridis: its warm half is rare in X-rays, stained tissue and fundus photographs alike.
        colours = colormaps["viridis"](heat[..., 0])[..., :3] * 255
        mixed = self.image * (1 - _STRONGEST * heat) + colours * (_STRONGEST * heat)
        return Image.fromarray(np.rint(mixed).astype(np.uint8))

    def side_by_side(self) -> Image.Image:
        """Draw the image, and to its right the overlay.

        Returns:
            An RGB image, enlarged by a whole number where the image is small.
        """
        overlay = self.overlay()
        pair = Image.new("RGB", (2 * overlay.width, overlay.height))
        pair.paste(Image.fromarray(self.image.squeeze()), (0, 0))
        pair.paste(overlay, (overlay.width, 0))
        times = -(-_SIDE // overlay.height)
        return pair.resize((pair.width * times, pair.height * times), Image.Resampling.NEAREST)

    def save(self, folder: str | Path) -> Path:
        """Write the image beside its overlay as a PNG file, named by number, image, class and probability.

        Args:
            folder: Where to write.

        Returns:
            The file.
        """
        name = f"{self.number:05}_{Path(self.id).stem[:60]}_{self.label[:40]}_{self.probability:.2f}.png"
        path = Path(folder) / "".join("_" if letter in '/\\:*?"<>|' else letter for letter in name)
        with replacing_file(path) as temporary:
            self.side_by_side().save(temporary, "PNG")
        return path


def explain(
    model: str | Path | Model,
    images: Any,
    classes: Sequence[str] | None = None,
    *,
    batch_size: int = 32,
    device: str | None = None,
    skip_unreadable: bool = False,
    page: int | None = None,
    max_pixels: int | None = None,
    zoo: str | Path | None = None,
) -> Iterator[Explanation]:
    """Compute Grad-CAM for images, one after the other, so that memory does not grow with their number.

    A heat map shows where the evidence for a class lies on the coarse grid of the last feature map (7 x 7 at 224
    pixels, and hardly a map at 64); it is no segmentation, and a convincing map does not make a prediction right.

    Args:
        model: As in ``predict``; its last feature map must be an image (convolutional networks, Swin; not ViT).
        images: As in ``predict``.
        classes: Classes to explain for every image; default each image's most probable one.
        batch_size: Images at a time.
        device: As in ``predict``.
        skip_unreadable: As in ``predict``.
        page: As in ``predict``.
        max_pixels: As in ``predict``.
        zoo: As in ``create_model``.

    Yields:
        For every image, in order, an explanation for each class.

    Raises:
        UnreadableError: Images cannot be read; the error lists all of them.
        MedzooError: The model, a class or an option cannot be used.

    Example:
        >>> from medzoo import create_model
        >>> model = create_model("densenet121_hwsi_ri", pretrained=False, image_size=64)
        >>> for found in explain(model, np.zeros((80, 80), np.uint8), ["malignant"]):
        ...     print(found.label, found.heat.shape, found.overlay().size)
        malignant (2, 2) (64, 64)

    Source:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2; scaled to a maximum of 1.
    """
    model = load_classifier(model, zoo)
    check_batch_size(batch_size)
    info: ModelInfo = model.medzoo
    known = info.classes or tuple(map(str, range(model.num_classes)))
    wanted = None if classes is None else [_column(name, known) for name in classes]
    where = best_device(device)
    found = list_images(images, ReadOptions(page, max_pixels, skip_unreadable))
    return _each(model.to(where), found, known, wanted, batch_size, where)


def _column(name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise MedzooError(unknown("class", name, known))
    return known.index(name)


def _each(
    model: Model,
    data: ImageDataset[Images],
    known: Sequence[str],
    wanted: Sequence[int] | None,
    batch_size: int,
    where: torch.device,
) -> Iterator[Explanation]:
    info: ModelInfo = model.medzoo
    for chunk in decode_chunks(data.ids, data.images, info.input.geometry, reading=data.reading):
        loader = Loader([ImageArray(chunk.images, AUGMENTS["none"])], info.input, where)
        with bar("explaining", len(loader)) as advance:
            for part in batch_slices(len(loader), batch_size):
                chances, columns, heats = _explain(model, loader.batch(torch.arange(part.start, part.stop)), wanted)
                for place, number in enumerate(chunk.rows[part].tolist()):
                    for column, heat in zip(columns[place], heats[place], strict=True):
                        yield Explanation(
                            data.ids[number],
                            number,
                            known[column],
                            float(chances[place, column]),
                            chunk.images[part.start + place],
                            heat,
                        )
                advance(part.stop - part.start, "")


def _explain(
    model: Model, batch: Tensor, wanted: Sequence[int] | None
) -> tuple[NDArray[np.float32], list[list[int]], NDArray[np.float32]]:
    """Probabilities ``[B, C]``, each image's classes explained ``[B][K]`` and their heat ``[B, K, h, w]``."""
    was_training = model.training
    model.eval()
    try:
        with flush_denormals(), torch.enable_grad():
            with torch.no_grad():
                features = model.forward_features(batch)
            features.requires_grad_()  # from here on: the gradient runs through the head alone
            logits = model.forward_head(features)
            most = logits.detach().argmax(1, keepdim=True)
            columns = most if wanted is None else torch.tensor(wanted, device=batch.device).expand(len(batch), -1)
            picked = logits.gather(1, columns)
            # Images do not meet in a network at rest: the gradient of a column's sum is each image's own.
            heats = [
                cam(_channels_first(model, features.detach()), _channels_first(model, gradient))
                for column in picked.unbind(1)
                for gradient in torch.autograd.grad(column.sum(), features, retain_graph=True)
            ]
    finally:
        model.train(was_training)
    chances = probabilities(logits.detach(), model.medzoo.task)
    return chances, columns.tolist(), torch.stack(heats, 1).cpu().numpy()


def _channels_first(model: Model, features: Tensor) -> Tensor:
    if features.ndim != 4:
        raise MedzooError(
            f"Grad-CAM needs a feature map [N, C, h, w]; {model.medzoo.arch} gives {list(features.shape)}: use a "
            "convolutional network"
        )
    return features.permute(0, 3, 1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else features


def cam(features: Tensor, gradient: Tensor) -> Tensor:
    """Weight a feature map's channels by their mean gradient, keep positive evidence, and scale it.

    Args:
        features: ``float32 [N, C, h, w]``.
        gradient: Of a class's logit, the same shape.

    Returns:
        ``float32 [N, h, w]`` with a maximum of 1, or 0 everywhere without positive evidence.
    """
    heat = (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu()
    highest = heat.amax((1, 2), keepdim=True)
    return (heat / highest.where(highest > 0, torch.ones_like(highest))).float()
