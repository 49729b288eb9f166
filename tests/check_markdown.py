"""Check that Markdown is filled to 120 characters, or with `--fix` fill it; `make lint` runs the check.

Templates are left out: what they make is filled.
"""

from __future__ import annotations

import sys
from pathlib import Path

from medzoo.reporting.markdown import wrap

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    file for place in ("*.md", "benchmarks/*.md", "docs/**/*.md", "model_cards/*.md") for file in ROOT.glob(place)
)


def main(fix: bool) -> int:
    """Name the files that are filled otherwise; the exit code is 1 where there are some."""
    wrong = [file for file in FILES if wrap(file.read_text("utf-8")) != file.read_text("utf-8")]
    for file in wrong:
        if fix:
            file.write_text(wrap(file.read_text("utf-8")), encoding="utf-8")
        state = "filled" if fix else "is not filled to 120 characters; run this with --fix"
        sys.stdout.write(f"{file.relative_to(ROOT)}: {state}\n")
    return 1 if wrong and not fix else 0


if __name__ == "__main__":
    sys.exit(main("--fix" in sys.argv[1:]))
