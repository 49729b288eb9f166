"""What a comparison says in words: signed differences, p-values, and a verdict on each start."""

from __future__ import annotations

from dataclasses import dataclass

from medzoo.comparison.statistics import Test
from medzoo.metrics.estimates import Estimate

LEVEL = 0.05
BETTER, WORSE, OPEN, UNKNOWN = "better", "worse", "too close to call", "cannot be told"


@dataclass(frozen=True)
class Verdict:
    """What can be said of a start beside the baseline.

    Attributes:
        word: ``better``, ``worse``, ``too close to call`` or ``cannot be told``.
        why: What else to know of it; may be empty.
    """

    word: str
    why: str = ""

    @property
    def decided(self) -> bool:
        """Whether there is a winner."""
        return self.word in (BETTER, WORSE)

    def __str__(self) -> str:
        return f"{self.word} ({self.why})" if self.why else self.word


def verdict(test: Test) -> Verdict:
    """Judge a start by the interval of its difference, and by its p-value corrected for several starts.

    Args:
        test: A start against the baseline, on a metric of which more is better.

    Returns:
        ``better`` or ``worse`` only where the 95 % interval leaves out 0 and the corrected p-value is below 0.05.
        One run a start decides nothing: its interval knows the spread over patients, not that over trainings.

    Example:
        >>> print(verdict(Test(Estimate(0.03, 0.01, 0.05), 0.01, 15, adjusted=0.04)))
        better
        >>> print(verdict(Test(Estimate(0.03, 0.01, 0.05), 0.03, 15, adjusted=0.12)))
        too close to call (alone it would be better; not after correction for several starts)
        >>> print(verdict(Test(Estimate(0.03, -0.01, 0.07), 0.2, 15, adjusted=0.8)))
        too close to call
    """
    found = test.difference
    if test.runs == 1:
        return Verdict(UNKNOWN, "one run a start: trained anew, each would differ; give more seeds or folds")
    if found.value is None or found.low is None or found.high is None:
        return Verdict(UNKNOWN, found.why)
    if found.low <= 0 <= found.high:
        return Verdict(OPEN)
    word = BETTER if found.value > 0 else WORSE
    if test.adjusted is not None and test.adjusted >= LEVEL:
        return Verdict(OPEN, f"alone it would be {word}; not after correction for several starts")
    return Verdict(word)


def signed(estimate: Estimate) -> str:
    """A difference with its sign and interval.

    Example:
        >>> signed(Estimate(0.031, -0.01, 0.072)), signed(Estimate(-0.02, None, None))
        ('+0.031 (-0.010 to +0.072)', '-0.020')
    """
    if estimate.value is None:
        return str(estimate)
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.3f}"
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def p_value(p: float | None) -> str:
    """A p-value as it is printed.

    Example:
        >>> p_value(0.0123), p_value(0.0001), p_value(None)
        ('0.012', '< 0.001', 'undefined')
    """
    if p is None:
        return "undefined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float) -> str:
    """A share of the images.

    Example:
        >>> percent(0.1), percent(0.125)
        ('10 %', '12.5 %')
    """
    return f"{100 * share:g} %"
