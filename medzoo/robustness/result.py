"""The result of a stress test, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, overload

from matplotlib.figure import Figure

from medzoo._version import __version__
from medzoo.core.atomic import replacing_folder, write_json, write_text
from medzoo.core.errors import MedzooError
from medzoo.core.registry import unknown
from medzoo.reporting.plots import save_figure
from medzoo.robustness.measurement import FALSE_ALARMS
from medzoo.robustness.outcome import StressOutcome
from medzoo.robustness.plots import draw_curves, draw_damage, draw_shortcuts
from medzoo.robustness.report import stress_page
from medzoo.robustness.wording import findings, table

REPORT, RECORD, TEXT, PICTURES = "report.html", "stress.json", "stress.txt", "pictures"


class Stress(StressOutcome):
    """The result of ``medzoo.stress``: what was measured, in words, numbers and figures."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What was found, one sentence each."""
        return findings(self)

    def __str__(self) -> str:
        of = f" of {self.patients:,} patients" if self.patients is not None else ""
        head = f"{self.title}: {self.images:,} images{of}, {self.seconds:.0f} s"
        lines = [*self.findings, *(f"note: {note}" for note in self.notes)]
        return "\n".join([head, "", *table(self), *lines])

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures, for JSON."""
        return {
            "schema": 1,
            "kind": "stress",
            "medzoo": __version__,
            "weights": self.weights,
            "data": self.data,
            "images": self.images,
            "patients": self.patients,
            "primary": self.primary,
            "chance": self.chance,
            "false_alarms": FALSE_ALARMS,
            "clean": {name: asdict(one) for name, one in self.clean.items()},
            "damage": [asdict(curve) for curve in self.damage],
            "area": None if self.area is None else asdict(self.area),
            "shortcuts": [asdict(one) for one in self.shortcuts],
            **({} if self.subgroups is None else {"subgroups": self.subgroups.to_dict()}),
            **({} if self.site is None else {"site": self.site.to_dict()}),
            "findings": list(self.findings),
            "settings": self.settings,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 1),
        }

    @overload
    def plot(self, path: None = None, what: str = "curves") -> Figure: ...

    @overload
    def plot(self, path: str | Path, what: str = "curves") -> Path: ...

    def plot(self, path: str | Path | None = None, what: str = "curves") -> Figure | Path:
        """Draw what was found.

        Args:
            path: The PNG file to write; by default nothing is written.
            what: ``curves`` (main metric and calibration over the strengths), ``damage`` (one image at every strength)
                or ``shortcuts`` (some images of which a part is taken away).

        Returns:
            The file; without ``path`` the matplotlib figure, which a notebook shows.

        Raises:
            MedzooError: There is no such figure, or it was not measured.
        """
        draw = {"curves": draw_curves, "damage": draw_damage, "shortcuts": draw_shortcuts}.get(what)
        if draw is None:
            raise MedzooError(unknown("figure", what, ["curves", "damage", "shortcuts"]))
        if what not in self.figures:
            raise MedzooError(f"figure {what!r} is not available: it was not measured; available: {self.figures}")
        figure = draw(self)
        return figure if path is None else save_figure(figure, Path(path))

    @property
    def figures(self) -> list[str]:
        """Names of the figures that ``plot`` can draw."""
        return [*(("curves", "damage") if self.damage else ()), *(("shortcuts",) if self.shortcuts else ())]

    def draw(self, folder: Path) -> dict[str, Path]:
        """Write every figure as ``stress_<name>.png`` into a folder; return the files by name."""
        return {name: self.plot(folder / f"stress_{name}.png", name) for name in self.figures}

    def save(self, folder: str | Path) -> Path:
        """Write ``report.html`` (everything in one file), ``stress.json``, ``stress.txt`` and the folder ``pictures``.

        Args:
            folder: The folder to make, or that of a stress test saved before, which is replaced.

        Returns:
            The folder.

        Raises:
            MedzooError: Something else stands there.
        """
        folder = Path(folder)
        check_replaceable(folder)
        with replacing_folder(folder) as new:
            write_json(new / RECORD, self.to_dict())
            write_text(new / TEXT, f"{self}\n")
            write_text(new / REPORT, stress_page(self, self.draw(new / PICTURES), new / PICTURES))
        return folder


def check_replaceable(folder: Path) -> None:
    """Refuse to replace anything but a stress test saved before.

    Raises:
        MedzooError: A file, or a folder of other things, stands there.
    """
    if folder.is_dir():
        there = {path.name for path in folder.iterdir()}
        if not there <= {REPORT, RECORD, TEXT, PICTURES}:
            raise MedzooError(f"{folder} holds other files than a stress test; give another folder")
    elif folder.exists():
        raise MedzooError(f"{folder} is a file; give a folder to save the stress test in")


def chance_of(metric: str, classes: Sequence[str]) -> float:
    """Return the value of a task's main metric for a model that knows nothing.

    Example:
        >>> chance_of("auroc", "ab"), chance_of("balanced_accuracy", "abcd"), chance_of("kappa_quadratic", "abc")
        (0.5, 0.25, 0.0)
    """
    return {"auroc": 0.5, "balanced_accuracy": 1 / len(classes)}.get(metric, 0.0)
