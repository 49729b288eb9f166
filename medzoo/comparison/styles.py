"""One colour and one marker for each set of weights, the same in every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """The style of one set of weights in figures.

    Attributes:
        colour: As matplotlib and HTML take it.
        marker: matplotlib's marker, for readers who cannot distinguish the colours.
    """

    colour: str
    marker: str


# Grey for what the others are compared with; then colours that differ for colour-blind readers too and in lightness
# (Okabe and Ito, 2008), of which neighbours make a light and a dark one of a kind.
BASELINE = Style("#555555", "o")
OTHERS = (
    Style("#E69F00", "^"),
    Style("#D55E00", "s"),
    Style("#56B4E9", "v"),
    Style("#0072B2", "D"),
    Style("#009E73", "P"),
    Style("#CC79A7", "X"),
    Style("#7A5195", "<"),
    Style("#A6761D", ">"),
)

Styles = Mapping[str, Style]


def assign_styles(arms: Sequence[str], baseline: str) -> Styles:
    """Assign a style to each name.

    Args:
        arms: All names; a subset drawn elsewhere keeps its styles if this is given all of them.
        baseline: The name that the others are compared with.

    Returns:
        A style by name; they repeat after eight.

    Example:
        >>> assign_styles(["a", "b"], "a")["a"].colour
        '#555555'
    """
    others = [arm for arm in arms if arm != baseline]
    return {baseline: BASELINE} | {arm: OTHERS[place % len(OTHERS)] for place, arm in enumerate(others)}
