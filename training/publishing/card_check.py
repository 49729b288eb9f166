"""Check that the Hub can read the metadata of a card."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from huggingface_hub import ModelCard

from medzoo.core.errors import ZooError

_MAX_BYTES = 1 << 20
_MAX_METADATA = 1 << 16
_MAX_DEPTH = 20
_BLOCK = re.compile(r"---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)


def check_card(path: Path) -> None:
    """Check a card with the Hub's client, before anything is uploaded.

    Args:
        path: A bundle's ``README.md``.

    Raises:
        ZooError: It has no metadata, or none that the client accepts.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
        block = _BLOCK.match(text)
        if block is None:
            raise ValueError("no metadata between two lines of --- at its beginning")
        _refuse_tricks(block[1])
        data = ModelCard(text).data
        if not data.get("license") or not data.get("tags"):
            raise ValueError("its metadata has no license or no tags")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ZooError(f"{path} is not a card that the Hub accepts ({reason}); make it again") from error


def _refuse_tricks(metadata: str) -> None:
    """Refuse aliases, which can exhaust memory, and deep nesting, which takes PyYAML minutes."""
    if len(metadata) > _MAX_METADATA:
        raise ValueError(f"more than {_MAX_METADATA:,} characters of metadata")
    depth = 0
    for event in yaml.parse(metadata, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("its metadata refers to itself with an alias")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError(f"its metadata is nested more than {_MAX_DEPTH} deep")
