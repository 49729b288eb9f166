"""Copy a validated bundle to a folder zoo."""

from __future__ import annotations

import shutil
from pathlib import Path

from medzoo.core.atomic import replacing_folder
from medzoo.core.errors import ZooError
from medzoo.zoo.bundle import bundle_files
from medzoo.zoo.pin_changes import adding_pins
from medzoo.zoo.pins import INDEX, Pin
from medzoo.zoo.verify import verify_bundle


def to_folder(name: str, bundle: Path, pin: Pin, zoo: Path) -> Path:
    """Copy a bundle to a folder zoo; an earlier one is replaced when the new one is complete and verified.

    Args:
        name: The weight's name.
        bundle: The bundle, validated.
        pin: Its pin, from ``validate``.
        zoo: The folder zoo; created if missing.

    Returns:
        The bundle's folder in the zoo.

    Raises:
        ZooError: The zoo is a file, or has an index that cannot be read.
    """
    if zoo.exists() and not zoo.is_dir():
        raise ZooError(f"{zoo} is a file; give a folder for the zoo")
    zoo.mkdir(parents=True, exist_ok=True)
    with adding_pins(zoo / INDEX, {name: pin}), replacing_folder(zoo / name) as new:
        for file in bundle_files(bundle):
            shutil.copyfile(file, new / file.name)
        verify_bundle(new, pin, again=True)
    return zoo / name
