"""A comparison as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medzoo.comparison.notes import notes
from medzoo.comparison.verdict import p_value, signed, verdict

if TYPE_CHECKING:
    from medzoo.comparison.comparison import Comparison

WIDEST = 60  # of a column of facts


def format_comparison(comparison: Comparison) -> str:
    """Format tables by the primary metric, what they can tell, facts of the weights, failures and notes."""
    parts = [
        _table(comparison, strategy, fraction)
        for strategy in comparison.strategies
        for fraction in reversed(comparison.fractions)
    ]
    parts += ["\n".join(notes(comparison))] if notes(comparison) else []
    failed = "".join(
        f"\nfailed: {r['arm']}, seed {r['repeat']}, fold {r['fold']}: {r['error']}" for r in comparison.failures
    )
    remarks = "".join(f"\nnote: {note}" for note in comparison.data.notes)
    return "\n\n".join([*parts, *_facts(comparison), *_groups(comparison)]) + failed + remarks


def _table(comparison: Comparison, strategy: str, fraction: float) -> str:
    rows, metric = comparison.table(None, strategy, fraction), comparison.primary
    share = "" if fraction == 1 else f", {fraction:.0%} of the training images"
    cells = [("weights", metric, f"difference to {comparison.baseline}", "same models, other patients", "verdict")]
    for row in rows:
        over_runs = "" if row.test is None else f"{signed(row.test.difference)}  p {p_value(row.test.adjusted)}"
        over_patients = "" if row.patients is None else signed(row.patients.difference)
        judged = "" if row.test is None else str(verdict(row.test))
        cells.append((row.arm, str(row.estimate), over_runs, over_patients, judged))
    head = f"{comparison.data.name}, {strategy}{share}: {metric}, mean of {max(row.runs for row in rows)} runs"
    return "\n".join([head, *_columns(cells)])


def fact_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the facts of the weights as a table: its head, and a row for each; empty where there are none."""
    facts = comparison.facts
    columns = list(dict.fromkeys(column for texts in facts.values() for column in texts))
    rows = [(name, *(texts.get(column, "") for column in columns)) for name, texts in facts.items()]
    return [("weights", *columns), *rows] if rows else []


def _facts(comparison: Comparison) -> list[str]:
    rows = fact_rows(comparison)
    return ["\n".join(_columns(rows))] if rows else []


def _groups(comparison: Comparison) -> list[str]:
    return ["\n".join([arm, *(f"  {line}" for line in found.lines())]) for arm, found in comparison.groups.items()]


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align cells; the last column is as wide as it is."""
    widths = [min(WIDEST, max(len(row[at]) for row in rows)) for at in range(len(rows[0]))]
    return ["  ".join(f"{_cut(cell):<{wide}}" for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cut(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"
