"""A validated bundle put onto the Hub: one commit, checked there, tagged, and pinned in the package."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from huggingface_hub import HfApi

from medzoo.zoo.bundle import bundle_files
from medzoo.zoo.hub import explained, named
from medzoo.zoo.pins import Pin, adding_pins
from medzoo.zoo.upload import upload

_KEPT = {".gitattributes"}  # the Hub's own
_TAG = re.compile(r"v([1-9][0-9]*)")


def to_hub(name: str, bundle: Path, pin: Pin, org: str, *, private: bool, pins: Path) -> Pin:
    """Publish a bundle on the Hub and write its pin. Done again, it changes nothing.

    Until the one commit is made, the repository holds what it held; until the pin is written, medzoo
    loads the version that it loaded. A run that failed is mended by the same call.

    Args:
        name: The weight's name; the repository is ``org/name``.
        bundle: The bundle, validated.
        pin: What ``validate`` gave for it.
        org: An organisation or user of the Hub.
        private: Make a private repository. One that exists stays as it is.
        pins: The table of pins to write to.

    Returns:
        The pin, with repository and commit.

    Raises:
        ZooError: There is no token, the Hub refuses, or what it holds afterwards is not what was sent.
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
    """Name a commit v1, v2 and so on, unless it has such a name."""
    tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo).tags}
    numbered = {int(found[1]): tags[found[0]] for found in map(_TAG.fullmatch, tags) if found}
    if revision not in numbered.values():
        api.create_tag(repo, tag=f"v{max(numbered, default=0) + 1}", revision=revision)
