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
OPTIONS = ("strategy", "head", "lr", "epochs", "augment")
BASE = ("full", "mlp", 0.0003, 10, "light")


def named(option: tuple[Any, ...]) -> str:
    """Say what differs from the options that the others are compared with."""
    if option[0] == "linear_probe":
        return "linear_probe"
    changed = [f"{name} {value}" for name, value, base in zip(OPTIONS, option, BASE, strict=True) if value != base]
    return ", ".join(changed) or "full, mlp head, lr 0.0003, 10 epochs, light augmentation"


def table(records: list[Mapping[str, Any]]) -> str:
    """Average over the runs that an option shares with the first one: the same targets, weights, sizes and splits."""
    found: dict[tuple[Any, ...], dict[tuple[Any, ...], float]] = defaultdict(dict)
    for record in records:
        option = tuple(record[name] for name in OPTIONS)
        found[option][record["target"], record["weights"], record["n"], record["split"]] = record["metrics"]["auroc"]
    lines = ["| options | runs | targets | AUROC | difference to the first | ahead in |", "|---|---|---|---|---|---|"]
    for option, values in sorted(found.items(), key=lambda item: item[0] != BASE):
        shared = sorted(values.keys() & found[BASE].keys(), key=str)
        if not shared:
            continue
        gains = [values[key] - found[BASE][key] for key in shared]
        difference = "" if option == BASE else f"{fmean(gains):+.3f}"
        ahead = "" if option == BASE else f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        mean, targets = fmean(values[key] for key in shared), len({key[0] for key in shared})
        lines.append(f"| {named(option)} | {len(shared)} | {targets} | {mean:.3f} | {difference} | {ahead} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table([json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]))
