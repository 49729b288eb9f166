"""Start-up: what needs no torch imports no torch, and takes little processor time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Seconds of processor time, as promised. A machine shared with others takes longer: the best of some tries counts.
LIMIT = 0.3
HEAVY = ("torch", "timm", "torchvision", "pandas", "numpy", "sklearn", "matplotlib", "requests", "huggingface_hub")
RUN = """
import sys, resource
sys.argv = ["medzoo", *{words!r}]
from medzoo.__main__ import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = [name for name in {heavy!r} if name in sys.modules]
    sys.stderr.write(f"\\n{{used.ru_utime + used.ru_stime}} {{','.join(found)}}")
"""


def started(*words: str) -> tuple[str, float, list[str]]:
    """Output, processor seconds and heavy modules of one command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(words=list(words), heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    seconds, _, heavy = done.stderr.splitlines()[-1].partition(" ")
    return done.stdout, float(seconds), [name for name in heavy.split(",") if name]


@pytest.mark.parametrize("words", [("list",), ("--help",), ("--version",), ("list", "*_in", "--json")])
def test_a_light_command_imports_nothing_heavy_and_is_quick(words: tuple[str, ...]) -> None:
    best = 1e9
    for _ in range(5):
        out, seconds, heavy = started(*words)
        assert out
        assert heavy == []
        best = min(best, seconds)
        if best < LIMIT:
            return
    pytest.fail(f"medzoo {' '.join(words)} takes {best:.2f} s of processor time at best, more than {LIMIT}")
