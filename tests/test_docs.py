"""What README and docs tell people to type exists: commands and their options, functions and their keywords, links."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import medzoo
from medzoo.__main__ import app as use
from medzoo.zoo.sources import SOURCES
from medzoo.zoo.weights import WEIGHTS
from training.__main__ import app as make

ROOT = Path(__file__).resolve().parents[1]
# Cards are made from a template, and name commands in passing.
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "benchmarks/README.md")]
PAGES += sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "cards")
PROGRAMS = {("medzoo",): use, ("python", "-m", "training"): make, ("python", "-m", "medzoo"): use}
# Newer typers carry a click of their own, so the class of errors is typer's, not that of an installed click.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
OUTPUT = "text"  # the language of a block that shows what a command printed


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of every fenced block."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def commands(page: str) -> Iterator[list[str]]:
    """Words of every command of ours in the blocks of a page, and in its text between backquotes."""
    shell = [text for language, text in blocks(page) if language not in ("python", OUTPUT)]
    lines = [line for text in shell for line in text.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`((?:medzoo|python -m training) [^`]*--[^`]*)`", prose)
    for line in (*lines, *spans):
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):  # VARIABLE=value before a command
            words = words[1:]
        if words:
            yield words


def programs(page: str) -> Iterator[tuple[typer.Typer, list[str]]]:
    """Every call of a program of ours, with its arguments."""
    for words in commands(page):
        for start, app in PROGRAMS.items():
            if tuple(words[: len(start)]) == start:
                yield app, words[len(start) :]


def refuse(app: typer.Typer, arguments: list[str]) -> str | None:
    """Why a command line does not take these arguments; nothing is run."""
    group: Any = typer.main.get_command(app)
    name = next((word for word in arguments if not word.startswith("-")), "")
    if name not in group.commands:
        return f"no command {name!r}"
    command = group.commands[name]
    # A word in capitals stands for something of the reader's own, such as a folder or a number of epochs.
    left = ["1" if word.isupper() else word for word in arguments[arguments.index(name) + 1 :]]
    if {"...", "--help"} & set(left):  # not a whole command: only the options are looked at
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        return next((f"no option {word}" for word in left if word.startswith("--") and word not in known), None)
    try:
        command.make_context(name, left)
    except USAGE_ERROR as error:
        return str(error)
    return None


def called(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Name and keywords of each call of ``medzoo.name(...)``, and each name of medzoo that is only mentioned."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _ours(node.func):
            assert isinstance(node.func, ast.Attribute)
            yield node.func.attr, [keyword.arg for keyword in node.keywords if keyword.arg]
        elif isinstance(node, ast.ImportFrom) and node.module == "medzoo":
            yield from ((alias.name, []) for alias in node.names)
        elif _ours(node):
            assert isinstance(node, ast.Attribute)
            yield node.attr, []


def _ours(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "medzoo"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_take_the_options_that_the_pages_name(page: Path) -> None:
    wrong = [(words, why) for app, words in programs(page.read_text("utf-8")) if (why := refuse(app, words))]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_functions_take_the_keywords_that_the_pages_name(page: Path) -> None:
    for language, text in blocks(page.read_text("utf-8")):
        if language == "python":
            for name, keywords in called(ast.parse(text)):
                thing = getattr(medzoo, name)  # an AttributeError here: the page names what is not there
                if keywords:
                    assert set(keywords) <= set(inspect.signature(thing).parameters), (page.name, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    made = re.compile(r"(\.\./)*(gallery|reference)/|(\.\./)*(changelog|benchmarks)\.md")  # by docs/build.py
    assert not [link for link in links if not (":" in link or made.match(link) or (page.parent / link).exists())]


def test_the_pages_are_found_and_hold_commands() -> None:
    found = {page.relative_to(ROOT).as_posix(): len(list(programs(page.read_text("utf-8")))) for page in PAGES}
    assert found["README.md"] > 1 and sum(found[page] for page in found if "finetune/" in page) > 6
    assert found["docs/weights/import.md"] > 5 and found["docs/produce/index.md"] > 5


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("medzoo fine-tune a b", "no command"),
        ("medzoo finetune a b --epoch-count 3", "No such option"),
        ("medzoo finetune a b --epochs many", "not a valid int"),
        ("medzoo predict model", "Missing parameter"),
        ("python -m training publish ... --into x", "no option"),
        ("medzoo finetune DIR --epochs EPOCHS", "Missing parameter"),
    ],
)
def test_a_wrong_line_is_noticed(line: str, why: str) -> None:
    [(app, words)] = programs(f"```\n{line}\n```")
    assert why in (refuse(app, words) or "")


def test_the_readme_names_every_weight_and_its_labels() -> None:
    rows = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("| `densenet121_")]
    labels = {name: row.split("|")[4].strip() for row in rows for name in re.findall(r"`(\w+)`", row)}
    expected = {name: len(SOURCES[entry.source].labels) if entry.source else 1000 for name, entry in WEIGHTS.items()}
    assert labels == {name: str(count) for name, count in expected.items()}
