"""Print the table of the grid's results: ``python docs/studies/2026-11-25-defaults/make_table.py``."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

RESULTS = Path(__file__).with_name("results.jsonl")
# What the other options are compared with: each changes one or two of these.
BASE: dict[str, Any] = {"strategy": "full", "head": "mlp", "lr": 3e-4, "epochs": 10, "augment": "light"}
FIRST = tuple(BASE.values())


def named(option: tuple[Any, ...]) -> str:
    """Say what differs from the options that the others are compared with."""
    if option[0] == "linear_probe":
        return "linear_probe"
    changed = [f"{name} {value}" for name, value, base in zip(BASE, option, FIRST, strict=True) if value != base]
    return ", ".join(changed) or ", ".join(f"{name} {value}" for name, value in BASE.items())


def table(records: list[Mapping[str, Any]]) -> str:
    """Average over the runs that an option shares with the first one: the same targets, weights, sizes and splits."""
    found: dict[tuple[Any, ...], dict[tuple[Any, ...], float]] = defaultdict(dict)
    for record in records:
        option = tuple(record[name] for name in BASE)
        found[option][record["target"], record["weights"], record["n"], record["split"]] = record["metrics"]["auroc"]
    lines = ["| options | runs | targets | AUROC | difference to the first | ahead in |", "|---|---|---|---|---|---|"]
    for option, values in sorted(found.items(), key=lambda item: item[0] != FIRST):
        shared = sorted(values.keys() & found[FIRST].keys(), key=str)
        if not shared:
            continue
        gains = [values[key] - found[FIRST][key] for key in shared]
        difference = "" if option == FIRST else f"{fmean(gains):+.3f}"
        ahead = "" if option == FIRST else f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        mean, targets = fmean(values[key] for key in shared), len({key[0] for key in shared})
        lines.append(f"| {named(option)} | {len(shared)} | {targets} | {mean:.3f} | {difference} | {ahead} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table([json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]))
