"""Markdown in one style: prose filled to 120 characters."""

from __future__ import annotations

import re
import textwrap

from markdown_it import MarkdownIt

WIDTH = 120
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n", re.DOTALL)
# What precedes the text of a paragraph, list item or quotation.
_MARKER = re.compile(r"[\s>]*(?:(?:[-*+]|\d+[.)])\s+)*")
# A word that would start a list, heading or quotation if it came first on a line stays behind the word before it.
_STARTS_A_BLOCK = re.compile(r" (?=(?:[-*+=]+|\d+[.)]|#+)(?: |$)|[<>|]|```|~~~)")
_WHOLE = re.compile(r"`[^`]{1,60}`|\[[^\]]{1,60}\]\([^)\s]*\)")  # commands and links that can be searched for
_GLUE = "\0"


def wrap(text: str) -> str:
    r"""Fill the paragraphs and list items of a Markdown text; tables, code, headings and metadata stay as they are.

    Args:
        text: Markdown, with YAML metadata on top or without.

    Returns:
        The same document; lines of prose have at most 120 characters where their words allow it.

    Example:
        >>> wrap("- one\n  two\n")
        '- one two\n'
        >>> [len(line) for line in wrap(40 * "word ").splitlines()]
        [119, 79]
    """
    metadata = _FRONT_MATTER.match(text)
    start = metadata.end() if metadata else 0
    lines = text[start:].split("\n")
    # From the last paragraph to the first: the places of those before it stay right.
    for token in reversed(MarkdownIt().enable("table").parse(text[start:])):
        if token.type == "paragraph_open" and token.map:
            first, end = token.map
            lines[first:end] = _fill(lines[first:end])
    return text[:start] + "\n".join(lines)


def _fill(lines: list[str]) -> list[str]:
    marker = _MARKER.match(lines[0])
    first = marker[0] if marker else ""
    rest = re.sub(r"[^>\s]", " ", first)
    prose = " ".join([lines[0][len(first) :], *(line.lstrip(rest) for line in lines[1:])])
    glued = _STARTS_A_BLOCK.sub(_GLUE, " ".join(prose.split()))
    glued = _WHOLE.sub(lambda found: found[0].replace(" ", _GLUE), glued)
    filled = textwrap.wrap(
        glued, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(_GLUE, " ") for line in filled]
