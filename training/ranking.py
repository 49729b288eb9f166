"""How well rankings without fine-tuning agree with the study's own cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medzoo.bundle import Bundle
from medzoo.comparison.comparison import Comparison
from medzoo.errors import MedzooError
from medzoo.examples import Examples
from medzoo.progress import say
from medzoo.recommending import recommend
from medzoo.transferability.agreement import agreement

PROBE = "linear probe"


@dataclass(frozen=True)
class Ranking:
    """What ``medzoo.recommend`` says of a target's arms.

    Attributes:
        scores: Arm to score to value; higher is better, ``None`` where there is none.
        seconds: How long it took for all arms.
    """

    scores: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    seconds: float = 0.0

    def agreement(self, comparison: Comparison) -> dict[str, float | None]:
        """Weighted Kendall's tau of each score with the fine-tuned starts' mean of the task's primary metric.

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


def rank(examples: Examples, found: Mapping[str, Bundle], image_size: int, device: str | None) -> Ranking:
    """Rank a target's arms without fine-tuning any.

    Args:
        examples: The target.
        found: Arm to weight.
        image_size: Side of the networks' input in pixels.
        device: Where.

    Returns:
        The ranking; an empty one, and a line that says why, where the target is too small for it.
    """
    arms: Sequence[str] = list(found)
    try:
        ranking = recommend(examples, [found[arm].folder for arm in arms], image_size=image_size, device=device)
    except MedzooError as error:
        say(f"  {examples.name}: not ranked without fine-tuning: {error}")
        return Ranking()
    of = {str(found[arm].folder): arm for arm in arms}
    scores = {of[one.weights]: {PROBE: one.probe.value, **one.scores} for one in ranking.candidates}
    return Ranking({arm: scores[arm] for arm in arms}, round(ranking.seconds, 1))
