"""The study's report with its tables and figures; the same results give the same files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medzoo.comparison import plots
from medzoo.comparison.convergence import Convergence, convergence
from medzoo.comparison.report import ComparisonView, body, style, table
from medzoo.comparison.styles import assign_styles
from medzoo.comparison.tables import DIGITS, csv_text, long_rows
from medzoo.comparison.verdict import verdict
from medzoo.core.atomic import write_json, write_text
from medzoo.reporting.html import embedded
from medzoo.reporting.plots import save_figure
from training.datasets import DATASETS
from training.study.paper import CITATION, TABLE_2
from training.study.result import ARMS, TargetResult
from training.study.side_by_side import markdown, shown_arms, table_rows, verdict_of
from training.study.summary import limits, summary
from training.templates import render

PAGE, TABLE, CSV, JSON, PICTURES = "report.html", "table.md", "table.csv", "report.json", "pictures"
# An arm has one colour in all figures of the study.
STYLES = assign_styles(ARMS, ARMS[0])


def write_report(results: Sequence[TargetResult], folder: Path) -> Path:
    """Write ``report.html``, ``table.md``, ``table.csv``, ``report.json`` and the folder ``pictures``.

    Args:
        results: The study's results, a target each; at least one.
        folder: The output folder; files of these names are replaced.

    Returns:
        ``report.html``.
    """
    found, limited = summary(results), limits(results)
    agreement = _agreement(results)
    write_text(folder / TABLE, markdown(results))
    write_text(folder / CSV, csv_of(results))
    write_json(folder / JSON, _record(results, found, limited))
    page = render(
        "study.html",
        style=style(),
        version=results[0].comparison.records[0]["medzoo"],
        results=results,
        titles={result.target: DATASETS[result.target].title for result in results},
        arms=shown_arms(results),
        baselines=list(dict.fromkeys(result.comparison.baseline for result in results)),
        styles=STYLES,
        summary=found,
        limits=limited,
        rows=table_rows(results),
        verdict_of=verdict_of,
        paper=TABLE_2,
        forest=_forest(results, folder / PICTURES),
        sections={o.target: _section(o, folder / PICTURES / o.target) for o in results},
        convergence={o.target: _by_arm(o) for o in results},
        verdict=verdict,
        agreement=agreement,
        scores=list(dict.fromkeys(score for scores in agreement.values() for score in scores)),
        seconds={o.target: (o.ranking.seconds, _seconds(o)) for o in results},
        weights=_weights(results),
        runs=sum(len(result.comparison.records) for result in results),
        hours=sum(map(_seconds, results)) / 3600,
        citation=CITATION,
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def csv_of(results: Sequence[TargetResult]) -> str:
    """Return every metric of every arm, strategy and fraction, on all images and on the unseen ones, as CSV."""
    return csv_text(list(_long(results)))


def _agreement(results: Sequence[TargetResult]) -> dict[str, dict[str, float | None]]:
    """Return weighted Kendall's tau by target and score, for the targets whose arms were ranked."""
    return {o.target: o.ranking.agreement(o.comparison) for o in results if o.ranking.scores}


def _seconds(result: TargetResult) -> float:
    """Return the total time of a target's runs."""
    return sum(record.get("seconds", 0.0) for record in result.comparison.records)


def _forest(results: Sequence[TargetResult], folder: Path) -> str | None:
    """Plot all differences of all targets; ``None`` if there is a single arm."""
    groups = {
        f"{DATASETS[result.target].title} ({result.metric})": result.comparison.table(result.metric)
        for result in results
    }
    if not any(row.test for rows in groups.values() for row in rows):
        return None
    figure = plots.forest(groups, STYLES, "difference to the baseline (accuracy or kappa)")
    return embedded(save_figure(figure, folder / "forest.png").read_bytes())


def _section(result: TargetResult, folder: Path) -> tuple[str, str | None]:
    """Render the section of a target, and its table on unseen images if some were seen."""
    unseen = None if result.unseen is None else table(ComparisonView.of(result.unseen, result.metric, STYLES))
    return body(ComparisonView.of(result.comparison, result.metric, STYLES), folder), unseen


def _by_arm(result: TargetResult) -> dict[str, Convergence]:
    return {entry.arm: entry for entry in convergence(result.comparison, result.metric)}


def _weights(results: Sequence[TargetResult]) -> list[dict[str, Any]]:
    """List every weight once, with its arms."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        for facts in result.arms:
            entry = found.setdefault(facts.sha256, {**asdict(facts), "used": []})
            entry["used"].append(f"{facts.arm} on {result.target}")
    return sorted(found.values(), key=lambda entry: str(entry["weight"]))


def _long(results: Sequence[TargetResult]) -> Iterator[dict[str, Any]]:
    for result in results:
        for images, comparison in (("all", result.comparison), ("unseen", result.unseen)):
            for row in [] if comparison is None else long_rows(comparison):
                yield {"target": result.target, "images": images, **row}


def _record(results: Sequence[TargetResult], found: Sequence[str], limited: Sequence[str]) -> dict[str, Any]:
    """Return the report's content as JSON; the values of all metrics are in the CSV."""
    return {
        "schema": 1,
        "kind": "study report",
        "medzoo": results[0].comparison.records[0]["medzoo"],
        "summary": list(found),
        "limits": list(limited),
        "targets": [
            {
                "target": line.data.name,
                "title": line.data.title,
                "metric": line.metric,
                "images": len(result.comparison.data.ids),
                "images_complete": line.data.total,
                "seen": None if result.seen is None else int(result.seen.sum()),
                "seen_counts": dict(result.seen_counts),
                "left_out": dict(result.left_out),
                "differs": list(line.differs),
                "paper": None if line.paper is None else {"label": line.paper.label, **line.paper.validation},
                "rows": [row for row in long_rows(result.comparison) if row["metric"] == line.metric],
                "verdicts": {arm: str(v) for arm, row in line.ours.items() if (v := verdict_of(row)) is not None},
                "convergence": [_rounded(asdict(entry)) for entry in _by_arm(result).values()],
                "options": dict(result.options),
                "environment": dict(result.environment),
                "notes": list(result.comparison.data.notes),
            }
            for line, result in zip(table_rows(results), results, strict=True)
        ],
        "weights": _weights(results),
        "agreement": {target: _rounded(scores) for target, scores in _agreement(results).items()},
    }


def _rounded(value: Any) -> Any:
    """Round the numbers in nested dictionaries."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
