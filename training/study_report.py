"""The study's results as a table, curves and one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

from medzoo._version import __version__
from medzoo.files import write_json, write_text
from medzoo.metrics import primary
from medzoo.plots import draw_curves, save_figure
from training.card import render
from training.datasets import DATASETS
from training.study import ARMS, table_metric

Rows = Sequence[Mapping[str, Any]]


def write_report(rows: Rows, folder: Path) -> Path:
    """Write ``report.html``, ``table.md``, ``results.json`` and one curve picture a target.

    Args:
        rows: What ``training.study.study`` returned.
        folder: Where they go.

    Returns:
        The HTML page.
    """
    targets = list(dict.fromkeys(row["target"] for row in rows))
    sections = []
    for target in targets:
        mine = [row for row in rows if row["target"] == target]
        picture = save_figure(curves(target, mine), folder / f"curves_{target}.png")
        sections.append(
            {
                "entry": DATASETS[target],
                "rows": mine,
                "data": mine[0]["report"]["data"],
                "picture": base64.b64encode(picture.read_bytes()).decode(),
                "metrics": _shown(mine),
            }
        )
    write_json(folder / "results.json", list(rows))
    write_text(folder / "table.md", markdown(rows))
    page = render(
        "study.html",
        version=__version__,
        arms=[arm for arm in ARMS if any(row["arm"] == arm for row in rows)],
        table=table(rows),
        sections=sections,
        seeds=len({row["seed"] for row in rows}),
        options=rows[0]["options"],
        reduced=sorted({note for row in rows for note in row["reduced"]}),
    )
    write_text(folder / "report.html", page)
    return folder / "report.html"


def table(rows: Rows) -> list[dict[str, Any]]:
    """The study's table: for every target the mean over seeds of each arm's metric on held-out images.

    Returns:
        Rows with target, metric, n (held-out images) and arms (name to value or ``None``).
    """
    found = []
    for target in dict.fromkeys(row["target"] for row in rows):
        mine = [row for row in rows if row["target"] == target]
        metric = table_metric(mine[0]["report"]["data"]["task"])
        found.append(
            {
                "target": target,
                "metric": metric,
                "n": mine[0]["report"]["data"]["valid"]["images"],
                "arms": {arm: _mean(mine, arm, metric) for arm in ARMS},
            }
        )
    return found


def _mean(rows: Rows, arm: str, metric: str) -> float | None:
    values = [row["report"]["metrics"]["values"][metric]["value"] for row in rows if row["arm"] == arm]
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def markdown(rows: Rows) -> str:
    """The table as Markdown: per cent, held-out images, last epoch."""
    present = [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]
    lines = [
        f"| target | metric | n | {' | '.join(present)} |",
        f"|---|---|---|{'---|' * len(present)}",
    ]
    for row in table(rows):
        cells = ["-" if row["arms"][arm] is None else f"{100 * row['arms'][arm]:.1f}" for arm in present]
        lines.append(f"| {row['target']} | {row['metric']} | {row['n']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def curves(target: str, rows: Rows) -> Figure:
    """Validation metric and training loss per epoch, every arm in one picture (the paper's Figures 3 and 4)."""
    metric = table_metric(rows[0]["report"]["data"]["task"])
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(DATASETS[target].title)
    first = {row["arm"]: row["report"]["history"] for row in reversed(rows)}
    ordered = {arm: first[arm] for arm in ARMS if arm in first}
    draw_curves(left, {arm: [e["valid"][metric] for e in h] for arm, h in ordered.items()}, f"validation {metric}")
    draw_curves(right, {arm: [e["loss"] for e in h] for arm, h in ordered.items()}, "training loss")
    return figure


def _shown(rows: Rows) -> list[str]:
    """The metrics of a target's own table: the study's, the task's main one, then the rest of the usual ones."""
    task = rows[0]["report"]["data"]["task"]
    names = [table_metric(task), primary(task), "auroc", "balanced_accuracy", "kappa_quadratic", "average_precision"]
    there = rows[0]["report"]["metrics"]["values"]
    return [name for name in dict.fromkeys(names) if name in there]
