"""Filling changes lines and nothing else: what a reader sees stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from medzoo.reporting.markdown import WIDTH, wrap

LONG = 30 * "some words "
ROOT = Path(__file__).resolve().parents[1]


def rendered(text: str) -> str:
    """HTML, with every run of blanks as one."""
    return " ".join(MarkdownIt().enable("table").render(text).split())


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        f"- {LONG}\n  {LONG}\n- {LONG}\n  1. {LONG}\n\n     {LONG}",
        f"> **Note.** {LONG}\n> {LONG}\n>\n> - {LONG}",
        f"# {LONG}\n\n| {LONG} | b |\n|---|---|\n| {LONG} | 1 |",
        f"```\n{LONG}\n```\n\n    {LONG}",
        f"<div>\n{LONG}\n</div>",
    ],
    ids=["paragraph", "lists", "quotation", "heading and table", "code", "html"],
)
def test_the_page_stays_the_same(text: str) -> None:
    assert rendered(wrap(text)) == rendered(text)
    assert wrap(wrap(text)) == wrap(text)


@pytest.mark.parametrize("mark", ["-", "+", "*", "1.", "2)", "#", "##", "> x", "|", "```", "===", "---", "<div>"])
def test_a_word_that_would_start_a_block_does_not_start_a_line(mark: str) -> None:
    for before in range(WIDTH - 6, WIDTH + 2):
        text = f"{before * 'a'} {mark} {LONG}"
        assert rendered(wrap(text)) == rendered(text), before


def test_prose_is_filled_and_the_rest_is_not() -> None:
    code = f"```\n{LONG}\n```\n"
    text = wrap(f"---\nkey: {LONG}\n---\n{LONG}\n\n{code}")
    assert text.startswith(f"---\nkey: {LONG}\n---\n") and text.endswith(code)
    prose = text.split("---\n")[2].split("```")[0].strip().splitlines()
    assert len(prose) == 3 and all(WIDTH - 11 < len(line) <= WIDTH for line in prose[:2])
