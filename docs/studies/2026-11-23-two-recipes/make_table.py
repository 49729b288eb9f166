"""Print the table of README.md from the run records beside it: ``python make_table.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def shown(values: dict[str, Any], metric: str) -> str:
    """A metric with its interval, where it has one."""
    if values.get(metric) is None:
        return "-"
    ends = values["intervals"].get(metric)
    return f"{values[metric]:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def main() -> None:
    """One row for each source of each run."""
    print("| recipe | weight | epochs | source | held out | AUROC (0.5 by chance) | quadratic kappa (0 by chance) |")
    print("|---|---|---|---|---|---|---|")
    for path in sorted(HERE.glob("runs/*/*.json")):
        run = json.loads(path.read_text())
        for source, values in run["history"][-1]["valid"].items():
            kappa = shown(values, "kappa_quadratic") if "kappa_quadratic" in values else ""
            print(
                f"| {run['recipe']['name']} | {run['name']} | {run['recipe']['plan']['epochs']} | {source} | "
                f"{values['resampled']['images']} | {shown(values, 'auroc')} | {kappa} |"
            )


if __name__ == "__main__":
    main()
