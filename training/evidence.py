"""What cards and the gallery are made from, beside the tables: run records, the study's rows, audits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medzoo.bundle import RUN
from medzoo.errors import RunError
from medzoo.metrics.estimates import Estimate
from medzoo.weights import WEIGHTS
from training.study import table_metric


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured.

    Attributes:
        records: Run records by weight name.
        rows: The study's rows, as in its ``results.json``.
        audits: By weight and target, what ``medzoo audit --json`` printed.
    """

    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    audits: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """How one weight did on one target of the study, beside ImageNet's.

    Attributes:
        target: The target's name.
        metric: The study's metric for it.
        estimate: Mean over the seeds; the interval is the bootstrap's, and there only for a single seed.
        spread: Standard deviation over the seeds; ``None`` for a single one.
        seeds: How many seeds.
        images: Held-out images of each seed.
        baseline: ImageNet's mean on the same seeds; ``None`` where it was not run, or this is it.
        left_out: Images left out because an arm had seen them or their patient; ``None`` where none was looked for.
        reduced: What makes the weight less than a full run.
    """

    target: str
    metric: str
    estimate: Estimate
    spread: float | None
    seeds: int
    images: int
    baseline: float | None
    left_out: int | None
    reduced: tuple[str, ...]


def read_evidence(folder: Path) -> Evidence:
    """Read a folder laid out as the work folder of ``pretrain`` and ``study``.

    Args:
        folder: Holds any of ``runs/NAME/run.json``, ``study/results.json`` and ``audits/NAME/TARGET.json`` (what
            ``medzoo audit --json`` printed); a folder that is not there holds nothing.

    Raises:
        RunError: A file cannot be read.
    """
    results = folder / "study" / "results.json"
    return Evidence(
        records={name: _read(file) for name in WEIGHTS if (file := folder / "runs" / name / RUN).is_file()},
        rows=_read(results) if results.is_file() else (),
        audits={
            name: {file.stem: _read(file) for file in sorted((folder / "audits" / name).glob("*.json"))}
            for name in WEIGHTS
        },
    )


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read ({error}); make it again, or take it away") from error


def transfers(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Transfer]:
    """A weight's results in the study, target by target.

    Args:
        name: The weight.
        rows: The study's rows.

    Returns:
        One entry for each target it was fine-tuned on and has a value for.
    """
    found = []
    for target in dict.fromkeys(row["target"] for row in rows if row["weight"] == name):
        mine = [row for row in rows if row["target"] == target and row["weight"] == name]
        report = mine[0]["report"]
        metric = table_metric(report["data"]["task"])
        estimates = [Estimate(**row["report"]["metrics"]["values"][metric]) for row in mine]
        values = [estimate.value for estimate in estimates if estimate.value is not None]
        if not values:
            continue
        seeds = {row["seed"] for row in mine}
        others = [
            row["report"]["metrics"]["values"][metric]["value"]
            for row in rows
            if row["target"] == target and row["arm"] == "IN" and row["seed"] in seeds and row["weight"] != name
        ]
        known = [value for value in others if value is not None]
        left_out = mine[0].get("left_out") if mine[0]["options"].get("exclude_seen") else None
        found.append(
            Transfer(
                target=target,
                metric=metric,
                estimate=estimates[0] if len(estimates) == 1 else Estimate(mean(values), None, None),
                spread=stdev(values) if len(values) > 1 else None,
                seeds=len(values),
                images=report["data"]["valid"]["images"],
                baseline=mean(known) if known else None,
                left_out=None if left_out is None else sum(left_out.values()),
                reduced=tuple(mine[0]["reduced"]),
            )
        )
    return found
