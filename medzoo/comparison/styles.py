"""One colour and one mark for each start, the same in every picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How a start is drawn.

    Attributes:
        colour: As matplotlib and HTML take it.
        mark: matplotlib's marker: whoever cannot tell the colours apart goes by it.
    """

    colour: str
    mark: str


# Grey for what the others are compared with; then colours that differ for colour-blind readers too and in lightness
# (Okabe and Ito, 2008), of which neighbours make a light and a dark one of a kind.
BASELINE = Look("#555555", "o")
OTHERS = (
    Look("#E69F00", "^"),
    Look("#D55E00", "s"),
    Look("#56B4E9", "v"),
    Look("#0072B2", "D"),
    Look("#009E73", "P"),
    Look("#CC79A7", "X"),
    Look("#7A5195", "<"),
    Look("#A6761D", ">"),
)

Looks = Mapping[str, Look]


def looks_of(arms: Sequence[str], baseline: str) -> Looks:
    """Give each start its look.

    Args:
        arms: All starts; a subset drawn elsewhere keeps its looks if this is given all of them.
        baseline: The start that the others are compared with.

    Returns:
        A look by start; after eight they begin anew.

    Example:
        >>> looks_of(["a", "b"], "a")["a"].colour
        '#555555'
    """
    others = [arm for arm in arms if arm != baseline]
    return {baseline: BASELINE} | {arm: OTHERS[place % len(OTHERS)] for place, arm in enumerate(others)}
