"""A validated bundle put onto the Hub: one commit, checked there, tagged, and pinned in the package."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.hf_api import RepoFile

from medzoo.bundle import bundle_files
from medzoo.errors import ZooError
from medzoo.store import Pin, sha256_of
from medzoo.zoo.hub import LOG_IN, explained, named
from medzoo.zoo.pins import adding_pins

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
    if get_token() is None:
        raise ZooError(f"publishing on the Hub needs a token that may write to {org}: {LOG_IN}")
    repo, files = f"{org}/{name}", bundle_files(bundle)
    api = HfApi()
    with explained(named(repo)):
        api.create_repo(repo, private=private, exist_ok=True)
        before = api.model_info(repo)
        if private and not before.private:
            raise ZooError(
                f"{repo} is public; make it private in its settings on the Hub first, or publish it as public"
            )
        there = {sibling.rfilename for sibling in before.siblings or ()}
        old = there - _KEPT - {file.name for file in files}
        commit = api.create_commit(
            repo,
            [CommitOperationAdd(file.name, str(file)) for file in files]
            + [CommitOperationDelete(file) for file in sorted(old)],
            commit_message=f"{name}, sha256 {pin.sha256[:12]}",
            parent_commit=before.sha,
        )
        _check(api, repo, commit.oid, files)
        _tag(api, repo, commit.oid)
    done = replace(pin, repo=repo, revision=commit.oid)
    with adding_pins(pins, {name: done}):
        pass
    return done


def _check(api: HfApi, repo: str, revision: str, files: list[Path]) -> None:
    """Compare what the Hub says it holds with what was sent."""
    held = {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in api.get_paths_info(repo, [file.name for file in files], revision=revision)
        if isinstance(entry, RepoFile)
    }
    for file in files:
        if held.get(file.name) not in (sha256_of(file), _git_name(file)):
            raise ZooError(f"{file.name} of {repo} on the Hub is not what was sent; run the same command again")


def _git_name(file: Path) -> str:
    """What git calls a file's content."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def _tag(api: HfApi, repo: str, revision: str) -> None:
    """Name a commit v1, v2 and so on, unless it has such a name."""
    tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo).tags}
    numbered = {int(found[1]): tags[found[0]] for found in map(_TAG.fullmatch, tags) if found}
    if revision not in numbered.values():
        api.create_tag(repo, tag=f"v{max(numbered, default=0) + 1}", revision=revision)
