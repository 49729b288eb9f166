"""What the study found on one target, kept as one file from which tables, report and cards are made."""

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
from training.study.ranking import Ranking

RESULTS = "results"
ARMS = ("IN", "Domain_RI", "Domain_IN", "All_RI", "All_IN")


@dataclass(frozen=True)
class ArmFacts:
    """Where an arm's weight comes from.

    Attributes:
        arm: The paper's arm.
        weight: The weight's name.
        sha256: Of its weights.
        reduced: What makes it less than a full run, in words.
        recipe: How it was pretrained; empty for the ImageNet baseline.
        commit: The code's commit when it was; empty where unknown.
    """

    arm: str
    weight: str
    sha256: str
    reduced: tuple[str, ...] = ()
    recipe: str = ""
    commit: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """All that the study found on one target.

    Attributes:
        target: The data set's name.
        area: ``cxr``, ``hwsi`` or ``efi``.
        comparison: Every start on every division.
        arms: Where the arms' weights come from.
        options: How all of them were fine-tuned.
        seen: ``bool [N]`` images (or patients) that any arm's weight has seen in pretraining; ``None`` where that
            was not looked for.
        seen_counts: How many images of each kind that are.
        left_out: Images left out of the target, as seen, before it was divided, by kind.
        ranking: What ``medzoo.recommend`` says of the arms, without fine-tuning any.
        environment: Packages, hardware and code that the study ran with.
    """

    target: str
    area: str
    comparison: Comparison
    arms: Sequence[ArmFacts]
    options: Mapping[str, Any]
    seen: NDArray[np.bool_] | None
    seen_counts: Mapping[str, int]
    left_out: Mapping[str, int]
    ranking: Ranking
    environment: Mapping[str, Any]

    @cached_property
    def unseen(self) -> Comparison | None:
        """The same runs measured on images alone that no arm's weight has seen; ``None`` where none was seen."""
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
        write_json(file, {"schema": 1, "kind": "study", **facts, "comparison": self.comparison.to_dict()})
        return file

    @classmethod
    def read(cls, file: Path) -> Outcome:
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
                Ranking(**data["ranking"]),
                data["environment"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file} cannot be read ({error}); run the study again, or take it away") from error


def read_outcomes(folder: Path) -> list[Outcome]:
    """All outcomes of a study's folder, by target.

    Args:
        folder: Holds ``results/<target>.json``; a folder that is not there holds nothing.

    Raises:
        RunError: A file is none.
    """
    return [Outcome.read(file) for file in sorted((folder / RESULTS).glob("*.json"))]


def table_metric(task: str) -> str:
    """The metric of the paper's Table 2: Cohen's kappa for grades, accuracy otherwise."""
    return "kappa" if task == "ordinal" else "accuracy"
