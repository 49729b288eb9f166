"""Start-up: a command that needs no torch imports none, and takes little more time than its command-line library."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Processor time of a command as a multiple of that of importing typer and rich alone, measured in turn: 2.1 to 2.5 on a
# quiet machine, where most is typer reading the options of all commands.
LIMIT = 4
HEAVY = ("torch", "timm", "torchvision", "pandas", "numpy", "sklearn", "matplotlib", "requests", "huggingface_hub")
MEASURED = """
import sys, resource
try:
    {body}
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = [name for name in {heavy!r} if name in sys.modules]
    sys.stderr.write(f"\\n{{used.ru_utime + used.ru_stime}} {{','.join(found)}}")
"""
COMMAND = "sys.argv = ['medzoo', *{words!r}]; from medzoo.__main__ import main; main()"


def measured(body: str) -> tuple[str, float, list[str]]:
    """Run a line of Python in a process of its own: its output, processor seconds and heavy modules."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED.format(body=body, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    seconds, _, heavy = done.stderr.splitlines()[-1].partition(" ")
    return done.stdout, float(seconds), [name for name in heavy.split(",") if name]


@pytest.mark.parametrize("words", [("list",), ("--help",), ("--version",), ("list", "*_in", "--json")])
def test_a_light_command_imports_nothing_heavy_and_is_quick(words: tuple[str, ...]) -> None:
    library = command = 1e9
    for _ in range(6):  # other programs only add time: the least of some runs counts
        library = min(library, measured("import typer, rich")[1])
        out, seconds, heavy = measured(COMMAND.format(words=words))
        assert out
        assert heavy == []
        command = min(command, seconds)
        if command < LIMIT * library:
            return
    pytest.fail(f"medzoo {' '.join(words)} takes {command:.2f} s, importing typer and rich {library:.2f} s")
