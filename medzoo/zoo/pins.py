"""Pins: the hashes and sizes of published weights.

A folder zoo's index and the package's own list of weights on the Hub are tables of them.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medzoo.core.errors import ZooError
from medzoo.zoo.bundle import is_reserved, read_json

INDEX = "index.json"
PINS = Path(__file__).with_name("pins.json")

# The name of weights is also that of a folder, on every system.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_HEX = {40: re.compile(r"[0-9a-f]{40}"), 64: re.compile(r"[0-9a-f]{64}")}


@dataclass(frozen=True)
class Pin:
    """The hashes and size of published weights.

    Attributes:
        sha256: Of ``model.safetensors``: 64 hex digits.
        bytes: The size of ``model.safetensors``.
        config: The sha256 of ``config.json``; empty where it was not published by us.
        repo: On the Hub, ``org/name``.
        revision: On the Hub, the 40 hex digits of the commit.

    Raises:
        ZooError: One of them is malformed.
    """

    sha256: str
    bytes: int
    config: str = ""
    repo: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        for what, value, form in (
            ("sha256", self.sha256, _HEX[64]),
            ("config", self.config or "0" * 64, _HEX[64]),
            ("repo", self.repo or "org/name", _REPO),
            ("revision", self.revision or "0" * 40, _HEX[40]),
        ):
            if not isinstance(value, str) or not form.fullmatch(value):
                raise ZooError(f"{what} {value!r:.80} of a pin is not of the form {form.pattern}")
        if type(self.bytes) is not int or self.bytes < 0:
            raise ZooError(f"bytes {self.bytes!r:.80} of a pin is not a size")


def read_pins(path: Path) -> dict[str, Pin]:
    """Read a table of pins: a folder zoo's index, or the package's own of what is on the Hub.

    Raises:
        ZooError: It is malformed, or a name in it cannot be a folder's.
    """
    entries = read_json(path).get("weights")
    try:
        pins = {name: Pin(**entry) for name, entry in entries.items()}  # type: ignore[union-attr]
    except (AttributeError, TypeError, ZooError) as error:
        raise ZooError(f"{path} is not an index of weights ({error}); fetch or publish again") from error
    check_names(pins, path)
    return pins


def check_names(names: Iterable[str], origin: Path) -> None:
    """Refuse names that lead out of a zoo or that no folder can have.

    Raises:
        ZooError: There is such a name.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ZooError(f"{origin} cannot hold weights named {name!r:.80}: letters, digits, '.', '_' and '-' only")
        if is_reserved(name):
            raise ZooError(f"{origin} cannot hold weights named {name!r}: Windows allows no folder of that name")


def pins_text(pins: Mapping[str, Pin]) -> str:
    """Format a table of pins as JSON, sorted by name."""
    fields = {name: {key: value for key, value in vars(pin).items() if value} for name, pin in sorted(pins.items())}
    return json.dumps({"schema": 1, "weights": fields}, indent=2) + "\n"


def read_index(folder: Path) -> dict[str, Pin]:
    """Return the pins of a folder zoo by the names of its weights.

    Raises:
        ZooError: The folder or its index is missing or cannot be read.
    """
    if folder.is_file():
        how = "unzip it and give the folder" if zipfile.is_zipfile(folder) else "give a folder or hf://ORG"
        raise ZooError(f"the zoo {folder} is a file, not a folder; {how} (zoo= or MEDZOO_ZOO)")
    if not folder.is_dir():
        raise ZooError(
            f"there is no zoo at {folder}; give a folder made by 'publish' or 'mirror', or hf://ORG "
            "(zoo= or MEDZOO_ZOO)"
        )
    if not (folder / INDEX).is_file():
        raise ZooError(
            f"{folder} is not a zoo: it has no {INDEX}; 'python -m training publish NAME --out {folder}' makes one"
        )
    return read_pins(folder / INDEX)
