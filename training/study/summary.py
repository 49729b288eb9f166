"""The study in words: its findings, and the limits of its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from medzoo.comparison.comparison import Comparison
from medzoo.comparison.convergence import convergence
from medzoo.comparison.verdict import BETTER, OPEN, UNKNOWN, WORSE, Verdict, signed, verdict
from training.datasets import DATASETS
from training.study.paper import IMAGE_SIZE
from training.study.result import ARMS, TargetResult
from training.study.side_by_side import verdict_of


def summary(results: Sequence[TargetResult]) -> list[str]:
    """Return the findings, in sentences."""
    return [*_verdicts(results), *_decided(results), *_convergence(results), *_unseen(results), *_failures(results)]


def _verdicts(results: Sequence[TargetResult]) -> Iterator[str]:
    """Count for each arm the targets on which it beats the baseline."""
    for arm in ARMS:
        verdicts = [
            (result.comparison.baseline, found)
            for result in results
            for row in result.comparison.table(result.metric)
            if row.arm == arm and (found := verdict_of(row)) is not None
        ]
        if verdicts:
            base = ", ".join(dict.fromkeys(name for name, _ in verdicts))
            yield f"{arm} beside {base}, {_count(len(verdicts), 'target')}: {_tally([found for _, found in verdicts])}."


def _tally(verdicts: Sequence[Verdict]) -> str:
    """Count the verdicts.

    Example:
        >>> _tally([Verdict("better"), Verdict("too close to call"), Verdict("too close to call")])
        'better in 1, too close to call in 2'
        >>> _tally([Verdict("too close to call")] * 3)
        'too close to call in all'
    """
    words = [entry.word for entry in verdicts]
    if len(set(words)) == 1:
        return f"{words[0]} in all"
    return ", ".join(f"{word} in {words.count(word)}" for word in (BETTER, WORSE, OPEN, UNKNOWN) if word in words)


def _decided(results: Sequence[TargetResult]) -> Iterator[str]:
    """List every decided difference."""
    found = []
    for result in results:
        for row in result.comparison.table(result.metric):
            word = verdict_of(row)
            if row.test is not None and word is not None and word.decided:
                found.append(
                    f"{DATASETS[result.target].title}: {row.arm} is {word.word} than {result.comparison.baseline}, "
                    f"{result.metric} {signed(row.test.difference)}."
                )
    yield from found or ["On no target do these data show a difference between any arm and the baseline."]


def _convergence(results: Sequence[TargetResult]) -> Iterator[str]:
    """Count the verdicts on convergence, the paper's second claim."""
    verdicts = [
        verdict(entry.test)
        for result in results
        for entry in convergence(result.comparison, result.metric)
        if entry.test is not None
    ]
    if verdicts:
        yield (
            "Convergence (mean of the curve over all epochs, against the baseline's), "
            f"{_count(len(verdicts), 'comparison')}: {_tally(verdicts)}."
        )


def _unseen(results: Sequence[TargetResult]) -> Iterator[str]:
    """Count the target images seen in pretraining, and list the verdicts that change without them."""
    for result in results:
        if result.seen is None or not result.seen.any():
            continue
        title, seen, images = DATASETS[result.target].title, int(result.seen.sum()), len(result.seen)
        start = f"{title}: pretraining of some arm has seen {seen:,} of {images:,} images (or their patients)"
        if result.unseen is None:
            yield f"{start}; none is left to measure on without them."
            continue
        with_all, without = (_words(c, result.metric) for c in (result.comparison, result.unseen))
        changed = [
            f"{arm} becomes {without[arm]}" for arm in with_all if with_all[arm] != without.get(arm, with_all[arm])
        ]
        yield f"{start}; on the unseen ones alone {'; '.join(changed) or 'the verdicts are the same'}."


def _words(comparison: Comparison, metric: str) -> dict[str, str]:
    return {row.arm: found.word for row in comparison.table(metric) if (found := verdict_of(row)) is not None}


def _failures(results: Sequence[TargetResult]) -> Iterator[str]:
    failed = sum(len(result.comparison.failures) for result in results)
    if failed:
        yield f"{_count(failed, 'run')} failed; what failed is named with its target, and left out of all figures."


def limits(results: Sequence[TargetResult]) -> list[str]:
    """Return the limits of the data, in sentences."""
    found = []
    tests = [row.test for result in results for row in result.comparison.table(result.metric) if row.test]
    reach = [
        (test.difference.high - test.difference.low) / 2
        for test in tests
        if test.difference.low is not None and test.difference.high is not None
    ]
    if reach:
        found.append(
            f"The intervals of the differences reach {min(reach):.3f} to {max(reach):.3f} to either side (median "
            f"{median(reach):.3f}): a difference much smaller than that cannot be seen here, and 'too close to call' "
            "does not mean that two arms are equal."
        )
    partial = [
        f"{DATASETS[o.target].title} {len(o.comparison.data.ids):,} of {DATASETS[o.target].total:,}"
        for o in results
        if len(o.comparison.data.ids) < DATASETS[o.target].total
    ]
    if partial:
        found.append(f"Some targets are incomplete ({'; '.join(partial)} images).")
    notes = sorted({note for result in results for arm in result.arms for note in arm.reduced})
    if notes:
        reduced = {arm.weight for result in results for arm in result.arms if arm.reduced}
        found.append(
            f"{_count(len(reduced), 'weight')} come from reduced pretraining (see below): the results hold for such "
            "weights, not for weights pretrained on the complete sources."
        )
    sizes = sorted({result.options["image_size"] for result in results})
    if min(sizes) < IMAGE_SIZE:
        found.append(
            f"Images are {' or '.join(map(str, sizes))} pixels wide instead of the paper's {IMAGE_SIZE}: fine detail "
            "is gone, and the arms may rank differently at full size."
        )
    found.append(
        "Intervals and tests hold for new splits of these images, not for other scanners, hospitals or patients. "
        "p-values are corrected for the several arms of a target, not for the several targets."
    )
    return found


def _count(number: int, what: str) -> str:
    """Format a number with its noun.

    Example:
        >>> _count(1, "run"), _count(3, "target")
        ('1 run', '3 targets')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
