"""Tables of a comparison: CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from medzoo.comparison.comparison import Comparison, Row
from medzoo.comparison.notes import notes
from medzoo.comparison.statistics import PairedTest
from medzoo.comparison.verdict import p_value, percent, signed, verdict
from medzoo.metrics.estimates import Estimate
from medzoo.metrics.scores import TASK_METRICS
from medzoo.reporting.markdown import wrap
from medzoo.reporting.templates import plain

DIGITS = 6  # more are noise, and differ between machines


def long_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row for each metric, strategy, share of the training images, and set of weights.

    Args:
        comparison: The runs.

    Returns:
        Rows with ``strategy``, ``fraction``, ``metric``, ``weights``, ``runs``, ``failed``, ``mean``,
        ``low``, ``high`` and, but for the baseline, ``difference``, its ``difference_low`` and ``difference_high``,
        ``p``, ``p_holm``, ``not_better`` (the probability that it is 0 or less) and ``detectable`` (with 80 % power);
        ``patients_*`` is the difference of the same models on other patients. ``None`` where undefined.
    """
    return [
        {"strategy": strategy, "fraction": fraction, "metric": metric, **_numbers(row)}
        for strategy in comparison.strategies
        for fraction in comparison.fractions
        for metric in TASK_METRICS[comparison.data.task].overall
        for row in comparison.table(metric, strategy, fraction)
    ]


def _numbers(row: Row) -> dict[str, Any]:
    test = row.test or PairedTest(Estimate(None, None, None), None, 0)
    patients = row.patients
    numbers = {
        "mean": row.estimate.value,
        "low": row.estimate.low,
        "high": row.estimate.high,
        "difference": test.difference.value,
        "difference_low": test.difference.low,
        "difference_high": test.difference.high,
        "p": test.p,
        "p_holm": test.adjusted,
        "not_better": test.not_better,
        "detectable": test.detectable,
        "patients_difference": None if patients is None else patients.difference.value,
        "patients_low": None if patients is None else patients.difference.low,
        "patients_high": None if patients is None else patients.difference.high,
        "patients_p": None if patients is None else patients.p,
        "patients_not_better": None if patients is None else patients.not_better,
    }
    short = {name: None if value is None else round(value, DIGITS) for name, value in numbers.items()}
    return {"weights": row.arm, "runs": row.runs, "failed": row.failed, **short}


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Format rows as CSV; undefined values are empty.

    Example:
        >>> csv_text([{"weights": "a", "mean": 0.5, "p": None}])
        'weights,mean,p\na,0.5,\n'
    """
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def markdown(comparison: Comparison, metric: str | None = None) -> str:
    """Format means, differences and verdicts of every strategy and share of the training images as Markdown.

    Args:
        comparison: The runs.
        metric: Default the task's primary one.
    """
    metric = metric or comparison.primary
    title = plain(comparison.title(metric))
    parts = []
    for strategy in comparison.strategies:
        for fraction in comparison.fractions:
            share = "" if fraction == 1 else f", {percent(fraction)} of the training images"
            parts.append(f"{plain(comparison.data.name)}, {strategy}{share}: {title}, mean over runs (95 % interval)\n")
            parts.append(_table(comparison.table(metric, strategy, fraction), title, comparison.baseline))
    parts += [f"- {plain(note)}\n" for note in notes(comparison, metric)]
    return wrap("\n".join(parts))


def _table(rows: Sequence[Row], title: str, baseline: str) -> str:
    lines = [
        f"| weights | {title} | difference to {plain(baseline)} | p, Holm | verdict "
        "| same models, other patients | runs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        test, patients = row.test, "" if row.patients is None else signed(row.patients.difference)
        against = (
            ["", "", "baseline" if row.arm == baseline else "", ""]
            if test is None
            else [signed(test.difference), p_value(test.adjusted), str(verdict(test)), patients]
        )
        runs = f"{row.runs}" + (f" ({row.failed} failed)" if row.failed else "")
        lines.append(f"| {' | '.join([plain(row.arm), str(row.estimate), *against, runs])} |")
    return "\n".join(lines) + "\n"
