"""What the numbers of a comparison can tell, and what not, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from medzoo.comparison.design import TOO_FEW, advice
from medzoo.comparison.runs import DONE
from medzoo.metrics.small import small_classes

if TYPE_CHECKING:
    from medzoo.comparison.comparison import Comparison, Row

# The difference that the number of images is given for.
TO_TELL = 0.03


def notes(comparison: Comparison, metric: str | None = None) -> list[str]:
    """Return sentences on power, on the two questions of the table, on the number of images, and on small classes.

    Args:
        comparison: The runs.
        metric: Default the task's primary one.
    """
    rows = comparison.table(metric)
    metric = metric or comparison.primary
    return [*_power(comparison, rows, metric), *_patients(comparison, rows), *_classes(comparison)]


def _power(comparison: Comparison, rows: list[Row], metric: str) -> Iterator[str]:
    tests = [row.test for row in rows if row.test is not None]
    if any(TOO_FEW in row.test.difference.why for row in rows if row.test is not None) or (
        not tests and any(TOO_FEW in row.estimate.why for row in rows)
    ):
        folds, seeds, share = _design(comparison)
        yield advice(folds, seeds, share) or f"{TOO_FEW.capitalize()} of {metric}: runs failed, or differ too much."
    found = [test.detectable for test in tests if test.detectable is not None]
    if found:
        runs, count = max(test.runs for test in tests), sum(test.p is not None for test in tests)
        after = f", after correction for {count} comparisons" if count > 1 else ""
        yield (
            f"Power: {runs} paired runs detect a true difference of {metric} of {_between(found)} with a probability "
            f"of 80 % (simulated from the observed spread of the paired differences{after}). Smaller ones they "
            "cannot be expected to show."
        )


def _patients(comparison: Comparison, rows: list[Row]) -> Iterator[str]:
    tests = [row.patients for row in rows if row.patients is not None]
    if not tests:
        return
    images = max(test.images for test in tests)
    seeds = max(test.seeds for test in tests)
    units = "patients" if comparison.data.patients else "images, as no patients are known"
    mean = f", averaged over {seeds} seeds" if seeds > 1 else ""
    yield (
        "Two questions: the difference over runs is that of the weights, trained again on other splits of such images; "
        f"'same models, other patients' is that of these very models, on {images:,} held-out images{mean} (paired "
        f"bootstrap of {units}). The second knows nothing of how training again would differ."
    )
    needed = [count for test in tests if (count := test.images_needed(TO_TELL)) is not None]
    if needed:
        number = _range(f"{min(needed):,}", f"{max(needed):,}")
        yield (
            f"To tell a difference of {TO_TELL} between such models (80 % power) you would need about {number} "
            f"held-out images; here are {images:,}."
        )


def _classes(comparison: Comparison) -> Iterator[str]:
    held_out = np.zeros(len(comparison.data.ids), bool)
    for record in comparison.records:
        if record["status"] == DONE:
            held_out[record["rows"]] = True
    if comparison.rows is not None:
        held_out &= comparison.rows
    counts = np.nansum(comparison.data.targets[held_out], axis=0).astype(int).tolist()
    note = small_classes(dict(zip(comparison.data.classes, counts, strict=True)))
    if note:
        yield note


def _design(comparison: Comparison) -> tuple[int, int, float]:
    """Return folds, seeds and the held-out share."""
    folds = len({record["fold"] for record in comparison.records})
    seeds = len({record["repeat"] for record in comparison.records})
    done = [r for r in comparison.records if r["status"] == DONE]
    tested = float(np.mean([len(r["rows"]) / (len(r["rows"]) + r["train_images"] / r["fraction"]) for r in done]))
    return folds, seeds, tested


def _between(values: list[float]) -> str:
    return _range(f"{min(values):.3f}", f"{max(values):.3f}")


def _range(low: str, high: str) -> str:
    """Write a range, or one number.

    Example:
        >>> _range("0.020", "0.031"), _range("900", "900")
        ('0.020 to 0.031', '900')
    """
    return low if low == high else f"{low} to {high}"
