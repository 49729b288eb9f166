"""Download of pretrained weights from the Hugging Face Hub, through its own client and cache.

The client's settings mean what they mean everywhere: ``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_OFFLINE``,
``HF_TOKEN``, the proxy variables. It reads them when it is imported, so this module is imported late.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
    get_session,
)

from medzoo.core.errors import ZooError
from medzoo.core.locks import locked
from medzoo.zoo.bundle import CONFIG, MODEL, is_bundle_file

# The client uses requests, httpx or httpx2, by its version, and lets their errors through. Its own error derives from
# theirs, which names them without importing any of the three.
_BASES = cast("tuple[type[Exception], ...]", HfHubHTTPError.__bases__)
CLIENT_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, RuntimeError, EntryNotFoundError, *_BASES)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}

LOG_IN = "get one with 'hf auth login', or set HF_TOKEN"


def fetch(repo: str, revision: str | None, *, whole: bool = False) -> Path:
    """Download a repository's bundle into the Hub's cache.

    A cached bundle is used without a request. The weights file is downloaded last, so that a cache that has it has all
    the other files (``snapshot_download`` downloads in any order).

    Args:
        repo: ``org/name``.
        revision: A commit, 40 hex digits; ``None`` for the newest one.
        whole: Complete a cache that lacks other files than weights and config, as one that timm filled.

    Raises:
        ZooError: It does not exist, access is denied, the Hub cannot be reached, or the cache cannot be written.
    """
    cached = _cached(repo, revision)
    if cached is not None and (constants.HF_HUB_OFFLINE or not whole):
        return cached
    where = named(repo, revision)
    if constants.HF_HUB_OFFLINE:
        raise ZooError(f"{where} is not in the cache {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE is set")
    _reach(where)
    with explained(where):
        names = filter(is_bundle_file, HfApi().list_repo_files(repo, revision=revision))
        files = sorted({*names, CONFIG, MODEL}, key=lambda file: (file == MODEL, file))
        folders = {Path(hf_hub_download(repo, file, revision=revision)).parent for file in files}
    if len(folders) > 1:
        raise ZooError(f"{where} changed during the download; run the same command again")
    return folders.pop()


def fetch_weights_file(repo: str, file: str | None, revision: str | None, endings: tuple[str, ...]) -> tuple[Path, str]:
    """Download one file of any repository into the Hub's cache.

    Args:
        repo: ``org/name``.
        file: Its path in the repository; ``None`` for the only weights file, safetensors before others.
        revision: A branch, tag or commit; ``None`` for the newest commit.
        endings: What a weights file's name ends with, the better forms first.

    Returns:
        The file, and the commit that it is of.

    Raises:
        ZooError: It does not exist, access is denied, or the Hub cannot be reached.
    """
    where = named(repo, revision)
    if not constants.HF_HUB_OFFLINE:
        _reach(where)
    with explained(where):
        if file is None:
            names = HfApi().list_repo_files(repo, revision=revision)
            by_ending = ([name for name in names if name.endswith(ending)] for ending in endings)
            found = next((some for some in by_ending if some), [])
            if len(found) != 1:
                raise ZooError(
                    f"{where} holds {len(found)} weights files ({', '.join(found[:5])}); name one: hf://{repo}/FILE"
                )
            file = found[0]
        path = Path(hf_hub_download(repo, file, revision=revision))
    snapshots = next((parent for parent in path.parents if parent.parent.name == "snapshots"), None)
    return path, snapshots.name if snapshots else ""


def fetch_file(repo: str, revision: str, name: str) -> Path:
    """Download one small file of a bundle into the Hub's cache; a cached one is used without a request.

    Args:
        repo: ``org/name``.
        revision: A commit, 40 hex digits.
        name: The file's name.

    Raises:
        ZooError: As in ``fetch``.
    """
    cached = try_to_load_from_cache(repo, name, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    where = named(repo, revision)
    if constants.HF_HUB_OFFLINE:
        raise ZooError(f"{name} of {where} is not in the cache {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE is set")
    _reach(where)
    with explained(where):
        return Path(hf_hub_download(repo, name, revision=revision))


def fetch_sound(repo: str, revision: str | None, check: Callable[[Path], None], *, whole: bool = False) -> Path:
    """Download a repository's bundle and check it; a damaged one is removed and downloaded once more.

    Args:
        repo: ``org/name``.
        revision: As in ``fetch``.
        check: Raises a ZooError for a folder whose files are not the published ones.
        whole: As in ``fetch``.

    Raises:
        ZooError: It cannot be downloaded, or arrived damaged twice; nothing damaged is left in the cache.
    """
    folder = fetch(repo, revision, whole=whole)
    try:
        check(folder)
        return folder
    except ZooError as error:
        damage = error
    where = named(repo, revision)
    with locked(folder):  # one process repairs it, the others wait
        for _ in range(2):
            try:
                folder = fetch(repo, revision)
            except ZooError as error:
                raise ZooError(f"the cached copy of {repo} was damaged and removed: {damage}\n{error}") from error
            try:
                check(folder)
                return folder
            except ZooError as error:
                damage = error
                discard(folder)
    raise ZooError(
        f"{where} arrived damaged twice and was removed: {damage}\nA proxy or mirror may change it; try another "
        "network or HF_ENDPOINT"
    ) from damage


def discard(folder: Path) -> None:
    """Remove a bundle's weights and config from the Hub's cache, with the blobs that they link to.

    Raises:
        ZooError: The cache cannot be written to.
    """
    for file in (folder / MODEL, folder / CONFIG):
        try:
            if file.is_symlink():
                file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)
        except OSError as error:
            raise ZooError(
                f"{file} is not the published file and cannot be removed ({error.strerror}); set HF_HOME to a folder "
                "that can be written to"
            ) from error


def named(repo: str, revision: str | None = None) -> str:
    """Name a repository of the Hub for a message."""
    return f"{repo} on the Hub" + (f" at {revision}" if revision else "")


def _cached(repo: str, revision: str | None) -> Path | None:
    found = [try_to_load_from_cache(repo, file, revision=revision) for file in (CONFIG, MODEL)]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return paths[0].parent if len(paths) == len(found) else None


def _reach(where: str) -> None:
    """Fail within seconds where nothing answers; the client itself would retry for half a minute."""
    try:
        answer = get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except CLIENT_ERRORS as error:
        raise ZooError(
            f"{where} is not in the cache {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} does not answer "
            f"({_line(error)}); check the network, the proxy (HTTPS_PROXY) or HF_ENDPOINT, or copy a zoo here with "
            "'medzoo mirror'"
        ) from error
    if answer.status_code in (403, 407, 511):  # the Hub's front page is open to all
        raise ZooError(f"{where} {_intercepted(answer.status_code)}")


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Translate an error of the client into its meaning and what to do.

    Raises:
        ZooError: The body failed.
    """
    try:
        with _bars_on_terminal():
            yield
    except CLIENT_ERRORS as error:
        raise ZooError(f"{where} {_meaning(error)}") from error


