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
        ``better`` or ``worse`` only where the 95 % interval excludes 0 and the corrected p-value is below 0.05.
        One run each decides nothing: its interval covers the spread over patients, not that over trainings.

    Example:
        >>> print(verdict(PairedTest(Estimate(0.03, 0.01, 0.05), 0.01, 15, adjusted=0.04)))
        better
        >>> print(verdict(PairedTest(Estimate(0.03, 0.01, 0.05), 0.01, 15, adjusted=0.04, not_better=0.005)))
        better (0.5 % probability that it is not)
        >>> print(verdict(PairedTest(Estimate(0.03, 0.01, 0.05), 0.03, 15, adjusted=0.12)))
        too close to call (alone it would be better; not after correction for multiple comparisons)
        >>> print(verdict(PairedTest(Estimate(0.03, -0.01, 0.07), 0.2, 15, adjusted=0.8, spread=0.03, detectable=0.05)))
        too close to call (80 % power from a difference of 0.050 on)
    """
    found = test.difference
    if test.runs == 1 and found.low is not None:
        return Verdict(UNKNOWN, "one run each: repeated training would differ; use more seeds or folds")
    if found.value is None or found.low is None or found.high is None:
        return Verdict(UNKNOWN, found.why)
    word = BETTER if found.value > 0 else WORSE
    if found.low <= 0 <= found.high:
        return Verdict(OPEN, power(test))
    if test.adjusted is not None and test.adjusted >= LEVEL:
        alone = f"alone it would be {word}; not after correction for multiple comparisons"
        return Verdict(OPEN, "; ".join(filter(None, (alone, power(test)))))
    return Verdict(word, _doubt(test, word))


def power(test: PairedTest) -> str:
    """Say which difference a test could have detected; empty where that is not known.

    Example:
        >>> power(PairedTest(Estimate(0.3, -0.3, 0.9), 0.3, 5, spread=0.4))
        'no difference that the metric allows would have been detected with 80 % power'
    """
    if test.spread is None:
        return ""
    if test.detectable is None:
        return "no difference that the metric allows would have been detected with 80 % power"
    return f"80 % power from a difference of {test.detectable:.3f} on"


def _doubt(test: PairedTest, word: str) -> str:
    """Say how probable it is that a verdict is wrong.

    Example:
        >>> _doubt(PairedTest(Estimate(0.1, 0.02, 0.18), 0.01, 15, not_better=0.005), BETTER)
        '0.5 % probability that it is not'
        >>> _doubt(PairedTest(Estimate(-0.1, -0.18, -0.02), 0.01, 15, not_better=0.9999), WORSE)
        'less than 0.1 % probability that it is not'
    """
    if test.not_better is None:
        return ""
    wrong = test.not_better if word == BETTER else 1 - test.not_better
    return f"{'less than 0.1' if wrong < 0.001 else f'{100 * wrong:.1f}'} % probability that it is not"


def signed(estimate: Estimate) -> str:
    """Format a difference with its sign and interval.

    Example:
        >>> signed(Estimate(0.031, -0.01, 0.072)), signed(Estimate(-0.02, None, None))
        ('+0.031 (-0.010 to +0.072)', '-0.020')
        >>> signed(Estimate(0.111, None, None, "too few runs for an interval"))
        '+0.111 (too few runs for an interval)'
    """
    missing = estimate.value is not None and estimate.low is None and estimate.why
    return f"{estimate:+.3f} ({estimate.why})" if missing else f"{estimate:+.3f}"


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
