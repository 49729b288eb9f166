"""The templates of cards and reports."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """Render a template of this folder; an undefined variable is an error, HTML is escaped.

    Args:
        template: Its file name.
        **values: Its variables.
    """
    environment = Environment(
        loader=PackageLoader("medzoo.reporting", "templates"),
        undefined=StrictUndefined,
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    return environment.get_template(template).render(**values)


def plain(text: object) -> str:
    r"""Escape a name for a line or a table's cell of Markdown.

    Example:
        >>> plain("a|b\n<c> *d*")
        'a\\|b \\<c\\> \\*d\\*'
    """
    line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in "\\|<>[]*`#$!" else letter for letter in line)
