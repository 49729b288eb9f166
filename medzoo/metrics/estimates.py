"""The numbers of an evaluation: each with its interval, or the reason why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.metrics.scores import metric_title
from medzoo.metrics.small import small_classes


@dataclass(frozen=True)
class Estimate:
    """One number and its 95 % interval.

    Attributes:
        value: The number; ``None`` where it is undefined.
        low: Lower end of the interval; ``None`` where there is none.
        high: Upper end of the interval; ``None`` where there is none.
        why: Why the value or its interval is missing, or what it leaves out; empty otherwise.

    Example:
        >>> str(Estimate(0.912, 0.88, 0.94))
        '0.912 (0.880 to 0.940)'
        >>> str(Estimate(None, None, None, "only one class present"))
        'undefined (only one class present)'
        >>> f"{Estimate(0.031, -0.01, 0.072):+.2f}"
        '+0.03 (-0.01 to +0.07)'
    """

    value: float | None
    low: float | None
    high: float | None
    why: str = ""

    def __str__(self) -> str:
        return f"{self:.3f}"

    def __format__(self, spec: str) -> str:
        if self.value is None:
            return f"undefined ({self.why})"
        spec = spec or ".3f"
        if self.low is None or self.high is None:
            return format(self.value, spec)
        return f"{self.value:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


@dataclass(frozen=True, eq=False)
class Metrics:
    """The metrics of probabilities against labels.

    Attributes:
        task: ``binary``, ``multiclass``, ``ordinal`` or ``multilabel``.
        classes: The C class names.
        n: Images with a label.
        groups: Groups (patients) that those images come from; ``None`` where images were resampled.
        bootstrap: Resamples behind the intervals; 0 where there are none.
        threshold: Probability from which a class is predicted, one for each class; ``None`` where
            the most probable class is predicted.
        values: Metric name to estimate, over all classes.
        per_class: Class to metric name to estimate, of this class against the rest.
        positives: Class to its number of images.
        confusion: ``int64 [C, C]`` images by true (row) and predicted (column) class; ``None``
            for ``multilabel``.
        positive: The positive class of a ``binary`` task; empty for other tasks.
    """

    task: str
    classes: tuple[str, ...]
    n: int
    groups: int | None
    bootstrap: int
    threshold: tuple[float, ...] | None
    values: Mapping[str, Estimate]
    per_class: Mapping[str, Mapping[str, Estimate]]
    positives: Mapping[str, int]
    confusion: NDArray[np.int64] | None
    positive: str = ""

    def __getitem__(self, name: str) -> Estimate:
        return self.values[name]

    @property
    def note(self) -> str:
        """Return a note on classes with few images, on which intervals rest; empty where there is none."""
        return small_classes(self.positives) if self.bootstrap else ""

    def title(self, name: str, label: str = "") -> str:
        """Name a metric, with the positive class where it depends on that."""
        return metric_title(name, self.positive, label)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings for JSON, which :meth:`from_dict` reads; undefined is ``None``."""
        return {
            "task": self.task,
            "classes": list(self.classes),
            "n": self.n,
            "groups": self.groups,
            "bootstrap": self.bootstrap,
            "threshold": None if self.threshold is None else list(self.threshold),
            "values": {name: asdict(estimate) for name, estimate in self.values.items()},
            "per_class": {
                label: {name: asdict(estimate) for name, estimate in estimates.items()}
                for label, estimates in self.per_class.items()
            },
            "positives": dict(self.positives),
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "positive": self.positive,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Metrics:
        """Restore metrics from the result of :meth:`to_dict`, also after a round trip through JSON."""
        return cls(
            task=data["task"],
            classes=tuple(data["classes"]),
            n=data["n"],
            groups=data["groups"],
            bootstrap=data["bootstrap"],
            threshold=None if data["threshold"] is None else tuple(data["threshold"]),
            values={name: Estimate(**estimate) for name, estimate in data["values"].items()},
            per_class={
                label: {name: Estimate(**estimate) for name, estimate in estimates.items()}
                for label, estimates in data["per_class"].items()
            },
            positives=dict(data["positives"]),
            confusion=None if data["confusion"] is None else np.array(data["confusion"], dtype=np.int64),
            # Before it was recorded, the positive class was the last.
            positive=data.get("positive", data["classes"][-1] if data["task"] == "binary" else ""),
        )

    def __str__(self) -> str:
        head = f"{self.n} images"
        if self.groups is not None:
            head += f" of {self.groups} patients"
        if self.bootstrap:
            head += (
                f"; 95 % intervals from {self.bootstrap} resamples of {'images' if self.groups is None else 'patients'}"
            )
        if self.threshold is not None:
            head += "; threshold " + ", ".join(f"{t:.3g}" for t in dict.fromkeys(self.threshold))
        if self.positive:
            head += f"; positive class {self.positive}"
        lines = [head, ""]
        titles = {name: self.title(name) for name in self.values}
        wide = max(map(len, titles.values()))
        for name, estimate in self.values.items():
            note = f"  [{estimate.why}]" if estimate.why and estimate.value is not None else ""
            lines.append(f"{titles[name]:<{wide}}  {estimate}{note}")
        return "\n".join([*lines, "", *self._class_lines(), *([self.note] if self.note else [])])

    def _class_lines(self) -> list[str]:
        names = list(next(iter(self.per_class.values())))
        wide = max(len("class"), *map(len, self.classes))
        lines = [f"{'class':<{wide}}  {'images':>6}  " + "  ".join(f"{name:>5}" for name in names)]
        for label in self.classes:
            cells = []
            for name in names:
                value = self.per_class[label][name].value
                cells.append(f"{'-' if value is None else f'{value:.3f}':>{max(5, len(name))}}")
            lines.append(f"{label:<{wide}}  {self.positives[label]:>6}  " + "  ".join(cells))
        return lines
