"""The result of ``recommend``: a ranking with its uncertainty, and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table as RichTable

from medzoo.core.atomic import write_json
from medzoo.metrics import Difference, Estimate
from medzoo.recommendation.scores import SCORES
from medzoo.reporting.plots import save_figure

_WIDTH = 140  # columns of a printed table; what does not fit is wrapped by the terminal
CAUTION = (
    "A linear probe on fixed features predicts fine-tuning only roughly: fine-tune the first few (medzoo.compare) "
    "before you rely on it."
)


@dataclass(frozen=True)
class Candidate:
    """The scores of one weight.

    Attributes:
        weights: Its name.
        probe: The metric of a linear probe on images of other patients, with its 95 % interval.
        scores: Transferability scores by name, higher is better; ``None`` where there is none.
        why: Score name to the reason why there is none.
        seconds: Time for its features, probe and scores.
        versus_best: The first of the ranking minus this one, paired; ``None`` for the first itself.
        versus_imagenet: This one minus the ImageNet weights, paired; ``None`` for these themselves and without them.
    """

    weights: str
    probe: Estimate
    scores: Mapping[str, float | None]
    why: Mapping[str, str]
    seconds: float
    versus_best: Difference | None = None
    versus_imagenet: Difference | None = None


@dataclass(frozen=True)
class Recommendation:
    """All weights ranked for one data set, best first.

    Attributes:
        data: Name, task, classes with their images, images, patients and notes of the data set.
        metric: The metric that the ranking goes by.
        candidates: The weights, best probe first.
        unavailable: Name of a weight that is not available to the reason.
        settings: Image size, crop, folds, seed and device.
        seconds: Time in all, decoding included.
        notes: What was left out or assumed, in words.
    """

    data: Mapping[str, Any]
    metric: str
    candidates: tuple[Candidate, ...]
    unavailable: Mapping[str, str]
    settings: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...] = field(default=())

    @property
    def ranking(self) -> tuple[str, ...]:
        """Return the names of the weights, best first."""
        return tuple(candidate.weights for candidate in self.candidates)

    @property
    def tied(self) -> tuple[str, ...]:
        """Return the first of the ranking and all that are not clearly worse: their paired interval includes 0."""
        first, *others = self.candidates
        return (first.weights, *(other.weights for other in others if not clear(other.versus_best)))

    @property
    def verdict(self) -> str:
        """Return the ranking in plain words; "too close to call" is a verdict."""
        first, *others = self.candidates
        if first.probe.value is None:
            return f"No verdict: {self.metric} is {first.probe}."
        if not others:
            return f"Nothing to compare: {first.weights} is the only available weight ({self.metric} {first.probe})."
        if len(self.tied) > 1:
            text = (
                f"Too close to call: {_listed(self.tied)} do not differ significantly on {self.data['images']:,} "
                f"images ({self.metric} {first.probe} for the first)."
            )
        else:
            gap = others[0].versus_best
            text = (
                f"{first.weights} does best ({self.metric} {first.probe}), ahead of {others[0].weights} by "
                f"{gap.estimate if gap else 'nothing'}."
            )
        return f"{text} {self._against_imagenet()}".strip()

    def _against_imagenet(self) -> str:
        """Say whether any weight is better than ImageNet's."""
        compared = [candidate for candidate in self.candidates if candidate.versus_imagenet]
        if not compared:
            return ""
        better = [one.weights for one in compared if clear(one.versus_imagenet) and _value(one.versus_imagenet) > 0]
        if better:
            return f"Better than the ImageNet weights: {_listed(better)}."
        return "None is clearly better than the ImageNet weights."

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings for JSON."""
        return {
            "verdict": self.verdict,
            "ranking": list(self.ranking),
            "tied": list(self.tied),
            **asdict(self),
            "notes": list(self.notes),
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }

    def __str__(self) -> str:
        table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("weights", no_wrap=True)
        for title in (f"probe {self.metric} (95 %)", "behind the first", *SCORES, "seconds"):
            table.add_column(title, justify="right", no_wrap=True)
        for one in self.candidates:
            behind = str(one.versus_best.estimate) if one.versus_best else "-"
            shown = [one.scores.get(name) for name in SCORES]
            numbers = ["-" if value is None else f"{value:.3f}" for value in shown]
            table.add_row(one.weights, str(one.probe), behind, *numbers, f"{one.seconds:.1f}")
        console = Console(width=_WIDTH, color_system=None)
        with console.capture() as capture:
            console.print(table)
        lines = [line.rstrip() for line in capture.get().splitlines()]
        unscored = _by_reason({one.weights: why for one in self.candidates for why in set(one.why.values())})
        untried = _by_reason(self.unavailable)
        reasons = [f"No LEEP and NCE of {_listed(names)}: {why}." for why, names in unscored.items()]
        reasons += [f"Not available: {_listed(names)}: {why}." for why, names in untried.items()]
        return "\n".join([*lines, "", self.verdict, CAUTION, *self.notes, *reasons])

    def plot(self, path: str | Path) -> Path:
        """Draw the probes' metric with its intervals as PNG.

        Args:
            path: The file.

        Returns:
            The file.
        """
        drawn = [(one, one.probe.value) for one in self.candidates if one.probe.value is not None]
        figure = Figure(figsize=(7, 1.6 + 0.35 * len(drawn)), layout="constrained")
        axes = figure.subplots()
        for row, (one, value) in enumerate(drawn):
            colour = "tab:blue" if one.weights in self.tied else "tab:gray"
            if one.probe.low is not None and one.probe.high is not None:
                axes.hlines(row, one.probe.low, one.probe.high, color=colour, linewidth=2)
            axes.scatter(value, row, color=colour)
        axes.set_yticks(range(len(drawn)), [one.weights for one, _ in drawn])
        axes.invert_yaxis()
        axes.set_xlabel(f"{self.metric} of a linear probe on images of other patients, 95 % interval")
        axes.set_title(f"{self.data['name']}: blue, not clearly worse than the first", fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        return save_figure(figure, Path(path))

    def save(self, folder: str | Path) -> Path:
        """Write ``recommendation.json`` and ``ranking.png`` into a folder, which is made where missing.

        Args:
            folder: The folder.

        Returns:
            The folder.
        """
        self.plot(Path(folder) / "ranking.png")
        write_json(Path(folder) / "recommendation.json", {"schema": 1, "kind": "recommendation", **self.to_dict()})
        return Path(folder)


def clear(difference: Difference | None) -> bool:
    """Return whether the 95 % interval of a difference excludes 0; not where there is no interval."""
    if difference is None or difference.estimate.low is None or difference.estimate.high is None:
        return False
    return difference.estimate.low > 0 or difference.estimate.high < 0


def _value(difference: Difference | None) -> float:
    return 0.0 if difference is None else difference.estimate.value or 0.0


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Group names by reason."""
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        found.setdefault(reason, []).append(name)
    return found


def _listed(names: tuple[str, ...] | list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
