"""Metrics by subgroup (sex, age, site, ...), and the gaps between subgroups, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.data.strata import Bins, check_bins, stratify
from medzoo.metrics.bootstrap import MIN_GROUPS, members
from medzoo.metrics.estimates import Metrics
from medzoo.metrics.evaluation import evaluate, primary
from medzoo.metrics.gaps import MIN_EACH, Compared, Gap, find_gaps
from medzoo.metrics.outcomes import make_outcomes


@dataclass(frozen=True, eq=False)
class Subgroup:
    """One subgroup.

    Attributes:
        name: Its value or range; ``missing`` for images without a value.
        images: Its labelled images.
        patients: Its patients (images, where no patient is known).
        metrics: Its metrics; ``None`` for fewer than ten patients.
    """

    name: str
    images: int
    patients: int
    metrics: Metrics | None


@dataclass(frozen=True, eq=False)
class SubgroupColumn:
    """The subgroups of one column.

    Attributes:
        name: The column.
        subgroups: In rising or alphabetical order, ``missing`` last.
        cuts: Where numbers are cut; empty for categories.
        gaps: By metric, the differences between its subgroups, the largest first.
    """

    name: str
    subgroups: tuple[Subgroup, ...]
    cuts: tuple[float, ...]
    gaps: Mapping[str, tuple[Gap, ...]]


@dataclass(frozen=True, eq=False)
class Subgroups:
    """Metrics by subgroup.

    Attributes:
        primary: The metric that the words go by.
        columns: The columns.
        patients: Whether patients are known, and were resampled.
        bootstrap: Resamples and permutations; 0 where nothing is judged.
        looked_at: How many gaps of the primary metric were looked at.
    """

    primary: str
    columns: tuple[SubgroupColumn, ...]
    patients: bool
    bootstrap: int
    looked_at: int

    @property
    def decided(self) -> tuple[Gap, ...]:
        """Return the gaps of the primary metric that are more than chance."""
        return tuple(gap for column in self.columns for gap in column.gaps.get(self.primary, ()) if gap.decided)

    def lines(self) -> list[str]:
        """Return the result in words: the subgroups and the largest gap of each column, and how many were looked at."""
        lines = [line for column in self.columns for line in self._column_lines(column)]
        if self.looked_at and self.bootstrap:
            lines.append(
                f"{self.looked_at} gap{'s' if self.looked_at > 1 else ''} in {self.primary} "
                f"{'were' if self.looked_at > 1 else 'was'} looked at, {len(self.decided)} "
                f"{'is' if len(self.decided) == 1 else 'are'} more than chance; intervals and p-values of gaps take "
                "their number into account."
            )
        return lines

    def _column_lines(self, column: SubgroupColumn) -> list[str]:
        unit = "patients" if self.patients else "images"
        measured = [f"{one.name} {one.metrics[self.primary]}" for one in column.subgroups if one.metrics is not None]
        small = [f"{one.name} ({one.patients})" for one in column.subgroups if one.metrics is None]
        lines = [f"{self.primary} by {column.name}: {', '.join(measured) or 'not measured'}"]
        if small:
            lines.append(f"{column.name}: not measured, as fewer than {MIN_GROUPS} {unit}: {', '.join(small)}")
        gaps = column.gaps.get(self.primary, ())
        if len(measured) > 1 and not gaps:
            lines.append(
                f"{column.name}: no gap is judged, as too few subgroups have {MIN_EACH} with and without a class"
            )
        shown = [*gaps[:1], *(gap for gap in gaps[1:] if gap.decided)]
        return [*lines, *(self._gap_line(gap) for gap in shown)]

    def _gap_line(self, gap: Gap) -> str:
        size = f"{gap.column}: {self.primary} is {gap.estimate} higher"
        text = f"{size} for {gap.higher} than for {gap.lower}" + (f" ({gap.estimate.why})" if gap.estimate.why else "")
        if gap.p is None:
            return f"{text}, not judged"
        return f"{text}, p {_p(gap.p)}: {'more than chance' if gap.decided else 'within what chance brings'}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings for JSON, which :meth:`from_dict` reads.

        Of the gaps, the largest and those beyond chance are kept.
        """
        return {
            "primary": self.primary,
            "patients": self.patients,
            "bootstrap": self.bootstrap,
            "gaps_looked_at": self.looked_at,
            "columns": [
                {
                    "name": column.name,
                    "cuts": list(column.cuts),
                    "subgroups": [
                        {
                            "name": one.name,
                            "images": one.images,
                            "patients": one.patients,
                            "metrics": None if one.metrics is None else one.metrics.to_dict(),
                        }
                        for one in column.subgroups
                    ],
                    "gaps": {
                        metric: [
                            asdict(gap) | {"decided": gap.decided} for i, gap in enumerate(gaps) if not i or gap.decided
                        ]
                        for metric, gaps in column.gaps.items()
                    },
                }
                for column in self.columns
            ],
            "lines": self.lines(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Subgroups:
        """Restore subgroups from the result of :meth:`to_dict`, also after a round trip through JSON."""
        columns = tuple(
            SubgroupColumn(
                column["name"],
                tuple(
                    Subgroup(
                        one["name"],
                        one["images"],
                        one["patients"],
                        None if one["metrics"] is None else Metrics.from_dict(one["metrics"]),
                    )
                    for one in column["subgroups"]
                ),
                tuple(column["cuts"]),
                {metric: tuple(map(Gap.from_dict, gaps)) for metric, gaps in column["gaps"].items()},
            )
            for column in data["columns"]
        )
        return cls(data["primary"], columns, data["patients"], data["bootstrap"], data["gaps_looked_at"])


def measure_subgroups(
    targets: NDArray[Any],
    probabilities: NDArray[Any],
    task: str,
    classes: Sequence[str],
    columns: Mapping[str, NDArray[np.str_] | Sequence[str]],
    *,
    bins: Bins | None = None,
    groups: Sequence[str] | NDArray[Any] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    threshold: float | Sequence[float] | None = None,
    positive: str | None = None,
) -> Subgroups:
    """Measure each subgroup, and the gaps between them.

    A subgroup of fewer than ten patients is counted and not measured. Images without a value are a subgroup of their
    own, ``missing``. Metrics of a subgroup are those of :func:`medzoo.metrics.evaluate` on its images alone. Subgroups
    are compared over the classes that each has five patients with, and five without.

    Args:
        targets: ``[N, C]`` labels, as for :func:`medzoo.metrics.evaluate`.
        probabilities: ``[N, C]`` in [0, 1].
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.
        classes: The C class names.
        columns: By name, the value of each of the N images as text, empty where it is missing.
        bins: By column, where its numbers are cut; by default at their quartiles on these images.
        groups: N group ids (patients) to resample; ``None``: images are resampled.
        bootstrap: Resamples and permutations; 0 for no intervals, and gaps that are not judged.
        seed: Which resamples.
        threshold: As for :func:`medzoo.metrics.evaluate`.
        positive: As for :func:`medzoo.metrics.evaluate`.

    Returns:
        The subgroups of each column with their metrics, and the gaps.

    Raises:
        DataError: A column cannot be grouped, or labels and probabilities cannot be used.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> label, sex = np.arange(400) % 2, np.array(["f", "m"])[np.arange(400) // 200]
        >>> noise = np.where(sex == "f", 0.8, 3.0) * rng.normal(size=400)  # worse for men
        >>> p = 1 / (1 + np.exp(1 - 2 * label - noise))
        >>> found = measure_subgroups(np.eye(2)[label], np.stack([1 - p, p], 1), "binary", ["no", "yes"], {"sex": sex})
        >>> found.looked_at, found.decided[0].higher, found.decided[0].lower
        (1, 'f', 'm')
    """
    check_bins(bins or {}, list(columns))
    labels, found = np.asarray(targets), np.asarray(probabilities)
    whole = make_outcomes(labels, found, task, classes, threshold, positive)
    patients, count = members(groups, whole)
    kept = np.flatnonzero(whole.kept)
    ids = None if groups is None else np.asarray(groups)
    measured, compared = [], []
    for column, values in columns.items():
        strata = stratify(column, np.asarray(values, dtype=np.str_)[kept], (bins or {}).get(column))
        subgroups, large = [], []
        for number, name in enumerate(strata.names):
            rows = np.flatnonzero(strata.member == number)
            size, metrics = len(np.unique(patients[rows])), None
            if size >= MIN_GROUPS:
                large.append(number)
                metrics = evaluate(
                    labels[kept[rows]],
                    found[kept[rows]],
                    task,
                    classes,
                    groups=None if ids is None else ids[kept[rows]],
                    bootstrap=bootstrap,
                    seed=seed,
                    threshold=threshold,
                    positive=positive,
                )
            subgroups.append(Subgroup(name, len(rows), size, metrics))
        measured.append((column, tuple(subgroups), strata.cuts))
        compared.append(Compared.of(column, strata.names, strata.member, large, whole, patients))
    gaps = find_gaps(whole, patients, count, compared, bootstrap, seed)
    return Subgroups(
        primary(task),
        tuple(
            SubgroupColumn(
                name, subgroups, cuts, {m: tuple(g for g in some if g.column == name) for m, some in gaps.items()}
            )
            for name, subgroups, cuts in measured
        ),
        groups is not None,
        bootstrap,
        len(gaps.get(primary(task), ())),
    )


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"
