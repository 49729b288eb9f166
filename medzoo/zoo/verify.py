"""Verification of files by size and sha256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from medzoo.core.cache import recall, remember
from medzoo.core.errors import ZooError
from medzoo.zoo.bundle import CONFIG, MODEL
from medzoo.zoo.pins import Pin


def sha256_of(path: Path) -> str:
    """Compute the sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def pin_of(folder: Path, repo: str = "", revision: str = "") -> Pin:
    """Compute the pin of a bundle on disk.

    Args:
        folder: The bundle.
        repo: On the Hub, ``org/name``.
        revision: On the Hub, the commit.
    """
    model = folder / MODEL
    return Pin(sha256_of(model), model.stat().st_size, sha256_of(folder / CONFIG), repo, revision)


def verify_file(path: Path, pin: Pin, *, again: bool = False) -> None:
    """Check a weights file against its pin; a file that was checked before is not hashed again until it changes.

    Args:
        path: The file.
        pin: Its pin.
        again: Hash it even if it was checked before.

    Raises:
        ZooError: It cannot be read, or has another size or hash.
    """
    try:
        stat = path.stat()
        if stat.st_size != pin.bytes:
            raise ZooError(
                f"{path} has {stat.st_size} bytes, the published file {pin.bytes}; fetch or publish it again"
            )
        seen = f"{pin.sha256} {stat.st_size} {stat.st_mtime_ns}"
        if not again and recall(path) == seen:
            return
        found = sha256_of(path)
    except OSError as error:
        raise ZooError(f"{path} cannot be read ({error.strerror}); fetch or publish it again") from error
    if found != pin.sha256:
        raise ZooError(f"{path} has sha256 {found}, the published file {pin.sha256}; fetch or publish it again")
    remember(path, seen)


def verify_bundle(folder: Path, pin: Pin, *, again: bool = False) -> None:
    """Check the weights and config of a bundle against their pin.

    Args:
        folder: The bundle.
        pin: Its pin.
        again: Hash the weights even if they were checked before.

    Raises:
        ZooError: One of them is missing or not the published one.
    """
    verify_file(folder / MODEL, pin, again=again)
    config = folder / CONFIG
    if pin.config and sha256_of(config) != pin.config:
        raise ZooError(f"{config} is not the published file: its sha256 is another; fetch or publish it again")
