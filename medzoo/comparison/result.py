"""The result of ``medzoo.compare``: a comparison with its figures and its report."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from matplotlib.figure import Figure

from medzoo.comparison.comparison import Comparison
from medzoo.comparison.report import ComparisonView, draw, save
from medzoo.reporting.plots import save_figure


class ComparisonResult(Comparison):
    """A comparison of pretrained weights on one data set, with figures and a report."""

    @overload
    def plot(self, path: None = None, what: str = "forest") -> Figure: ...

    @overload
    def plot(self, path: str | Path, what: str = "forest") -> Path: ...

    def plot(self, path: str | Path | None = None, what: str = "forest") -> Figure | Path:
        """Draw one figure.

        Args:
            path: The PNG file to write; by default nothing is written.
            what: ``forest`` (differences to the baseline), ``means`` (strategies side by side), ``curves`` (the metric
                after each epoch), ``loss``, ``gain`` (the metric over the number of training images), or ``benefit``
                (the differences over it).

        Returns:
            The file; without ``path`` the matplotlib figure, which a notebook shows.

        Raises:
            MedzooError: There is no such figure, or it is not available.
        """
        figure = draw(ComparisonView.of(self), what)
        return figure if path is None else save_figure(figure, Path(path))

    def save(self, folder: str | Path) -> Path:
        """Write ``report.html`` (everything in one file), ``table.md``, ``table.csv`` (all metrics, strategies and
        shares of the images), ``comparison.json`` (every run with its predictions) and the folder ``pictures``.

        Args:
            folder: Made where missing; files of these names are replaced, others stay.

        Returns:
            The report.
        """
        return save(self, Path(folder))
