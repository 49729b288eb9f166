"""The paper's Table 2 beside the study's own results, and the differences between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medzoo.comparison.comparison import Row
from medzoo.comparison.runs import DONE
from medzoo.comparison.verdict import Verdict, verdict
from medzoo.finetuning.strategies import STRATEGIES
from medzoo.metrics.estimates import Estimate
from medzoo.reporting.markdown import wrap
from training.datasets import DATASETS, DataSet
from training.study.paper import IMAGE_SIZE, TABLE_2, Reported
from training.study.result import ARMS, TargetResult

ABOVE, BELOW = "▲", "▼"


@dataclass(frozen=True)
class TableRow:
    """One target of the table.

    Attributes:
        data: The target.
        metric: ``accuracy`` or ``kappa``.
        ours: The study's results by arm; arms without weights are missing.
        paper: The paper's results; ``None`` for a target that it does not have.
        differs: Differences to the paper in data and recipe, in words.
    """

    data: DataSet
    metric: str
    ours: Mapping[str, Row]
    paper: Reported | None
    differs: Sequence[str]


def table_rows(results: Sequence[TargetResult]) -> list[TableRow]:
    """Return the table, a row for each target."""
    return [
        TableRow(
            DATASETS[result.target],
            result.metric,
            {row.arm: row for row in result.comparison.table(result.metric)},
            TABLE_2.get(result.target),
            differences(result),
        )
        for result in results
    ]


def shown_arms(results: Sequence[TargetResult]) -> list[str]:
    """Return the arms that any target has, in the paper's order."""
    present = {arm for result in results for arm in result.comparison.arms}
    return [arm for arm in ARMS if arm in present]


def differences(result: TargetResult) -> list[str]:
    """List in words the differences to the paper's Table 2 in data and recipe."""
    comparison, options = result.comparison, result.options
    data, paper = DATASETS[result.target], TABLE_2.get(result.target)
    images, found = len(comparison.data.ids), []
    if paper is None:
        found.append("not a target of the paper")
    if images < data.total:
        found.append(f"{images:,} of {data.total:,} images")
    if any(result.left_out.values()):
        found.append(f"{sum(result.left_out.values()):,} images left out as seen in pretraining")
    if options["image_size"] != IMAGE_SIZE:
        found.append(f"{options['image_size']} px instead of {IMAGE_SIZE}")
    runs = len({(record["repeat"], record["fold"]) for record in comparison.records})
    by = "patient" if comparison.data.patients else "image"
    found.append(f"mean of {runs} run{'s' if runs > 1 else ''} an arm, split by {by}, instead of one run")
    strategies = options.get("strategies") or ["full"]
    if any(STRATEGIES[name].epochs for name in strategies):
        found.append(f"{options['epochs']} epochs (the paper prints no number)")
    if strategies != ["full"]:
        found.append(f"{', '.join(STRATEGIES[name].title for name in strategies)} (the paper trains all layers)")
    weighted = any(r["status"] == DONE and r["settings"].get("class_weights") for r in comparison.records)
    if paper is not None and weighted != paper.class_weights:
        found.append("class weights in the loss" if weighted else "no class weights in the loss")
    reduced = [arm.arm for arm in result.arms if arm.reduced]
    if reduced:
        found.append(f"weights of reduced pretraining: {', '.join(reduced)}")
    return found


def verdict_of(row: Row) -> Verdict | None:
    """Return the verdict on an arm; ``None`` for the baseline."""
    return None if row.test is None else verdict(row.test)


def per_cent(estimate: Estimate) -> str:
    """Format a metric as the paper prints it, with its interval.

    Example:
        >>> per_cent(Estimate(0.867, 0.81, 0.92)), per_cent(Estimate(None, None, None, "no run is done"))
        ('86.7 (81.0 to 92.0)', 'undefined')
    """
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def sign(row: Row) -> str:
    """Return ▲ for an arm that is better than the baseline, ▼ for one that is worse, else nothing."""
    found = verdict_of(row)
    return {"better": f" {ABOVE}", "worse": f" {BELOW}"}.get(found.word, "") if found else ""


def markdown(results: Sequence[TargetResult]) -> str:
    """Render the table as Markdown: per cent on held-out images at the last epoch, ours with 95 % intervals."""
    arms = shown_arms(results)
    baselines = ", ".join(dict.fromkeys(result.comparison.baseline for result in results))
    parts = [f"| target | metric | figures of | {' | '.join(arms)} |", f"|---|---|---|{'---|' * len(arms)}"]
    notes = [
        "",
        f"Per cent on held-out images at the last epoch; ours are means over runs with 95 % intervals. {ABOVE} better, "
        f"{BELOW} worse than {baselines}, by the interval of the paired difference and after Holm's correction.",
        "",
    ]
    for line in table_rows(results):
        ours = [per_cent(line.ours[arm].estimate) + sign(line.ours[arm]) if arm in line.ours else "-" for arm in arms]
        parts.append(f"| {line.data.title} | {line.metric} | this study | {' | '.join(ours)} |")
        if line.paper is not None:
            figures = [f"{line.paper.validation[arm]:.1f}" for arm in arms]
            parts.append(f"| | {line.paper.metric} | the paper, {line.paper.label} | {' | '.join(figures)} |")
        notes.append(f"- {line.data.title}: {'; '.join(line.differs)}.")
    return wrap("\n".join([*parts, *notes]) + "\n")
