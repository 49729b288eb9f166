"""Build the documentation site: ``python docs/build.py`` writes ``build/docs/index.html``.

The pages of ``docs/`` are copied to ``build/docs-source``; beside them come the pages that are made from the code: the
gallery, the commands and the API. A warning is an error.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

import typer
from sphinx.cmd.build import build_main
from typer.cli import get_docs_for_click

import medzoo.metrics
from medzoo.__main__ import app as use
from medzoo.core.atomic import write_text
from training.__main__ import app as make
from training.publishing.card import repository_evidence
from training.publishing.evidence import read_evidence
from training.publishing.gallery import write_gallery

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent


def build(out: Path, evidence: Path | None = None) -> int:
    """Build the site in ``out/docs`` from ``out/docs-source``.

    Args:
        out: The folder of both.
        evidence: As of ``python -m training card``; default the repository's own.

    Returns:
        The exit code of Sphinx.
    """
    site, source = out / "docs", out / "docs-source"
    for folder in (site, source):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copyfile(DOCS / "conf.py", source / "conf.py")
    for page, name in (("CHANGELOG.md", "changelog.md"), ("benchmarks/README.md", "benchmarks.md")):
        shutil.copyfile(ROOT / page, source / name)
    write_text(source / "reference" / "medzoo.md", commands(use, "medzoo"))
    write_text(source / "reference" / "training.md", commands(make, "python -m training"))
    write_text(source / "reference" / "api.md", api())
    write_gallery(source / "gallery", repository_evidence() if evidence is None else read_evidence(evidence))
    options = ["--fail-on-warning", "--keep-going", "--quiet", "-d", str(out / "doctrees")]
    return build_main([*options, str(source), str(site)])


def commands(app: typer.Typer, name: str) -> str:
    """Return the page of a command line, from its commands."""
    group = typer.main.get_command(app)
    page = get_docs_for_click(obj=group, ctx=typer.Context(group), name=name)
    page = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", page)  # cut short there, and all of them follow
    parts = re.split(r"(```.*?```|`[^`\n]*`)", page, flags=re.DOTALL)  # prose, and code at odd places
    # Options and quoted words in prose are code too: as prose, two dashes become one and quotes curly.
    parts[::2] = [
        re.sub(r"--[a-z][a-z-]*|''|(?<!\w)'([^'\n]+)'(?!\w)", lambda m: f"`{m[1] or m[0]}`", part)
        for part in parts[::2]
    ]
    return "".join(parts)


def api() -> str:
    """Return the page of all public names, each with a page of its own made from its docstring."""
    names = [name for name in medzoo.__all__ if not name.startswith("_")]
    functions = [name for name in names if name.islower()]
    parts = {
        "Functions": ("medzoo", functions),
        "Classes": ("medzoo", [name for name in names if name not in functions]),
        "Metrics": ("medzoo.metrics", medzoo.metrics.__all__),
    }
    tables = [
        f"## {title}\n\n```{{eval-rst}}\n.. currentmodule:: {module}\n\n.. autosummary::\n   :toctree: api\n"
        "   :nosignatures:\n\n" + "".join(f"   {name}\n" for name in members) + "```\n"
        for title, (module, members) in parts.items()
    ]
    return "\n".join(["# Python API\n", "What `import medzoo` and `medzoo.metrics` offer.\n", *tables])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="gets docs/, the site, and its sources")
    parser.add_argument("--evidence", type=Path, help="as of 'python -m training card'; default the repository's own")
    given = parser.parse_args()
    sys.exit(build(given.out, given.evidence))
