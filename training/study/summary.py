"""The study in plain words: what was found, whatever it is, and what such data can and cannot show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from medzoo.comparison.comparison import Comparison
from medzoo.comparison.convergence import convergence
from medzoo.comparison.verdict import BETTER, OPEN, UNKNOWN, WORSE, Verdict, signed, verdict
from training.datasets import DATASETS
from training.study.outcome import ARMS, Outcome
from training.study.paper import IMAGE_SIZE
from training.study.side_by_side import judged


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """What was found, in sentences."""
    return [*_verdicts(outcomes), *_decided(outcomes), *_sooner(outcomes), *_unseen(outcomes), *_failures(outcomes)]


def _verdicts(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """For each arm, on how many targets it beats the baseline."""
    for arm in ARMS:
        said = [
            (outcome.comparison.baseline, found)
            for outcome in outcomes
            for row in outcome.comparison.table(outcome.metric)
            if row.arm == arm and (found := judged(row)) is not None
        ]
        if said:
            base = ", ".join(dict.fromkeys(name for name, _ in said))
            yield f"{arm} beside {base}, {_count(len(said), 'target')}: {_tally([found for _, found in said])}."


def _tally(said: Sequence[Verdict]) -> str:
    """How often each verdict was given.

    Example:
        >>> _tally([Verdict("better"), Verdict("too close to call"), Verdict("too close to call")])
        'better in 1, too close to call in 2'
        >>> _tally([Verdict("too close to call")] * 3)
        'too close to call in all'
    """
    words = [entry.word for entry in said]
    if len(set(words)) == 1:
        return f"{words[0]} in all"
    return ", ".join(f"{word} in {words.count(word)}" for word in (BETTER, WORSE, OPEN, UNKNOWN) if word in words)


def _decided(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Every difference that can be told; or that there is none."""
    found = []
    for outcome in outcomes:
        for row in outcome.comparison.table(outcome.metric):
            said = judged(row)
            if row.test is not None and said is not None and said.decided:
                found.append(
                    f"{DATASETS[outcome.target].title}: {row.arm} is {said.word} than {outcome.comparison.baseline}, "
                    f"{outcome.metric} {signed(row.test.difference)}."
                )
    yield from found or ["On no target can any start be told from the baseline by these data."]


def _sooner(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The paper's second claim, over all targets and arms."""
    said = [
        verdict(entry.test)
        for outcome in outcomes
        for entry in convergence(outcome.comparison, outcome.metric)
        if entry.test is not None
    ]
    if said:
        yield (
            "Convergence (mean of the curve over all epochs, against the baseline's), "
            f"{_count(len(said), 'comparison')}: {_tally(said)}."
        )


def _unseen(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """How many target images pretraining has seen, and whether the verdicts stand without them."""
    for outcome in outcomes:
        if outcome.seen is None or not outcome.seen.any():
            continue
        title, seen, images = DATASETS[outcome.target].title, int(outcome.seen.sum()), len(outcome.seen)
        start = f"{title}: pretraining of some arm has seen {seen:,} of {images:,} images (or their patients)"
        if outcome.unseen is None:
            yield f"{start}; none is left to measure on without them."
            continue
        with_all, without = (_words(c, outcome.metric) for c in (outcome.comparison, outcome.unseen))
        changed = [
            f"{arm} becomes {without[arm]}" for arm in with_all if with_all[arm] != without.get(arm, with_all[arm])
        ]
        yield f"{start}; on the unseen ones alone {'; '.join(changed) or 'the verdicts are the same'}."


def _words(comparison: Comparison, metric: str) -> dict[str, str]:
    return {row.arm: found.word for row in comparison.table(metric) if (found := judged(row)) is not None}


def _failures(outcomes: Sequence[Outcome]) -> Iterator[str]:
    failed = sum(len(outcome.comparison.failures) for outcome in outcomes)
    if failed:
        yield f"{_count(failed, 'run')} failed; what failed is named with its target, and left out of all figures."


def limits(outcomes: Sequence[Outcome]) -> list[str]:
    """What such data can and cannot show, in sentences made from the data."""
    found = []
    tests = [row.test for outcome in outcomes for row in outcome.comparison.table(outcome.metric) if row.test]
    reach = [
        (test.difference.high - test.difference.low) / 2
        for test in tests
        if test.difference.low is not None and test.difference.high is not None
    ]
    if reach:
        found.append(
            f"The intervals of the differences reach {min(reach):.3f} to {max(reach):.3f} to either side (median "
            f"{median(reach):.3f}): a difference much smaller than that cannot be seen here, and 'too close to call' "
            "does not say that two starts are equal."
        )
    partial = [
        f"{DATASETS[o.target].title} {len(o.comparison.data.ids):,} of {DATASETS[o.target].total:,}"
        for o in outcomes
        if len(o.comparison.data.ids) < DATASETS[o.target].total
    ]
    if partial:
        found.append(f"Some targets are there only in part ({'; '.join(partial)} images).")
    notes = sorted({note for outcome in outcomes for arm in outcome.arms for note in arm.reduced})
    if notes:
        reduced = {arm.weight for outcome in outcomes for arm in outcome.arms if arm.reduced}
        found.append(
            f"{_count(len(reduced), 'weight')} come from reduced pretraining (see below): the figures say what such "
            "weights are worth, and nothing of weights pretrained on the whole sources."
        )
    sizes = sorted({outcome.options["image_size"] for outcome in outcomes})
    if min(sizes) < IMAGE_SIZE:
        found.append(
            f"Images are {' or '.join(map(str, sizes))} pixels wide instead of the paper's {IMAGE_SIZE}: fine detail "
            "is gone, and the starts may rank otherwise at full size."
        )
    found.append(
        "Intervals and tests speak of these images divided anew, not of other scanners, hospitals or patients. "
        "p-values are corrected for the several arms of a target, not for the several targets."
    )
    return found


def _count(number: int, what: str) -> str:
    """A number with its noun.

    Example:
        >>> _count(1, "run"), _count(3, "target")
        ('1 run', '3 targets')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
