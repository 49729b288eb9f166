"""What cards and the gallery are made from, beside the tables: run records, the study's outcomes, audits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medzoo.comparison.comparison import Row
from medzoo.core.errors import RunError
from medzoo.metrics.estimates import Estimate
from medzoo.zoo.bundle import RUN
from medzoo.zoo.weights import WEIGHTS
from training.study.outcome import Outcome, read_outcomes


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured.

    Attributes:
        records: Run records by weight name.
        outcomes: What the study found, by target.
        audits: By weight and target, what ``medzoo audit --json`` printed.
    """

    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outcomes: Sequence[Outcome] = ()
    audits: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """How one weight did on one target of the study, beside ImageNet's.

    Attributes:
        target: The target's name.
        metric: The study's metric for it.
        estimate: Mean over folds and seeds, with its 95 % interval.
        baseline: ImageNet's; ``None`` where it was not run, or this is it.
        difference: To ImageNet's, paired, with its 95 % interval.
        p: Of the difference, corrected for the number of arms.
        runs: How many.
        images: Images of the target.
        unseen: The estimate on images alone that no arm has seen; ``None`` where none was seen.
        seen: Images of the target that some arm has seen in pretraining; ``None`` where that was not looked for.
        reduced: What makes the weight less than a full run.
    """

    target: str
    metric: str
    estimate: Estimate
    baseline: Estimate | None
    difference: Estimate | None
    p: float | None
    runs: int
    images: int
    unseen: Estimate | None
    seen: int | None
    reduced: tuple[str, ...]


def read_evidence(folder: Path) -> Evidence:
    """Read a folder laid out as the work folder of ``pretrain`` and ``study``.

    Args:
        folder: Holds any of ``runs/NAME/run.json``, ``study/results/TARGET.json`` and ``audits/NAME/TARGET.json`` (what
            ``medzoo audit --json`` printed); a folder that is not there holds nothing.

    Raises:
        RunError: A file cannot be read.
    """
    return Evidence(
        records={name: _read(file) for name in WEIGHTS if (file := folder / "runs" / name / RUN).is_file()},
        outcomes=read_outcomes(folder / "study"),
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


def transfers(name: str, outcomes: Sequence[Outcome]) -> list[Transfer]:
    """A weight's results in the study, target by target.

    Args:
        name: The weight.
        outcomes: What the study found.

    Returns:
        One entry for each target it was fine-tuned on and has a value for.
    """
    found = []
    for outcome in outcomes:
        facts = next((arm for arm in outcome.arms if arm.weight == name), None)
        if facts is None:
            continue
        rows = {row.arm: row for row in outcome.comparison.table(outcome.metric)}
        row, base = rows[facts.arm], rows.get(outcome.comparison.baseline)
        if row.estimate.value is None:
            continue
        unseen = None if outcome.unseen is None else {r.arm: r for r in outcome.unseen.table(outcome.metric)}
        found.append(
            Transfer(
                target=outcome.target,
                metric=outcome.metric,
                estimate=row.estimate,
                baseline=base.estimate if base and base is not row else None,
                difference=row.test.difference if row.test else None,
                p=row.test.adjusted if row.test else None,
                runs=row.runs,
                images=len(outcome.comparison.data.ids),
                unseen=_estimate(unseen, facts.arm),
                seen=None if outcome.seen is None else int(outcome.seen.sum()),
                reduced=facts.reduced,
            )
        )
    return found


def _estimate(rows: Mapping[str, Row] | None, arm: str) -> Estimate | None:
    return None if rows is None else rows[arm].estimate
