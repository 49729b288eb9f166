"""The study's result on one target: one file, from which tables, report and cards are made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medzoo.comparison.comparison import Comparison
from medzoo.core.atomic import write_json
from medzoo.core.errors import RunError
from training.study.ranking import ArmRanking

RESULTS = "results"
ARMS = ("IN", "Domain_RI", "Domain_IN", "All_RI", "All_IN")


@dataclass(frozen=True)
class ArmFacts:
    """Provenance of an arm's weight.

    Attributes:
        arm: The paper's arm.
        weight: The weight's name.
        sha256: Of its weights.
        reduced: What makes it less than a full run, in words.
        recipe: The pretraining recipe; empty for the ImageNet baseline.
        commit: The code's commit at pretraining; empty if unknown.
    """

    arm: str
    weight: str
    sha256: str
    reduced: tuple[str, ...] = ()
    recipe: str = ""
    commit: str = ""


@dataclass(frozen=True, eq=False)
class TargetResult:
    """The study's result on one target.

    Attributes:
        target: The data set's name.
        area: ``cxr``, ``hwsi`` or ``efi``.
        comparison: Every arm on every split.
        arms: Provenance of the arms' weights.
        options: How all of them were fine-tuned.
        seen: ``bool [N]`` images (or patients) that any arm's weight has seen in pretraining; ``None`` if not audited.
        seen_counts: Number of seen images of each kind.
        left_out: Images excluded as seen before the split, by kind.
        ranking: The ranking of the arms by ``medzoo.recommend``, without fine-tuning.
        environment: Packages, hardware and code of the study.
    """

    target: str
    area: str
    comparison: Comparison
    arms: Sequence[ArmFacts]
    options: Mapping[str, Any]
    seen: NDArray[np.bool_] | None
    seen_counts: Mapping[str, int]
    left_out: Mapping[str, int]
    ranking: ArmRanking
    environment: Mapping[str, Any]

    @cached_property
    def unseen(self) -> Comparison | None:
        """The same runs measured on images that no arm's weight has seen; ``None`` if none or all were seen."""
        if self.seen is None or not self.seen.any() or self.seen.all():
            return None
        return self.comparison.only(~self.seen)

    @property
    def metric(self) -> str:
        """The metric of the paper's Table 2: Cohen's kappa for grades, accuracy otherwise."""
        return table_metric(self.comparison.data.task)

    def save(self, folder: Path) -> Path:
        """Write ``<target>.json``."""
        file = folder / f"{self.target}.json"
        seen = None if self.seen is None else np.flatnonzero(self.seen).tolist()
        facts = {
            "target": self.target,
            "area": self.area,
            "arms": [asdict(arm) for arm in self.arms],
            "options": dict(self.options),
            "seen": seen,
            "seen_counts": dict(self.seen_counts),
            "left_out": dict(self.left_out),
            "ranking": asdict(self.ranking),
            "environment": dict(self.environment),
        }
        found = {"schema": 1, "kind": "study", **facts, "comparison": self.comparison.to_dict()}
        write_json(file, found, indent=None)  # numbers line by line would be three times the size
        return file

    @classmethod
    def read(cls, file: Path) -> TargetResult:
        """Read what ``save`` wrote.

        Raises:
            RunError: It is not such a file.
        """
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            comparison = Comparison.from_dict(data["comparison"])
            seen = None
            if data["seen"] is not None:
                seen = np.zeros(len(comparison.data.ids), bool)
                seen[np.array(data["seen"], dtype=np.int64)] = True
            arms = [ArmFacts(**{**arm, "reduced": tuple(arm["reduced"])}) for arm in data["arms"]]
            return cls(
                data["target"],
                data["area"],
                comparison,
                arms,
                data["options"],
                seen,
                data["seen_counts"],
                data["left_out"],
                ArmRanking(**data["ranking"]),
                data["environment"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file} cannot be read ({error}); run the study again, or remove it") from error


def read_results(folder: Path) -> list[TargetResult]:
    """Read all results of a study's folder, by target.

    Args:
        folder: Holds ``results/<target>.json``; a missing folder is empty.

    Raises:
        RunError: A file cannot be read.
    """
    return [TargetResult.read(file) for file in sorted((folder / RESULTS).glob("*.json"))]


def table_metric(task: str) -> str:
    """Return the metric of the paper's Table 2: Cohen's kappa for grades, accuracy otherwise."""
    return "kappa" if task == "ordinal" else "accuracy"
