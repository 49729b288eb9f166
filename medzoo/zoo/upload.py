"""Files put onto the Hub: one commit, checked there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.hf_api import RepoFile

from medzoo.core.errors import ZooError
from medzoo.zoo.hub import LOG_IN, explained, named
from medzoo.zoo.verify import sha256_of


@dataclass(frozen=True)
class Uploaded:
    """What is on the Hub now.

    Attributes:
        revision: The commit, 40 hex digits.
        url: Its address.
    """

    revision: str
    url: str


def upload(
    repo: str,
    files: Sequence[Path],
    *,
    message: str,
    private: bool,
    owned: Callable[[str], bool],
    token: str | None = None,
) -> Uploaded:
    """Put files into a repository of the Hub, made where missing. Done again, it changes nothing.

    Until the one commit is made, the repository holds what it held. A call that failed is mended by the same call.

    Args:
        repo: ``org/name``.
        files: What it is to hold, by name.
        message: The title of the commit.
        private: Make a private repository.
        owned: Which names belong to the caller: such a file of the repository that is not among ``files`` is removed.
        token: A token that may write there; by default the user's own.

    Returns:
        The commit.

    Raises:
        ZooError: There is no token, the repository is public and was to be private, the Hub refuses, or what it holds
            afterwards is not what was sent.
    """
    if token is None and get_token() is None:
        raise ZooError(f"publishing on the Hub needs a token that may write to {repo.partition('/')[0]}: {LOG_IN}")
    api = HfApi(token=token)
    with explained(named(repo)):
        api.create_repo(repo, private=private, exist_ok=True)
        before = api.model_info(repo)
        if private and not before.private:
            raise ZooError(
                f"{repo} is public; make it private in its settings on the Hub first, or publish it as public"
            )
        there = {sibling.rfilename for sibling in before.siblings or ()}
        old = {name for name in there if owned(name)} - {file.name for file in files}
        commit = api.create_commit(
            repo,
            [CommitOperationAdd(file.name, str(file)) for file in files]
            + [CommitOperationDelete(name) for name in sorted(old)],
            commit_message=message,
            parent_commit=before.sha,
        )
        _check(api, repo, commit.oid, files)
    return Uploaded(commit.oid, str(commit.commit_url))


def _check(api: HfApi, repo: str, revision: str, files: Sequence[Path]) -> None:
    """Compare what the Hub says it holds with what was sent."""
    held_out = {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in api.get_paths_info(repo, [file.name for file in files], revision=revision)
        if isinstance(entry, RepoFile)
    }
    for file in files:
        if held_out.get(file.name) not in (sha256_of(file), _git_name(file)):
            raise ZooError(f"{file.name} of {repo} on the Hub is not what was sent; run the same command again")


def _git_name(file: Path) -> str:
    """What git calls a file's content."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()
