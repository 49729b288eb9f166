"""The numbers of a comparison, all derived from the predictions that its runs kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo._version import __version__
from medzoo.comparison.runs import DONE
from medzoo.comparison.statistics import PairedTest, corrected, corrected_mean
from medzoo.comparison.verdict import p_value, signed
from medzoo.core.errors import DataError
from medzoo.core.registry import unknown
from medzoo.data.dataset import Examples
from medzoo.metrics import evaluate, paired_difference, primary
from medzoo.metrics.estimates import Estimate, Metrics
from medzoo.metrics.scores import TASK_METRICS, metric_title

Record = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class DatasetLabels:
    """A data set without its images: what the numbers are computed from.

    Attributes:
        name: What it is called.
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.
        classes: The C class names.
        ids: What the N images are called.
        targets: ``float32 [N, C]``.
        groups: N patients, or images where no patient is known.
        patients: Whether patients are known.
        notes: What was left out or assumed.
    """

    name: str
    task: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    targets: NDArray[np.float32]
    groups: NDArray[np.str_]
    patients: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, examples: Examples) -> DatasetLabels:
        """The labels of decoded examples."""
        return cls(
            examples.name,
            examples.task,
            examples.classes,
            examples.ids,
            examples.targets,
            examples.groups,
            examples.patients is not None,
            examples.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "ids": list(self.ids),
            "targets": [[None if np.isnan(x) else float(x) for x in row] for row in self.targets],
            "groups": self.groups.tolist(),
            "patients": self.patients,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DatasetLabels:
        """Turn the result of ``to_dict`` back."""
        targets = np.array([[np.nan if x is None else x for x in row] for row in data["targets"]], np.float32)
        return cls(
            data["name"],
            data["task"],
            tuple(data["classes"]),
            tuple(data["ids"]),
            targets,
            np.array(data["groups"]),
            data["patients"],
            tuple(data["notes"]),
        )


@dataclass(frozen=True)
class Row:
    """One row of a table of results.

    Attributes:
        arm: The name of the pretrained weights.
        estimate: Mean of the metric over folds and seeds, with its 95 % interval.
        test: Against the baseline; ``None`` for the baseline itself.
        runs: Runs behind it.
        failed: Runs that failed.
    """

    arm: str
    estimate: Estimate
    test: PairedTest | None
    runs: int
    failed: int


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
    """

    data: DatasetLabels
    records: Sequence[Record]
    baseline: str
    rows: NDArray[np.bool_] | None = None
    positive: str = ""
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Computed before: by run, for a single run with its bootstrap, and by table.
    _metrics: dict[str, Mapping[str, float | None]] = field(default_factory=dict, init=False, repr=False)
    _single: dict[str, Metrics] = field(default_factory=dict, init=False, repr=False)
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
            test = None if arm == self.baseline or not base else self._test(mine, base, metric)
            failed = sum(record["status"] != DONE for record in mine)
            rows.append(Row(arm, self._estimate(mine, metric), test, len(mine) - failed, failed))
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
            "data": self.data.to_dict(),
            "records": [dict(record) for record in self.records],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """Restore a comparison from the result of ``to_dict``."""
        labels, positive = DatasetLabels.from_dict(data["data"]), data.get("positive", "")
        return cls(labels, data["records"], data["baseline"], positive=positive, facts=data.get("facts", {}))

    def __str__(self) -> str:
        parts = [
            self._text(strategy, fraction) for strategy in self.strategies for fraction in reversed(self.fractions)
        ]
        failed = "".join(
            f"\nfailed: {r['arm']}, seed {r['repeat']}, fold {r['fold']}: {r['error']}" for r in self.failures
        )
        notes = "".join(f"\nnote: {note}" for note in self.data.notes)
        return "\n\n".join([*parts, *self._facts_text()]) + failed + notes

    def _facts_text(self) -> list[str]:
        if not self.facts:
            return []
        columns = ("weights", *next(iter(self.facts.values())))
        rows = [columns, *((name, *texts.values()) for name, texts in self.facts.items())]
        widths = [min(60, max(len(row[at]) for row in rows)) for at in range(len(columns))]
        lines = ("  ".join(f"{_cut(cell):<{wide}}" for cell, wide in zip(row, widths, strict=True)) for row in rows)
        return ["\n".join(line.rstrip() for line in lines)]

    def _text(self, strategy: str, fraction: float) -> str:
        rows = self.table(None, strategy, fraction)
        wide = max(len("weights"), *(len(row.arm) for row in rows))
        share = "" if fraction == 1 else f", {fraction:.0%} of the training images"
        lines = [
            f"{self.data.name}, {strategy}{share}: {self.primary}, mean of {max(row.runs for row in rows)} runs",
            f"{'weights':<{wide}}  {self.primary:<24}  difference to {self.baseline}",
        ]
        for row in rows:
            against = "" if row.test is None else f"{signed(row.test.difference)}  p {p_value(row.test.adjusted)}"
            lines.append(f"{row.arm:<{wide}}  {row.estimate!s:<24}  {against}".rstrip())
        return "\n".join(lines)

    def _known(self, metric: str | None) -> str:
        allowed = TASK_METRICS[self.data.task].overall
        if metric is not None and metric not in allowed:
            raise DataError(unknown(f"{self.data.task} metric", metric, allowed))
        return metric or self.primary

    def _held(self, record: Record) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Return labels, probabilities and, where known, patients of the held-out images that count."""
        rows = np.asarray(record["rows"], dtype=np.int64)
        found = np.asarray(record["probabilities"], dtype=np.float64).reshape(len(rows), len(self.data.classes))
        if self.data.task != "multilabel":
            found = found / found.sum(1, keepdims=True)  # six digits do not add up to 1
        if self.rows is not None:
            keep = self.rows[rows]
            rows, found = rows[keep], found[keep]
        return self.data.targets[rows], found, self.data.groups[rows] if self.data.patients else None

    def _ratio(self, record: Record) -> float:
        return len(record["rows"]) / record["train_images"]

    def _estimate(self, records: Sequence[Record], metric: str) -> Estimate:
        done = [record for record in records if record["status"] == DONE]
        if not done:
            return Estimate(None, None, None, "no run is done")
        if len(done) == 1:
            key = done[0]["id"]
            if key not in self._single:
                targets, found, groups = self._held(done[0])
                self._single[key] = evaluate(
                    targets, found, self.data.task, self.data.classes, groups=groups, positive=self.positive
                )
            return self._single[key][metric]
        values = [self.value(record, metric) for record in done]
        estimate = corrected_mean(values, float(np.mean([self._ratio(record) for record in done])))[0]
        if estimate.low is None or estimate.high is None:
            return estimate
        lowest = -1.0 if "kappa" in metric else 0.0  # no further than the metric can go
        highest = 2.0 if metric == "brier" else 1.0
        return replace(estimate, low=max(estimate.low, lowest), high=min(estimate.high, highest))

    def _test(self, records: Sequence[Record], base: Sequence[Record], metric: str) -> PairedTest:
        """Test the pairs of finished runs of the same fold and seed."""
        of = {(r["repeat"], r["fold"]): r for r in base if r["status"] == DONE}
        pairs = [
            (record, of[key])
            for record in records
            if record["status"] == DONE and (key := (record["repeat"], record["fold"])) in of
        ]
        if not pairs:
            return PairedTest(Estimate(None, None, None, "no pair of runs is done"), None, 0)
        if len(pairs) == 1:
            ((mine, other),) = pairs
            targets, found, groups = self._held(mine)
            result = paired_difference(
                targets,
                found,
                self._held(other)[1],
                self.data.task,
                self.data.classes,
                metric=metric,
                groups=groups,
                positive=self.positive,
            )
            return PairedTest(result.estimate, result.p, 1)
        differences = [self.value(mine, metric) - self.value(other, metric) for mine, other in pairs]
        estimate, p = corrected_mean(differences, float(np.mean([self._ratio(mine) for mine, _ in pairs])))
        return PairedTest(estimate, p, len(pairs))


def _cut(text: str, at: int = 60) -> str:
    return text if len(text) <= at else text[: at - 1] + "…"
