"""The result of ``medzoo.analyze``: numbers, text, a record and a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medzoo._version import __version__
from medzoo.analysis.cka import LayerSimilarity
from medzoo.analysis.distance import BlockDistance
from medzoo.analysis.interpolation import Interpolation
from medzoo.analysis.plots import analysis_figure
from medzoo.analysis.shuffling import Shuffled
from medzoo.analysis.stage_probes import Truncated
from medzoo.core.atomic import write_json
from medzoo.core.errors import MedzooError
from medzoo.reporting.plots import save_figure


@dataclass(frozen=True)
class Analysis:
    """What was transferred, or changed, between two networks; a part that does not apply is empty.

    Attributes:
        before: Name of the first network.
        after: Name of the second network.
        data: Name of the data set.
        images: Number of images for features and probes.
        measured: Number of images for the scores of interpolation and shuffled images.
        metric: The metric of all scores.
        similarity: Linear CKA of the features of each stage.
        distance: How far the values of each block have moved.
        line: Scores on the straight line between the two.
        shuffled: Scores on images cut into tiles that changed places, of each network with a head for them.
        truncation: Scores of a linear probe on the first blocks of ``before``.
        left_out: Part to the reason why it is empty.
        notes: What to know when reading the numbers.
        settings: Every option, resolved.
    """

    before: str
    after: str
    data: str
    images: int
    measured: int
    metric: str
    similarity: tuple[LayerSimilarity, ...]
    distance: tuple[BlockDistance, ...]
    line: Interpolation | None
    shuffled: tuple[Shuffled, ...]
    truncation: tuple[Truncated, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings for JSON."""
        record = {"schema": 1, "kind": "analysis", "medzoo": __version__, **asdict(self)}
        if self.line is not None:
            barriers = {"loss_barrier": self.line.loss_barrier, "score_barrier": self.line.score_barrier}
            record["line"] = {**record["line"], **barriers}
        return record

    def plot(self, path: str | Path) -> Path:
        """Draw a panel for each part into one PNG file.

        Args:
            path: The file to write.

        Returns:
            The file.

        Raises:
            MedzooError: No part applied.
        """
        if not (self.similarity or self.distance or self.line or self.shuffled or self.truncation):
            raise MedzooError(f"there is nothing to draw: {'; '.join(self.left_out.values())}")
        return save_figure(analysis_figure(self), Path(path))

    def save(self, folder: str | Path) -> Path:
        """Write ``analysis.json`` and ``analysis.png`` into a folder, which is made where missing.

        Args:
            folder: The folder.

        Returns:
            The folder.
        """
        self.plot(Path(folder) / "analysis.png")
        write_json(Path(folder) / "analysis.json", self.to_dict())
        return Path(folder)

    def __str__(self) -> str:
        lines = [f"from {self.before} to {self.after} on {self.data}: {self.images} images"]
        lines += [*self._similarity(), *self._distance(), *self._line(), *self._shuffled(), *self._truncation()]
        if self.left_out:
            lines += ["", "left out", *(f"  {part}: {reason}" for part, reason in self.left_out.items())]
        return "\n".join([*lines, *([""] if self.notes else []), *(f"note: {note}" for note in self.notes)])

    def _similarity(self) -> Iterator[str]:
        if self.similarity:
            yield from ("", "similarity of features (linear CKA)")
        for layer in self.similarity:
            yield f"  {layer.stage:<10}  {_number(layer.cka)}"

    def _distance(self) -> Iterator[str]:
        if self.distance:
            yield from ("", "distance (L2)   values  relative  batch-norm statistics, relative  parameters")
        for block in self.distance:
            yield (
                f"  {block.block:<10}  {block.distance:>8.3f}  {_number(block.relative):>8}"
                f"  {_number(block.statistics_relative):>31}  {block.parameters:>10,}"
            )

    def _line(self) -> Iterator[str]:
        if self.line is None:
            return
        yield from ("", f"straight line, a from 0 (before) to 1 (after): {self.metric}, loss")
        for share, score, loss in zip(self.line.shares, self.line.scores, self.line.losses, strict=True):
            yield f"  a = {share:<6.3g}  {_number(score):>6}  {loss:.3f}"
        if self.line.loss_barrier is not None:
            yield f"  barrier: loss {self.line.loss_barrier:.3f}, {self.metric} {_number(self.line.score_barrier)}"

    def _shuffled(self) -> Iterator[str]:
        for curve in self.shuffled:
            yield from ("", f"{self.metric} of {curve.network} on shuffled tiles")
            for tiles, score in zip(curve.tiles, curve.scores, strict=True):
                yield f"  {f'{tiles} x {tiles}':<10}  {score}"

    def _truncation(self) -> Iterator[str]:
        if self.truncation:
            yield from ("", f"{self.metric} of a linear probe on the first blocks of {self.before}")
        for cut in self.truncation:
            yield f"  {cut.kept:<10}  {cut.score}  ({cut.features} features)"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
