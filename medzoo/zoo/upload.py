"""Upload to the Hub: one commit, verified there."""

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
    """A commit on the Hub.

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
    """Upload files in one commit to a repository of the Hub, created where missing. Repeating it changes nothing.

    A call that fails leaves the repository as it was, and can be repeated.

    Args:
        repo: ``org/name``.
        files: The files, by name.
        message: The title of the commit.
        private: Create a private repository.
        owned: Returns whether a file name is the caller's: such files that are not among ``files`` are removed.
        token: A token with write access; by default the user's own.

    Raises:
        ZooError: There is no token, the repository is public and should be private, the Hub refuses, or its files are
            not those sent.
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
    """Compare the hashes of the files on the Hub with those sent."""
    found = {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in api.get_paths_info(repo, [file.name for file in files], revision=revision)
        if isinstance(entry, RepoFile)
    }
    for file in files:
        if found.get(file.name) not in (sha256_of(file), _git_name(file)):
            raise ZooError(f"{file.name} of {repo} on the Hub is not what was sent; run the same command again")


def _git_name(file: Path) -> str:
    """Compute the hash that git gives a file."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()
