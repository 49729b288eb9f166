"""``look``: what is in a data set, and what looks wrong, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medzoo.core.errors import DataError, InputError, UnreadableError
from medzoo.data.dataset import ImageDataset
from medzoo.data.decoding import Images
from medzoo.data.file_headers import Header, spread
from medzoo.data.geometry import Geometry
from medzoo.data.image_checks import ImageWarning, check_images, reduced
from medzoo.data.normalize import some
from medzoo.data.opening import open_dataset, open_images
from medzoo.data.overview import Overview, headers_of, overview_of
from medzoo.data.read_options import ReadOptions
from medzoo.reporting.data_figure import SUSPECTS, Shown, brightness, chosen, class_names, draw_data
from medzoo.reporting.plots import save_figure

DECODED = 5000  # images that are decoded; of a larger set so many, evenly spread


@dataclass(frozen=True, eq=False)
class Look:
    """The result of ``medzoo.look``.

    Attributes:
        overview: What was found.
        decoded: How many images were decoded.
        flagged: The images that look wrong, of each kind.
        unreadable: (name, reason) of the images, folders and files that cannot be read.
        shown: What the figure shows.
    """

    overview: Overview
    decoded: int
    flagged: tuple[ImageWarning, ...]
    unreadable: tuple[tuple[str, str], ...]
    shown: Shown

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks wrong, one sentence each."""
        return tuple(self.overview.warnings)

    def __str__(self) -> str:
        return f"{self.overview}\n  {self._verdict()}"

    def _verdict(self) -> str:
        of = self.overview.images
        sample = f"{self.decoded:,} of {of:,} images" if self.decoded < of else f"all {of:,} images"
        return f"decoded: {sample}; {len(self.warnings) or 'no'} warning{'s' * (len(self.warnings) != 1)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the overview, and the names of all flagged images, for JSON."""
        return {
            **self.overview.to_dict(),
            "decoded": self.decoded,
            "flagged": {one.kind: list(one.ids) for one in self.flagged},
            "unreadable": dict(self.unreadable),
        }

    @overload
    def plot(self, path: None = None) -> Figure: ...

    @overload
    def plot(self, path: str | Path) -> Path: ...

    def plot(self, path: str | Path | None = None) -> Figure | Path:
        """Draw some images of each class as the network gets them, flagged ones in red, and two histograms.

        Args:
            path: The PNG file to write; by default nothing is written.

        Returns:
            The file; without ``path`` the matplotlib figure, which a notebook shows.
        """
        figure = draw_data(self.shown)
        return figure if path is None else save_figure(figure, Path(path))


def look(
    data: Any,
    *,
    task: str | None = None,
    image_size: int = 224,
    page: int | None = None,
    max_pixels: int | None = None,
) -> Look:
    """Look at a data set before training: what was found and left out, and which images look wrong.

    Nothing is changed. Images that cannot be read are listed, and are no error; at most 5,000 images are decoded.

    Args:
        data: Anything that ``finetune`` takes; or a folder of images without labels.
        task: As in ``finetune``.
        image_size: Side in pixels of the images as the network gets them.
        page: As in ``finetune``.
        max_pixels: As in ``finetune``.

    Returns:
        What was found: ``print`` it, or use ``.overview``, ``.warnings``, ``.plot(path)`` and ``.to_dict()``.

    Raises:
        DataError: There is no such data, or no image in it.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 40, 40), dtype=np.uint8)
        >>> images[3] = 0
        >>> found = look((images, ["cat", "dog", "dog", "dog"]), image_size=32)
        >>> found.warnings, found.overview.counts
        (('1 of 4 images are nearly black: 3',), {'cat': 1, 'dog': 3})
    """
    if image_size < 1:
        raise InputError(f"image_size is {image_size}; give a number of pixels, such as 224")
    found, problems = _open(data, task, ReadOptions(page, max_pixels, skip_unreadable=True))
    geometry = Geometry(image_size, image_size, "center")
    headers = [] if isinstance(found.images, np.ndarray) else headers_of(found, DECODED)
    sample = found.take(spread(len(found), DECODED)) if len(found) > DECODED else found
    shape = reduced(np.empty((1, image_size, image_size, geometry.channels), np.uint8)).shape
    small = np.empty((len(sample), *shape[1:]), np.uint8)
    rejected: list[tuple[int, str]] = []
    for row, (image,) in sample.decode_each(geometry, rejected=rejected):
        small[row] = reduced(image[None])[0]
    small = np.delete(small, [row for row, _ in rejected], axis=0)
    sample = sample.without(rejected)
    flagged = check_images(small, sample.ids)
    if sample.unreadable:
        named = some((reason for _, reason in sample.unreadable), 3)
        problems = (*problems, f"{len(sample.unreadable):,} images or folders cannot be read: {named}")
    overview = overview_of(found, headers)
    warnings = (*problems, *overview.warnings, *map(str, flagged))
    overview = replace(overview, warnings=warnings, skipped=dict(sample.skipped))
    return Look(
        overview, len(sample), flagged, sample.unreadable, _shown(sample, flagged, geometry, brightness(small), headers)
    )


def _open(data: Any, task: str | None, reading: ReadOptions) -> tuple[ImageDataset[Images], tuple[str, ...]]:
    """Open a data set; a folder whose labels cannot be read is looked at without, with a warning that says why."""
    try:
        return open_dataset(data, task, reading=reading), ()
    except UnreadableError:
        raise
    except DataError as error:
        if not isinstance(data, (str, Path)) or not Path(data).is_dir():
            raise
        return open_images(data, reading), (f"this cannot be trained on: {error}",)


def _shown(
    sample: ImageDataset[Images],
    flagged: Sequence[ImageWarning],
    geometry: Geometry,
    levels: NDArray[np.float32],
    headers: Sequence[Header],
) -> Shown:
    """Decode the images of the contact sheet: some of each class, and the first of each kind that looks wrong."""
    wanted = chosen(sample.targets)
    suspects = [(sample.ids.index(name), one.kind) for one in flagged for name in one.ids[: SUSPECTS // len(flagged)]]
    rows = list(dict.fromkeys([*wanted, *(row for row, _ in suspects)]))
    images = dict(zip(rows, sample.take(rows).decode(geometry).images, strict=True))
    return Shown(
        sample.name,
        [images[row] for row in wanted],
        class_names(sample.targets[wanted], sample.classes),
        [sample.ids[row] for row in wanted],
        levels,
        [(images[row], kind.partition(" (")[0], sample.ids[row]) for row, kind in suspects],
        headers,
    )
