"""What ``medzoo.compare`` returns: a comparison that draws itself and writes its report."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from matplotlib.figure import Figure

from medzoo.comparison.comparison import Comparison
from medzoo.comparison.report import View, draw, save
from medzoo.reporting.plots import save_figure


class ComparisonResult(Comparison):
    """Several starts on one data set, with pictures and a report; its numbers are those of ``Comparison``."""

    @overload
    def plot(self, path: None = None, what: str = "forest") -> Figure: ...

    @overload
    def plot(self, path: str | Path, what: str = "forest") -> Path: ...

    def plot(self, path: str | Path | None = None, what: str = "forest") -> Figure | Path:
        """Draw what was found.

        Args:
            path: The PNG file to write; by default nothing is written.
            what: ``forest`` (differences to the baseline), ``means`` (strategies side by side), ``curves`` (the metric
                after each epoch), ``loss``, or ``gain`` (the metric over the number of training images).

        Returns:
            The file; without ``path`` the matplotlib figure, which a notebook shows.

        Raises:
            MedzooError: There is no such picture, or nothing to draw in it.
        """
        figure = draw(View.of(self), what)
        return figure if path is None else save_figure(figure, Path(path))

    def save(self, folder: str | Path) -> Path:
        """Write ``report.html`` (one page with everything), ``table.md``, ``table.csv`` (all metrics, strategies and
        shares of the images), ``comparison.json`` (every run with its predictions) and the folder ``pictures``.

        Args:
            folder: Made where missing; files of these names are replaced, others stay.

        Returns:
            The page.
        """
        return save(self, Path(folder))
