"""A comparison in words: signed differences, p-values, and a verdict on each weight."""

from __future__ import annotations

from dataclasses import dataclass

from medzoo.comparison.statistics import PairedTest
from medzoo.metrics.estimates import Estimate

LEVEL = 0.05
BETTER, WORSE, OPEN, UNKNOWN = "better", "worse", "too close to call", "not available"


@dataclass(frozen=True)
class Verdict:
    """The verdict on pretrained weights against the baseline.

    Attributes:
        word: ``better``, ``worse``, ``too close to call`` or ``not available``.
        why: The reason, or a restriction; may be empty.
    """

    word: str
    why: str = ""

    @property
    def decided(self) -> bool:
        """Return whether there is a winner."""
        return self.word in (BETTER, WORSE)

    def __str__(self) -> str:
        return f"{self.word} ({self.why})" if self.why else self.word


def verdict(test: PairedTest) -> Verdict:
    """Judge pretrained weights by the interval of their difference and the p-value corrected for all comparisons.

    Args:
        test: The test against the baseline, on a metric of which more is better.

    Returns:
        ``better`` or ``worse`` only where the 95 % interval leaves out 0 and the corrected p-value is below 0.05.
        One run each decides nothing: its interval covers the spread over patients, not that over trainings.

    Example:
        >>> print(verdict(PairedTest(Estimate(0.03, 0.01, 0.05), 0.01, 15, adjusted=0.04)))
        better
        >>> print(verdict(PairedTest(Estimate(0.03, 0.01, 0.05), 0.03, 15, adjusted=0.12)))
        too close to call (alone it would be better; not after correction for multiple comparisons)
        >>> print(verdict(PairedTest(Estimate(0.03, -0.01, 0.07), 0.2, 15, adjusted=0.8)))
        too close to call
    """
    found = test.difference
    if test.runs == 1:
        return Verdict(UNKNOWN, "one run each: repeated training would differ; use more seeds or folds")
    if found.value is None or found.low is None or found.high is None:
        return Verdict(UNKNOWN, found.why)
    if found.low <= 0 <= found.high:
        return Verdict(OPEN)
    word = BETTER if found.value > 0 else WORSE
    if test.adjusted is not None and test.adjusted >= LEVEL:
        return Verdict(OPEN, f"alone it would be {word}; not after correction for multiple comparisons")
    return Verdict(word)


def signed(estimate: Estimate) -> str:
    """Format a difference with its sign and interval.

    Example:
        >>> signed(Estimate(0.031, -0.01, 0.072)), signed(Estimate(-0.02, None, None))
        ('+0.031 (-0.010 to +0.072)', '-0.020')
    """
    return f"{estimate:+.3f}"


def p_value(p: float | None) -> str:
    """Format a p-value.

    Example:
        >>> p_value(0.0123), p_value(0.0001), p_value(None)
        ('0.012', '< 0.001', 'undefined')
    """
    if p is None:
        return "undefined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float) -> str:
    """Format a share of the images.

    Example:
        >>> percent(0.1), percent(0.125)
        ('10 %', '12.5 %')
    """
    return f"{100 * share:g} %"
