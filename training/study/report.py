"""The study's page with its tables and pictures; the same outcomes give the same files."""

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
from training.study.outcome import ARMS, Outcome
from training.study.paper import CITATION, TABLE_2
from training.study.side_by_side import judged, lines, markdown, shown_arms
from training.study.summary import limits, summary
from training.templates import render

PAGE, TABLE, CSV, JSON, PICTURES = "report.html", "table.md", "table.csv", "report.json", "pictures"
# Every arm has one colour in all pictures of the study, whichever arms a target has.
LOOKS = assign_styles(ARMS, ARMS[0])


def write_report(outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Write ``report.html``, ``table.md``, ``table.csv``, ``report.json`` and the folder ``pictures``.

    Args:
        outcomes: What the study found, a target each; at least one.
        folder: Where they go; files of these names are replaced.

    Returns:
        The page.
    """
    found, limited = summary(outcomes), limits(outcomes)
    agreement = _agreement(outcomes)
    write_text(folder / TABLE, markdown(outcomes))
    write_text(folder / CSV, csv_of(outcomes))
    write_json(folder / JSON, _record(outcomes, found, limited))
    page = render(
        "study.html",
        style=style(),
        version=outcomes[0].comparison.records[0]["medzoo"],
        outcomes=outcomes,
        titles={outcome.target: DATASETS[outcome.target].title for outcome in outcomes},
        arms=shown_arms(outcomes),
        baselines=list(dict.fromkeys(outcome.comparison.baseline for outcome in outcomes)),
        styles=LOOKS,
        summary=found,
        limits=limited,
        lines=lines(outcomes),
        judged=judged,
        paper=TABLE_2,
        forest=_forest(outcomes, folder / PICTURES),
        sections={o.target: _section(o, folder / PICTURES / o.target) for o in outcomes},
        convergence={o.target: _by_arm(o) for o in outcomes},
        verdict=verdict,
        agreement=agreement,
        scores=list(dict.fromkeys(score for scores in agreement.values() for score in scores)),
        seconds={o.target: (o.ranking.seconds, _seconds(o)) for o in outcomes},
        weights=_weights(outcomes),
        runs=sum(len(outcome.comparison.records) for outcome in outcomes),
        hours=sum(map(_seconds, outcomes)) / 3600,
        citation=CITATION,
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def csv_of(outcomes: Sequence[Outcome]) -> str:
    """Every metric of every arm, strategy and share of the images, on all images and on the unseen ones, as CSV."""
    return csv_text(list(_long(outcomes)))


def _agreement(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float | None]]:
    """Target to score to weighted Kendall's tau with fine-tuning, for the targets whose arms were ranked without."""
    return {o.target: o.ranking.agreement(o.comparison) for o in outcomes if o.ranking.scores}


def _seconds(outcome: Outcome) -> float:
    """How long a target's runs took, one after another."""
    return sum(record.get("seconds", 0.0) for record in outcome.comparison.records)


def _forest(outcomes: Sequence[Outcome], folder: Path) -> str | None:
    """All differences of all targets in one picture; ``None`` where there is a single arm."""
    groups = {
        f"{DATASETS[outcome.target].title} ({outcome.metric})": outcome.comparison.table(outcome.metric)
        for outcome in outcomes
    }
    if not any(row.test for rows in groups.values() for row in rows):
        return None
    figure = plots.forest(groups, LOOKS, "difference to the baseline (accuracy or kappa)")
    return embedded(save_figure(figure, folder / "forest.png").read_bytes())


def _section(outcome: Outcome, folder: Path) -> tuple[str, str | None]:
    """Everything about a target, and its table on unseen images alone where some were seen."""
    unseen = None if outcome.unseen is None else table(ComparisonView.of(outcome.unseen, outcome.metric, LOOKS))
    return body(ComparisonView.of(outcome.comparison, outcome.metric, LOOKS), folder), unseen


def _by_arm(outcome: Outcome) -> dict[str, Convergence]:
    return {entry.arm: entry for entry in convergence(outcome.comparison, outcome.metric)}


def _weights(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Every weight once, with the arms that it is."""
    found: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        for facts in outcome.arms:
            entry = found.setdefault(facts.sha256, {**asdict(facts), "used": []})
            entry["used"].append(f"{facts.arm} on {outcome.target}")
    return sorted(found.values(), key=lambda entry: str(entry["weight"]))


def _long(outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    for outcome in outcomes:
        for images, comparison in (("all", outcome.comparison), ("unseen", outcome.unseen)):
            for row in [] if comparison is None else long_rows(comparison):
                yield {"target": outcome.target, "images": images, **row}


def _record(outcomes: Sequence[Outcome], found: Sequence[str], limited: Sequence[str]) -> dict[str, Any]:
    """The page's content for other programs; the numbers of all metrics are in the CSV."""
    return {
        "schema": 1,
        "kind": "study report",
        "medzoo": outcomes[0].comparison.records[0]["medzoo"],
        "summary": list(found),
        "limits": list(limited),
        "targets": [
            {
                "target": line.data.name,
                "title": line.data.title,
                "metric": line.metric,
                "images": len(outcome.comparison.data.ids),
                "images_complete": line.data.total,
                "seen": None if outcome.seen is None else int(outcome.seen.sum()),
                "seen_counts": dict(outcome.seen_counts),
                "left_out": dict(outcome.left_out),
                "differs": list(line.differs),
                "paper": None if line.paper is None else {"label": line.paper.label, **line.paper.validation},
                "rows": [row for row in long_rows(outcome.comparison) if row["metric"] == line.metric],
                "verdicts": {arm: str(said) for arm, row in line.ours.items() if (said := judged(row)) is not None},
                "convergence": [_rounded(asdict(entry)) for entry in _by_arm(outcome).values()],
                "options": dict(outcome.options),
                "environment": dict(outcome.environment),
                "notes": list(outcome.comparison.data.notes),
            }
            for line, outcome in zip(lines(outcomes), outcomes, strict=True)
        ],
        "weights": _weights(outcomes),
        "agreement": {target: _rounded(scores) for target, scores in _agreement(outcomes).items()},
    }


def _rounded(value: Any) -> Any:
    """Numbers in nested dictionaries with few digits."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
