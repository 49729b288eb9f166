"""Print the table of README.md from the run records: ``python make_table.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# The runs of recipe medzoo were made for the study on small real data, but for the longer one of the eyes.
RUNS = [*HERE.parent.glob("2026-11-23-small-real/runs/*/run.json"), *HERE.glob("runs/*/*.json")]


def shown(values: dict[str, Any], metric: str) -> str:
    """A metric with its interval, where it has one."""
    if values.get(metric) is None:
        return ""
    ends = values["intervals"].get(metric)
    return f"{values[metric]:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def rows() -> list[str]:
    """One row for each source of each run."""
    found = []
    for run in (json.loads(path.read_text(encoding="utf-8")) for path in RUNS):
        recipe = run["recipe"]
        for source, values in run["history"][-1]["valid"].items():
            found.append(
                f"| {run['name']} | {recipe['name']} | {recipe['plan']['epochs']} | {source} | "
                f"{values['resampled']['images']} | {shown(values, 'auroc')} | {shown(values, 'kappa_quadratic')} |"
            )
    return sorted(found)


if __name__ == "__main__":
    print("| weight | recipe | epochs | source | held out | AUROC | quadratic kappa |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows()))
