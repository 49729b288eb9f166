"""The inputs of cards and gallery beside the tables: run records, study results, audits."""

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
from medzoo.zoo.pins import Pin
from medzoo.zoo.weights import WEIGHTS
from training.study.result import ArmFacts, TargetResult, read_results


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured.

    Attributes:
        records: Run records by weight name.
        results: The study's results, a target each.
        audits: By weight and target, the output of ``medzoo audit --json``.
        pins: Sizes and hashes of the weights' files.
    """

    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    results: Sequence[TargetResult] = ()
    audits: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    pins: Mapping[str, Pin] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """The result of one weight on one target of the study, beside ImageNet's.

    Attributes:
        target: The target's name.
        strategy: How it was fine-tuned.
        image_size: Side of the network's input, in pixels.
        metric: The study's metric for it.
        estimate: Mean over folds and seeds, with its 95 % interval.
        baseline: ImageNet's; ``None`` if it was not run, or this is it.
        difference: To ImageNet's, paired, with its 95 % interval.
        p: Of the difference, corrected for the number of arms.
        runs: Number of runs.
        images: Images of the target.
        unseen: The estimate on images that no arm has seen; ``None`` if none was seen.
        seen: Images of the target that some arm has seen in pretraining; ``None`` if not audited.
        reduced: What makes the weight less than a full run.
    """

    target: str
    strategy: str
    image_size: int
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


def read_evidence(*folders: Path) -> Evidence:
    """Read folders laid out as the work folder of ``pretrain`` and ``study``.

    Args:
        folders: Each holds any of ``runs/NAME/run.json``, ``study/results/TARGET.json`` and
            ``audits/NAME/TARGET.json`` (the output of ``medzoo audit --json``); a missing folder is empty. Of a run or
            an audit in several, the last one counts; results are kept of all.

    Raises:
        RunError: A file cannot be read.
    """
    runs = [(name, folder / "runs" / name / RUN) for folder in folders for name in WEIGHTS]
    audits = [(name, file) for folder in folders for name in WEIGHTS for file in _audits(folder, name)]
    return Evidence(
        records={name: _read(file) for name, file in runs if file.is_file()},
        results=[result for folder in folders for result in read_results(folder / "study")],
        audits={name: {file.stem: _read(file) for whose, file in audits if whose == name} for name in WEIGHTS},
    )


def _audits(folder: Path, name: str) -> list[Path]:
    return sorted((folder / "audits" / name).glob("*.json"))


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read ({error}); make it again, or remove it") from error


def transfers(name: str, results: Sequence[TargetResult]) -> list[Transfer]:
    """Return a weight's results in the study, target by target.

    Args:
        name: The weight.
        results: The study's results.

    Returns:
        One entry for each target and strategy it was fine-tuned with and has a value for.
    """
    found = []
    for result in results:
        facts = next((arm for arm in result.arms if arm.weight == name), None)
        if facts is not None:
            for strategy in result.comparison.strategies:
                found += _transfer(result, facts, strategy)
    return found


def _transfer(result: TargetResult, facts: ArmFacts, strategy: str) -> list[Transfer]:
    """Return an arm's result with one strategy, where it has a value."""
    rows = {row.arm: row for row in result.comparison.table(result.metric, strategy)}
    row, base = rows[facts.arm], rows.get(result.comparison.baseline)
    if row.estimate.value is None:
        return []
    unseen = None if result.unseen is None else {r.arm: r for r in result.unseen.table(result.metric, strategy)}
    return [
        Transfer(
            target=result.target,
            strategy=strategy,
            image_size=result.options["image_size"],
            metric=result.metric,
            estimate=row.estimate,
            baseline=base.estimate if base and base is not row else None,
            difference=row.test.difference if row.test else None,
            p=row.test.adjusted if row.test else None,
            runs=row.runs,
            images=len(result.comparison.data.ids),
            unseen=_estimate(unseen, facts.arm),
            seen=None if result.seen is None else int(result.seen.sum()),
            reduced=facts.reduced,
        )
    ]


def _estimate(rows: Mapping[str, Row] | None, arm: str) -> Estimate | None:
    return None if rows is None else rows[arm].estimate
