"""The numbers of a comparison, all derived from the predictions that its runs kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo._version import __version__
from medzoo.comparison import text
from medzoo.comparison.dataset_labels import DatasetLabels as DatasetLabels
from medzoo.comparison.groups import ArmGroups
from medzoo.comparison.patients import Drawn, PatientTest, compare_drawn, draw
from medzoo.comparison.runs import DONE
from medzoo.comparison.statistics import PairedTest, corrected, corrected_mean, paired_test, split_ratio
from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.metrics import evaluate, primary
from medzoo.metrics.estimates import Estimate, Metrics
from medzoo.metrics.scores import TASK_METRICS, metric_range, metric_title

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One row of a table of results.

    Attributes:
        arm: The name of the pretrained weights.
        estimate: Mean of the metric over folds and seeds, with its 95 % interval.
        test: Against the baseline; ``None`` for the baseline itself.
        runs: Runs behind it.
        failed: Runs that failed.
        patients: Against the baseline too, with the same models on other patients; ``None`` where ``test`` is.
    """

    arm: str
    estimate: Estimate
    test: PairedTest | None
    runs: int
    failed: int
    patients: PatientTest | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several pretrained weights on one data set, with the same splits, seeds and budget.

    Attributes:
        data: The data set's labels.
        records: One record a run, in the order of the grid.
        baseline: The name that the others are tested against.
        rows: Which images count: ``bool [N]``; ``None`` for all.
        positive: The positive class of a ``binary`` task; empty: the last, as before it was recorded.
        facts: By name of the weights, what stands beside their numbers: area, licence, seen images.
        groups: By name of the weights, what was found by subgroup and site, where that was asked for.
    """

    data: DatasetLabels
    records: Sequence[Record]
    baseline: str
    rows: NDArray[np.bool_] | None = None
    positive: str = ""
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    groups: Mapping[str, ArmGroups] = field(default_factory=dict)
    # Computed before: by run, for a single run with its bootstrap, by runs with resamples of patients, and by table.
    _metrics: dict[str, Mapping[str, float | None]] = field(default_factory=dict, init=False, repr=False)
    _single: dict[str, Metrics] = field(default_factory=dict, init=False, repr=False)
    _drawn: dict[tuple[str, ...], Drawn | None] = field(default_factory=dict, init=False, repr=False)
    _tables: dict[tuple[str, str, float], list[Row]] = field(default_factory=dict, init=False, repr=False)

    @property
    def arms(self) -> list[str]:
        """Return the names of the compared weights."""
        return list(dict.fromkeys(record["arm"] for record in self.records))

    @property
    def strategies(self) -> list[str]:
        """Return the fine-tuning strategies."""
        return list(dict.fromkeys(record["strategy"] for record in self.records))

    @property
    def fractions(self) -> list[float]:
        """Return the shares of the training images, the largest first."""
        return sorted({record["fraction"] for record in self.records}, reverse=True)

    @property
    def failures(self) -> list[Record]:
        """Return the records of the runs that failed."""
        return [record for record in self.records if record["status"] != DONE]

    @cached_property
    def primary(self) -> str:
        """Return the task's primary metric."""
        return primary(self.data.task)

    @property
    def positive_class(self) -> str:
        """Return the positive class; empty unless the task is binary."""
        return (self.positive or self.data.classes[-1]) if self.data.task == "binary" else ""

    def title(self, metric: str, label: str = "") -> str:
        """Name a metric, with the positive class where it depends on that."""
        return metric_title(metric, self.positive_class, label)

    def only(self, rows: NDArray[np.bool_]) -> Comparison:
        """Return the same runs, measured on some of their held-out images alone.

        Args:
            rows: ``bool [N]``, true for an image that counts.
        """
        return replace(self, rows=rows)

    def runs(self, arm: str, strategy: str | None = None, fraction: float | None = None) -> list[Record]:
        """Return the records of one name's runs.

        Args:
            arm: The name.
            strategy: Default the first there is.
            fraction: Share of the training images; default the largest there is.
        """
        strategy = self.strategies[0] if strategy is None else strategy
        fraction = self.fractions[0] if fraction is None else fraction
        return [
            record
            for record in self.records
            if (record["arm"], record["strategy"], record["fraction"]) == (arm, strategy, fraction)
        ]

    def value(self, record: Record, metric: str) -> float:
        """Return a metric of one run on its held-out images; NaN where it failed or the metric is undefined."""
        if record["status"] != DONE:
            return float("nan")
        key = record["id"]
        if key not in self._metrics:
            targets, found, _ = self._held(record)
            values = self._evaluate(targets, found, bootstrap=0).values if len(found) else {}
            self._metrics[key] = {name: estimate.value for name, estimate in values.items()}
        value = self._metrics[key].get(metric)
        return float("nan") if value is None else value

    def table(self, metric: str | None = None, strategy: str | None = None, fraction: float | None = None) -> list[Row]:
        """Return mean, interval and test against the baseline for each of the compared weights.

        Args:
            metric: Default the task's primary one.
            strategy: Default the first there is.
            fraction: Default the largest there is.

        Returns:
            A row for each; p-values are corrected (Holm) for the number of comparisons.

        Raises:
            DataError: The task has no such metric.
        """
        strategy = self.strategies[0] if strategy is None else strategy
        key = (self._known(metric), strategy, self.fractions[0] if fraction is None else fraction)
        if key not in self._tables:
            self._tables[key] = self._table(*key)
        return list(self._tables[key])

    def _table(self, metric: str, strategy: str, fraction: float) -> list[Row]:
        base = self.runs(self.baseline, strategy, fraction) if self.baseline in self.arms else []
        rows = []
        for arm in self.arms:
            mine = self.runs(arm, strategy, fraction)
            untested = arm == self.baseline or not base
            test, patients = (None, None) if untested else self._tests(mine, base, metric)
            failed = sum(record["status"] != DONE for record in mine)
            rows.append(Row(arm, self._estimate(mine, metric), test, len(mine) - failed, failed, patients))
        tests = corrected([row.test for row in rows])
        return [replace(row, test=test) for row, test in zip(rows, tests, strict=True)]

    def pooled(self, arm: str, strategy: str | None = None, fraction: float | None = None) -> Metrics:
        """Return all metrics of one name, over the held-out images of the first split's folds together.

        Args:
            arm: The name.
            strategy: Default the first there is.
            fraction: Default the largest there is.

        Returns:
            Metrics with bootstrap intervals by patient: they cover the spread over patients, not over seeds.

        Raises:
            DataError: None of the runs is done.
        """
        mine = [r for r in self.runs(arm, strategy, fraction) if r["status"] == DONE and r["repeat"] == 0]
        if not mine:
            raise DataError(f"no run of {arm} is done")
        targets, found, groups = zip(*map(self._held, mine), strict=True)
        patients = np.concatenate(groups) if self.data.patients else None
        return self._evaluate(np.concatenate(targets), np.concatenate(found), groups=patients)

    def _evaluate(self, targets: NDArray[Any], found: NDArray[Any], **options: Any) -> Metrics:
        return evaluate(targets, found, self.data.task, self.data.classes, positive=self.positive, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON, which ``from_dict`` reads."""
        return {
            "schema": 1,
            "kind": "comparison",
            "medzoo": __version__,
            "baseline": self.baseline,
            "positive": self.positive,
            "facts": {name: dict(texts) for name, texts in self.facts.items()},
            **({"groups": {arm: found.to_dict() for arm, found in self.groups.items()}} if self.groups else {}),
            "data": self.data.to_dict(),
            "records": [dict(record) for record in self.records],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """Restore a comparison from the result of ``to_dict``."""
        return cls(
            DatasetLabels.from_dict(data["data"]),
            data["records"],
            data["baseline"],
            positive=data.get("positive", ""),
            facts=data.get("facts", {}),
            groups={arm: ArmGroups.from_dict(found) for arm, found in data.get("groups", {}).items()},
        )

    def __str__(self) -> str:
        return text.format_comparison(self)

    def _known(self, metric: str | None) -> str:
        allowed = TASK_METRICS[self.data.task].overall
        if metric is not None and metric not in allowed:
            raise DataError(unknown(f"{self.data.task} metric", metric, allowed))
        return metric or self.primary

    def _held(self, record: Record) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Return labels, probabilities and, where known, patients of the held-out images that count."""
        rows, found = self.predicted(record)
        return self.data.targets[rows], found, self.data.groups[rows] if self.data.patients else None

    def predicted(self, record: Record) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the rows and probabilities of the held-out images that count."""
        rows = np.asarray(record["rows"], dtype=np.int64)
        found = np.asarray(record["probabilities"], dtype=np.float64).reshape(len(rows), len(self.data.classes))
        if self.data.task != "multilabel":
            found = found / found.sum(1, keepdims=True)  # six digits do not add up to 1
        if self.rows is not None:
            keep = self.rows[rows]
            rows, found = rows[keep], found[keep]
        return rows, found

    def _estimate(self, records: Sequence[Record], metric: str) -> Estimate:
        done = [record for record in records if record["status"] == DONE]
        if not done:
            return Estimate(None, None, None, "no run is done")
        if len(done) == 1:
            key = done[0]["id"]
            if key not in self._single:
                targets, found, groups = self._held(done[0])
                self._single[key] = self._evaluate(targets, found, groups=groups)
            return self._single[key][metric]
        estimate, _ = corrected_mean([self.value(record, metric) for record in done], split_ratio(done))
        if estimate.low is None or estimate.high is None:
            return estimate
        lowest, highest = metric_range(metric)  # no further than the metric can go
        return replace(estimate, low=max(estimate.low, lowest), high=min(estimate.high, highest))

    def _tests(
        self, records: Sequence[Record], base: Sequence[Record], metric: str
    ) -> tuple[PairedTest, PatientTest | None]:
        """Test the pairs of finished runs of the same fold and seed: over runs, and over patients."""
        of = {(r["repeat"], r["fold"]): r for r in base if r["status"] == DONE}
        pairs = [
            (record, of[key])
            for record in records
            if record["status"] == DONE and (key := (record["repeat"], record["fold"])) in of
        ]
        if not pairs:
            return PairedTest(Estimate(None, None, None, "no pair of runs is done"), None, 0), None
        mine, other = (self._draw([pair[side] for pair in pairs]) for side in (0, 1))
        patients = None if mine is None or other is None else compare_drawn(mine, other, metric)
        if len(pairs) == 1:
            if patients is None:
                return PairedTest(Estimate(None, None, None, "no held-out image has a label"), None, 1), None
            return PairedTest(patients.difference, patients.p, 1, not_better=patients.not_better), patients
        low, high = metric_range(metric)
        differences = [self.value(mine, metric) - self.value(other, metric) for mine, other in pairs]
        return paired_test(differences, split_ratio([mine for mine, _ in pairs]), limit=high - low), patients

    def _draw(self, records: Sequence[Record]) -> Drawn | None:
        """Measure the held-out images of runs, all folds of a seed together, under resamples of patients."""
        key = tuple(record["id"] for record in records)
        if key not in self._drawn:
            repeats = []
            for repeat in dict.fromkeys(record["repeat"] for record in records):
                rows, found = zip(*(self.predicted(r) for r in records if r["repeat"] == repeat), strict=True)
                repeats.append((np.concatenate(rows), np.concatenate(found)))
            data = self.data
            groups = data.groups if data.patients else None
            self._drawn[key] = draw(
                data.targets, repeats, data.task, data.classes, groups=groups, positive=self.positive
            )
        return self._drawn[key]
