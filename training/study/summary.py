"""The study in words: its findings, and the limits of its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medzoo.comparison.benefit import benefits
from medzoo.comparison.comparison import Comparison
from medzoo.comparison.convergence import convergence
from medzoo.comparison.design import LEVEL
from medzoo.comparison.verdict import BETTER, OPEN, UNKNOWN, WORSE, Verdict, percent, signed, verdict
from training.datasets import DATASETS
from training.study.paper import IMAGE_SIZE
from training.study.result import ARMS, TargetResult
from training.study.side_by_side import verdict_of


def summary(results: Sequence[TargetResult]) -> list[str]:
    """Return the findings, in sentences."""
    return [
        *_power(results),
        *_verdicts(results),
        *_decided(results),
        *_patients(results),
        *_fewer(results),
        *_convergence(results),
        *_unseen(results),
        *_failures(results),
    ]


def _power(results: Sequence[TargetResult]) -> Iterator[str]:
    """Say first what each target could show."""
    for result in results:
        tests = [row.test for row in result.comparison.table(result.metric) if row.test]
        if not tests:
            continue
        found = [test.detectable for test in tests if test.detectable is not None]
        start = f"{DATASETS[result.target].title}, {_count(max(test.runs for test in tests), 'paired run')}"
        if found:
            largest = f" to {max(found):.3f}" if f"{max(found):.3f}" != f"{min(found):.3f}" else ""
            yield f"{start}: differences of {result.metric} of {min(found):.3f}{largest} are detected with 80 % power."
        else:
            yield f"{start}: {next((t.difference.why for t in tests if t.difference.why), 'no power to speak of')}."


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


def _patients(results: Sequence[TargetResult]) -> Iterator[str]:
    """List the differences of the very models on other patients that their interval and p-value both tell."""
    found, count = [], 0
    for result in results:
        for row in result.comparison.table(result.metric):
            if row.patients is None or row.patients.p is None:
                continue
            estimate = row.patients.difference
            if estimate.low is None or estimate.high is None:
                continue
            count += 1
            if row.patients.p < LEVEL and not estimate.low <= 0 <= estimate.high:
                found.append(f"{DATASETS[result.target].title}, {row.arm} {signed(estimate)}")
    if count:
        names = f"the interval of the difference excludes 0, and p is below {LEVEL}, for {'; '.join(found)}"
        yield (
            f"The same models on other patients, another question, {_count(count, 'comparison')} (not corrected for "
            f"their number): {names if found else f'no interval of a difference excludes 0 with p below {LEVEL}'}."
        )


def _fewer(results: Sequence[TargetResult]) -> Iterator[str]:
    """Judge the paper's claim that smaller data sets benefit more, where several fractions were run."""
    for result in results:
        for one in benefits(result.comparison, result.metric):
            shares = result.comparison.fractions
            word = {BETTER: "gains more", WORSE: "gains less"}.get(verdict(one.trend).word, verdict(one.trend).word)
            beside = f"with {percent(shares[-1])} of the training images beside {percent(shares[0])}"
            change = f"difference of the gains in {result.metric} {signed(one.trend.difference)}"
            yield f"{DATASETS[result.target].title}, {one.arm} {beside}: {word}; {change}."


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
    found = [
        "A difference much smaller than what a target detects with 80 % power cannot be seen here: 'too close to call' "
        "does not mean that two arms are equal."
    ]
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
