"""Verified copies of a zoo for machines without a network: a folder, or one zip file to unzip there."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from medzoo.core.atomic import replacing_file, replacing_folder
from medzoo.core.errors import ZooError
from medzoo.zoo.bundle import MODEL, Bundle, bundle_files
from medzoo.zoo.pin_changes import adding_pins
from medzoo.zoo.pins import INDEX, Pin, pins_text, read_index
from medzoo.zoo.resolve import org_of, published, resolve, zoo_location
from medzoo.zoo.verify import pin_of, sha256_of, verify_bundle
from medzoo.zoo.weights import WEIGHTS


def _nothing(name: str) -> None:
    """Report nothing."""


def mirrored(zoo: str | Path | None = None) -> list[str]:
    """Return what is mirrored by default: all that is published in the zoo, and from the Hub the baseline too."""
    names = list(published(zoo))
    if org_of(zoo_location(zoo)) is not None:
        names += [entry.name for entry in WEIGHTS.values() if entry.timm_name and entry.name not in names]
    return names


def mirror(
    dest: Path, names: Sequence[str] = (), zoo: str | Path | None = None, on_weight: Callable[[str], None] = _nothing
) -> Path:
    """Copy weights into a folder zoo, each verified before and after; weights that it has are not copied again.

    Args:
        dest: The folder zoo, created or added to.
        names: Weights; default all of the zoo.
        zoo: The source, as in ``create_model``.
        on_weight: Called with the name of each of the weights when they are copied.

    Returns:
        ``dest``.

    Raises:
        MedzooError: Weights are unknown, cannot be downloaded or are not the published ones. Those before them stay.
    """
    if dest.exists() and not dest.is_dir():
        raise ZooError(f"{dest} is a file; give a folder for the zoo, or --zip for one file")
    dest.mkdir(parents=True, exist_ok=True)
    for name in names or mirrored(zoo):
        bundle = resolve(name, zoo, whole=True)
        pin = _pin(name, bundle, zoo)
        if not _holds(dest, name, pin):
            with adding_pins(dest / INDEX, {name: pin}), replacing_folder(dest / name) as new:
                for file in bundle_files(bundle.folder):
                    shutil.copyfile(file, new / file.name)
                verify_bundle(new, pin, again=True)
        on_weight(name)
    return dest


def mirror_zip(
    dest: Path, names: Sequence[str] = (), zoo: str | Path | None = None, on_weight: Callable[[str], None] = _nothing
) -> Path:
    """Copy weights into one zip file; unzipped, it is a folder zoo.

    Args:
        dest: The file to create or replace.
        names: Weights; default all of the zoo.
        zoo: The source, as in ``create_model``.
        on_weight: Called with the name of each of the weights when they are written.

    Returns:
        ``dest``, with ``.zip`` at its end.

    Raises:
        MedzooError: As in ``mirror``; then no file is written.
    """
    dest = dest if dest.suffix.lower() == ".zip" else dest.with_name(f"{dest.name}.zip")
    if dest.is_dir():
        raise ZooError(f"{dest} is a folder; give a file")
    pins: dict[str, Pin] = {}
    with replacing_file(dest) as temporary:
        # Weights do not compress.
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, strict_timestamps=False) as zipped:
            for name in names or mirrored(zoo):
                bundle = resolve(name, zoo, whole=True)
                pins[name] = _pin(name, bundle, zoo)
                for file in bundle_files(bundle.folder):
                    zipped.write(file.resolve(), f"{name}/{file.name}")
                on_weight(name)
            zipped.writestr(INDEX, pins_text(pins))
        _check(temporary, pins)
    return dest


def _check(archive: Path, pins: dict[str, Pin]) -> None:
    """Read a zip back from the disk."""
    with zipfile.ZipFile(archive) as zipped:
        broken = zipped.testzip()
        sizes = {name: zipped.getinfo(f"{name}/{MODEL}").file_size for name in pins}
    broken = broken or next((name for name, pin in pins.items() if sizes[name] != pin.bytes), None)
    if broken is not None:
        raise ZooError(f"{broken} was not written as it was read; check the disk and run the same command again")


def _pin(name: str, bundle: Bundle, zoo: str | Path | None) -> Pin:
    """Return the pin in the zoo; for the baseline that timm publishes, that of the downloaded files."""
    return published(zoo).get(name) or pin_of(bundle.folder)


def _holds(dest: Path, name: str, pin: Pin) -> bool:
    if not (dest / INDEX).is_file() or read_index(dest).get(name) != pin:
        return False
    model = dest / name / MODEL
    return model.is_file() and sha256_of(model) == pin.sha256
