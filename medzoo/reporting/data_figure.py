"""The figure of a data set: a contact sheet of what the network sees, and histograms of brightness and size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medzoo.data.dataset import Examples
from medzoo.data.file_headers import Header, spread
from medzoo.data.image_checks import reduced
from medzoo.reporting.plots import draw_image, drawn_names, drawn_text, tidy

MOST = 24  # images of the classes
SUSPECTS = 6  # of those that look wrong
_COLUMNS = 6
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Shown:
    """What the figure shows.

    Attributes:
        title: The data set.
        images: At most 24 images ``uint8 [H, W, C]``, those of a class together.
        classes: The class of each, in letters that a figure can show; an empty text where none is known.
        names: The name of each.
        brightness: ``float32 [N]``, the mean grey level of each image that was decoded, 0 to 255.
        suspects: (image, what is wrong, name) of some that look wrong.
        headers: Of some images, for the histogram of sizes; empty for none.
    """

    title: str
    images: Sequence[NDArray[np.uint8]]
    classes: Sequence[str]
    names: Sequence[str]
    brightness: NDArray[np.float32]
    suspects: Sequence[tuple[NDArray[np.uint8], str, str]] = ()
    headers: Sequence[Header] = ()

    @classmethod
    def of(cls, examples: Examples) -> Shown:
        """Return what the figure shows of a decoded data set."""
        rows = chosen(examples.targets)
        parts = [examples.images[start : start + _CHUNK] for start in range(0, len(examples), _CHUNK)]
        return cls(
            examples.name,
            [examples.images[row] for row in rows],
            class_names(examples.targets[rows], examples.classes),
            [examples.ids[row] for row in rows],
            np.concatenate([brightness(part) for part in parts]),
        )


def chosen(targets: NDArray[np.float32]) -> list[int]:
    """Choose the images to show: as many of each class, evenly spread.

    Args:
        targets: ``float32 [N, C]``; C 0 where there are no classes.

    Returns:
        At most 24 rows, each once, those of a class together.

    Example:
        >>> chosen(np.eye(2, dtype=np.float32)[[0] * 40 + [1] * 40])[10:14]
        [35, 39, 40, 44]
    """
    count, classes = targets.shape
    if not classes:
        return spread(count, MOST)
    rows: dict[int, None] = {}
    for column in range(classes):
        mine = np.array([row for row in np.flatnonzero(targets[:, column] == 1) if row not in rows], int)
        rows |= dict.fromkeys(mine[spread(len(mine), max(1, MOST // classes))].tolist())
    return list(rows)[:MOST] or spread(count, MOST)


def class_names(targets: NDArray[np.float32], classes: Sequence[str]) -> list[str]:
    """Return the classes of some images as a figure can show them: ``mass + 2`` for one of three labels."""
    names = drawn_names(classes)
    texts = []
    for row in targets:
        own = np.flatnonzero(row == 1)
        more = f" + {len(own) - 1}" if len(own) > 1 else ""
        texts.append(f"{names[own[0]]}{more}" if len(own) else "")
    return texts


def brightness(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean grey level of each image, 0 to 255, of the pixels that ``check_images`` looks at."""
    return np.asarray(reduced(images).mean((1, 2, 3)), np.float32)


def draw_data(shown: Shown) -> Figure:
    """Draw the contact sheet, and the histograms below it."""
    tiles = [
        (image, kind, name, False) for image, kind, name in zip(shown.images, shown.classes, shown.names, strict=True)
    ] + [(image, what, name, True) for image, what, name in shown.suspects]
    rows = math.ceil(len(tiles) / _COLUMNS)
    figure = Figure(figsize=(2.05 * _COLUMNS, 2.35 * rows + 3.2), layout="constrained")
    figure.suptitle(f"{drawn_text(shown.title)}: as the network gets the images", fontsize=11)
    parts: Any = figure.subfigures(2, 1, height_ratios=(max(2.35 * rows, 0.01), 2.9))
    top, bottom = parts
    for number, (image, text, name, suspect) in enumerate(tiles):
        axes: Any = top.add_subplot(rows, _COLUMNS, number + 1)
        draw_image(axes, image)
        axes.set_title(text, fontsize=8, loc="left", color="tab:red" if suspect else "black")
        axes.set_xlabel(drawn_text(name if len(name) <= 30 else "…" + name[-29:]), fontsize=6, color="0.45", loc="left")
    left, right = bottom.subplots(1, 2)
    left.hist(shown.brightness, bins=np.linspace(0, 256, 65))
    left.set_xlabel("brightness: mean grey level, 0 black to 255 white")
    left.set_ylabel("images")
    tidy(left)
    if shown.headers:
        _draw_sizes(right, shown.headers)
    else:
        right.set_visible(False)
    return figure


def _draw_sizes(axes: Any, headers: Sequence[Header]) -> None:
    """A histogram of width and height; on a logarithmic scale where they differ much."""
    sides = np.array([(header.width, header.height) for header in headers])
    low, high = int(sides.min()), int(sides.max())
    far = high > 4 * low
    bins = np.geomspace(low, high, 33) if far else np.linspace(0, 1.05 * high, 43)
    for column, name in enumerate(("width", "height")):
        axes.hist(sides[:, column], bins=bins, alpha=0.6, label=name)
    if far:
        axes.set_xscale("log")
    axes.set_xlabel("pixels, of the files")
    axes.set_ylabel("files")
    axes.legend(fontsize=8)
    tidy(axes)
