"""Agreement of rankings without fine-tuning with the study's own results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from medzoo.comparison.comparison import Comparison
from medzoo.comparison.workers import Workers
from medzoo.core.atomic import write_json
from medzoo.core.errors import MedzooError
from medzoo.core.progress import say
from medzoo.data.dataset import Examples
from medzoo.data.fingerprint import fingerprint
from medzoo.recommendation.agreement import agreement
from medzoo.recommendation.recommend import recommend
from medzoo.zoo.bundle import Bundle
from medzoo.zoo.verify import sha256_of

PROBE = "linear probe"


@dataclass(frozen=True)
class ArmRanking:
    """The ranking of a target's arms by ``medzoo.recommend``.

    Attributes:
        scores: Arm to score to value; higher is better, ``None`` if undefined.
        seconds: Its time for all arms.
    """

    scores: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    seconds: float = 0.0

    def agreement(self, comparison: Comparison) -> dict[str, float | None]:
        """Return weighted Kendall's tau of each score with the primary metric after fine-tuning.

        Args:
            comparison: The target's cells.

        Returns:
            Score to tau; ``None`` where fewer than two arms have both.
        """
        tuned = {row.arm: row.estimate.value for row in comparison.table()}
        names = list(dict.fromkeys(name for scores in self.scores.values() for name in scores))
        return {
            name: agreement(
                [self.scores[arm].get(name) for arm in self.scores], [tuned.get(arm) for arm in self.scores]
            )
            for name in names
        }


def rank(
    examples: Examples, found: Mapping[str, Bundle], image_size: int, workers: Workers, folder: Path
) -> ArmRanking:
    """Rank a target's arms without fine-tuning any.

    Args:
        examples: The target.
        found: Arm to weight.
        image_size: Side of the networks' input in pixels.
        workers: The device, and the cluster if there is one.
        folder: The folder of finished rankings, which are not computed again.

    Returns:
        The ranking; empty, with a line that gives the reason, if the target is too small.
    """
    arms: Sequence[str] = list(found)
    asked = [fingerprint(examples), {arm: sha256_of(found[arm].weights) for arm in arms}, image_size]
    file = folder / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}.json"
    if file.is_file():
        return ArmRanking(**json.loads(file.read_text(encoding="utf-8")))
    try:
        ranking = recommend(
            examples,
            [found[arm].folder for arm in arms],
            image_size=image_size,
            scheduler=workers.cluster,
            device=workers.device,
        )
    except MedzooError as error:
        say(f"  {examples.name}: not ranked without fine-tuning: {error}")
        return ArmRanking()
    of = {str(found[arm].folder): arm for arm in arms}
    scores = {of[one.weights]: {PROBE: one.probe.value, **one.scores} for one in ranking.candidates}
    made = ArmRanking({arm: scores[arm] for arm in arms}, round(ranking.seconds, 1))
    write_json(file, asdict(made))
    return made