@contextmanager
def _bars_on_terminal() -> Iterator[None]:
    """Hide the client's progress bars where stderr is no terminal, unless the user's environment asks for them."""
    if sys.stderr.isatty() or constants.HF_HUB_DISABLE_PROGRESS_BARS is not None or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _meaning(error: BaseException) -> str:
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        return _meaning(error.__cause__)  # an upload that failed
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, FileMetadataError):
        error = error.__cause__
    meanings = (
        ((json.JSONDecodeError, FileMetadataError), _intercepted("a web page")),
        (GatedRepoError, f"is gated: request access at {constants.ENDPOINT}; then it needs a token: {LOG_IN}"),
        (DisabledRepoError, "has been disabled by the Hub"),
        (RepositoryNotFoundError, f"does not exist, or is private and needs a token with read access: {LOG_IN}"),
        (RevisionNotFoundError, "has no such revision: it was rewritten or never pushed; update medzoo"),
        (LocalEntryNotFoundError, f"cannot be downloaded: {_line(error)}"),
        (EntryNotFoundError, f"lacks a file that a bundle must have: {_line(error)}"),
    )
    for kind, meaning in meanings:
        if isinstance(error, kind):
            return meaning
    answer = getattr(error, "response", None)
    if answer is not None and answer.status_code == 403 and not _OURS & {key.lower() for key in answer.headers}:
        return _intercepted(403)
    if answer is not None:
        return _STATUS.get(answer.status_code, "failed: the Hub answered {line}").format(line=_line(error))
    if getattr(error, "errno", None) in _FULL:
        return f"cannot be written: the disk of {constants.HF_HUB_CACHE} is full; free some space, or set HF_HOME"
    if getattr(error, "errno", None) in _READ_ONLY:
        return f"cannot be written: {_line(error)}; set HF_HOME to a folder that can be written to"
    return f"cannot be downloaded: {_line(error)}"


_OURS = {"x-error-code", "x-error-message"}  # of the Hub's own refusals


def _intercepted(answer: object) -> str:
    """Word an answer that is not the Hub's."""
    return (
        f"cannot be reached: a network's login page, a proxy or a firewall answers in place of {constants.ENDPOINT} "
        f"({answer}). Open it in a browser and log in to the network, ask for access to it, or copy a zoo here with "
        "'medzoo mirror'"
    )


_STATUS = {
    401: f"refused the token; it needs a valid one: {LOG_IN} (or unset it to use none)",
    403: "denies access ({line}); use a token with the right to it",
    412: "was changed by somebody else meanwhile; run the same command again",
    429: "has too many requests ({line}); run the same command later, or with a token",
    503: "is busy ({line}); run the same command later",
}


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
