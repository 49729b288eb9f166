"""Helpers of all figures: no display is needed, and the user's matplotlib settings are left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from numpy.typing import NDArray

from medzoo.core.atomic import replacing_file

DPI = 120
LONGEST = 20  # characters of a class name that a figure has room for


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG; an old file stays until the new one is whole."""
    with replacing_file(path) as temporary:
        figure.set_dpi(DPI)
        FigureCanvasAgg(figure).print_png(temporary)  # savefig would lay everything out and draw it twice
    return path


def draw_curves(axes: Any, series: Mapping[str, Sequence[float | None]], ylabel: str) -> None:
    """Draw one line per name over epochs 1, 2, …; undefined values leave a gap."""
    for name, values in series.items():
        line = [np.nan if value is None else value for value in values]
        axes.plot(range(1, len(line) + 1), line, marker="o", markersize=3, linewidth=1.5, label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)
    tidy(axes)
    if len(series) > 1:
        axes.legend(fontsize=8)


def draw_image(axes: Any, image: NDArray[np.uint8]) -> None:
    """Draw an image ``uint8 [H, W, C]`` without a frame, with its grey levels as they are."""
    grey = image.shape[2] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def tidy(axes: Any) -> None:
    """Draw a light grid behind the lines, and no frame above and to the right."""
    axes.grid(alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def colours(count: int) -> list[Any]:
    """Return different colours; they repeat after twenty.

    Example:
        >>> len(set(colours(15)))
        15
    """
    palette = colormaps["tab10" if count <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    return [palette[i % len(palette)] for i in range(count)]


def drawn_names(names: Sequence[str]) -> list[str]:
    """Return class names as a figure can show them: short, in letters that the font has.

    Args:
        names: Any texts.

    Returns:
        One text for each: cut at 20 characters, with what matplotlib would read as formulas or as "not for the legend"
        escaped; ``class 3`` for the third where the user's font lacks a letter of the name.

    Example:
        >>> drawn_names(["normal", "_other", "costs $5", "a name that is far too long for a picture"])
        ['normal', ' _other', 'costs \\\\$5', 'a name that is far …']
    """
    return [_short_name(name, f"class {number}") for number, name in enumerate(names, start=1)]


def drawn_text(text: str) -> str:
    """Return any text as a figure can show it: with a square for each letter that the font lacks."""
    known = _letters(findfont(FontProperties()))
    return _escaped("".join(letter if ord(letter) in known else "□" for letter in text))


def _short_name(name: str, instead: str) -> str:
    line = " ".join(name.split())
    if not line or not {ord(letter) for letter in line} <= _letters(findfont(FontProperties())):
        return instead
    return _escaped(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")


def _escaped(text: str) -> str:
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@lru_cache(maxsize=8)
def _letters(font: str) -> frozenset[int]:
    return frozenset(get_font(font).get_charmap())
