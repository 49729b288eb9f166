"""Jinja templates of cards, study report and gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from medzoo.reporting.markdown import wrap

_TEMPLATES = Path(__file__).parent


def environment(template: str) -> Environment:
    """Return the Jinja environment; a missing value is an error, HTML is escaped."""
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_no_tags if template.endswith(".md") else None,
    )
    found.filters["number"] = number
    return found


def _no_tags(value: Any) -> Any:
    """Escape what would begin a tag: Markdown may hold HTML, and names of a record may hold anything."""
    return value if isinstance(value, Markup) else str(value).replace("<", "&lt;")


def render(template: str, **values: Any) -> str:
    """Fill in a template of this package; Markdown comes in lines of at most 120 characters."""
    text = environment(template).get_template(template).render(**values)
    return wrap(text) if template.endswith(".md") else text


def number(value: float | None, interval: Any = None) -> str:
    """Format a metric with its interval.

    Example:
        >>> number(0.91234, (0.9, 0.92)), number(None)
        ('0.912 (0.900 to 0.920)', 'undefined')
    """
    if value is None:
        return "undefined"
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
