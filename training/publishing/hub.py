"""Upload a validated bundle to the Hub: one commit, verified, tagged, and pinned in the package."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from huggingface_hub import HfApi

from medzoo.zoo.bundle import bundle_files
from medzoo.zoo.hub import explained, named
from medzoo.zoo.pin_changes import adding_pins
from medzoo.zoo.pins import Pin
from medzoo.zoo.upload import upload

_KEPT = {".gitattributes"}  # the Hub's own
_TAG = re.compile(r"v([1-9][0-9]*)")


def to_hub(name: str, bundle: Path, pin: Pin, org: str, *, private: bool, pins: Path) -> Pin:
    """Publish a bundle on the Hub and write its pin; idempotent.

    Until the pin is written, medzoo loads the earlier version. A failed call can be repeated.

    Args:
        name: The weight's name; the repository is ``org/name``.
        bundle: The bundle, validated.
        pin: Its pin, from ``validate``.
        org: An organisation or user of the Hub.
        private: Make a new repository private; an existing one is not changed.
        pins: The table of pins to write to.

    Returns:
        The pin, with repository and commit.

    Raises:
        ZooError: There is no token, the Hub refuses, or its files are not those that were uploaded.
    """
    repo = f"{org}/{name}"
    sent = upload(
        repo,
        bundle_files(bundle),
        message=f"{name}, sha256 {pin.sha256[:12]}",
        private=private,
        owned=lambda file: file not in _KEPT,
    )
    with explained(named(repo)):
        _tag(HfApi(), repo, sent.revision)
    done = replace(pin, repo=repo, revision=sent.revision)
    with adding_pins(pins, {name: done}):
        pass
    return done


def _tag(api: HfApi, repo: str, revision: str) -> None:
    """Tag a commit with the next of v1, v2, ..., unless it has such a tag."""
    tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo).tags}
    numbered = {int(found[1]): tags[found[0]] for found in map(_TAG.fullmatch, tags) if found}
    if revision not in numbered.values():
        api.create_tag(repo, tag=f"v{max(numbered, default=0) + 1}", revision=revision)
