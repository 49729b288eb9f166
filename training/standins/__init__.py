"""Small generated stand-ins of the study's data sets, in their true published layouts.

They let every command run where no medical image may go: the demo, the tests, a first try. What a picture shows decides
its label, and the targets show the same things as the sources, so that there is something to learn and to transfer.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medzoo.core.errors import DataError
from training.datasets import DATASETS
from training.standins.layouts import LAYOUTS
from training.standins.plan import Plan, generator

FEWEST, MOST = 40, 5000
MANIFEST = "standins.json"
NOTE = "STANDINS.txt"
NOTE_TEXT = """\
The pictures in these folders are drawings made by a program. They are NOT medical images: no patient, no
tissue and no eye was photographed, and nothing can be learnt from them about any disease. Names, numbers and
label tables are invented in the layouts of the data sets they stand in for, to try software without those sets.
Folders: {folders}
"""
# Fast rather than small. Grain leaves nothing for zlib's search for repeats to find, so that is left out.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"compress_level": 1, "compress_type": zlib.Z_HUFFMAN_ONLY},
    ".jpg": {"quality": 90},
    ".jpeg": {"quality": 90},
    ".tif": {"compression": "packbits"},
}


def write_standins(
    folder: Path,
    images: Mapping[str, int] | int = 120,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write stand-ins of the study's data sets, each under its published top folder name.

    A set appears whole or not at all. One that was written before with the same settings by the
    same code is kept; with other settings it is replaced. A folder of that name that this function did not
    write is never touched.

    Args:
        folder: The data folder; made if need be.
        images: Images in each of the eight sets, 40 to 5000, or set name to that number for some sets.
        seed: Which pictures; the same seed gives the same bytes.
        progress: Called with (files painted, files to paint) after every picture.

    Returns:
        The names of the sets that are there now, as in ``training.datasets.DATASETS``.

    Raises:
        UnknownNameError: A set is not one of the study's.
        DataError: A number is out of range, or a folder is in the way.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     names = write_standins(Path(place), {"kather2016": 40})
        ...     tiles = len(list(Path(place).glob("Kather_texture_2016_image_tiles_5000/*/*.tif")))
        >>> names, tiles
        (['kather2016'], 40)
    """
    counts = dict.fromkeys(LAYOUTS, images) if isinstance(images, int) else dict(images)
    for name, count in counts.items():
        LAYOUTS[name]  # an unknown name is refused before anything is written
        if not FEWEST <= count <= MOST:
            raise DataError(f"{count} images of {name}: a stand-in has {FEWEST} to {MOST}; give a number in between")
    manifest = _read_manifest(folder)
    wanted = {name: {"images": count, "seed": seed, "code": _code()} for name, count in counts.items()}
    for name in counts:
        if _home(folder, name).exists() and name not in manifest:
            raise DataError(
                f"{_home(folder, name)} is there and is no stand-in written by this program; give another folder"
            )
    todo = [name for name in counts if manifest.get(name) != wanted[name] or not _home(folder, name).is_dir()]
    plans = {name: LAYOUTS[name].plan(counts[name], generator(seed, name)) for name in todo}
    total, done = sum(len(plan.pictures) for plan in plans.values()), 0

    def count_one() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    folder.mkdir(parents=True, exist_ok=True)
    for name, plan in plans.items():
        with tempfile.TemporaryDirectory(prefix=".standin-", dir=folder) as place:
            fresh, old = Path(place) / "new", Path(place) / "old"
            _write(plan, fresh, (seed, name), count_one)
            # The old one goes first and the entry comes before the new one: at any moment a folder with an
            # entry is complete and made as the entry says.
            if _home(folder, name).exists():
                _home(folder, name).replace(old)
            manifest[name] = wanted[name]
            _write_manifest(folder, manifest)
            fresh.replace(_home(folder, name))
    return list(counts)


def is_standin(folder: Path, name: str) -> bool:
    """Whether a data set in a data folder is one of these drawings.

    Args:
        folder: The data folder.
        name: A name in ``training.datasets.DATASETS``.
    """
    return name in _read_manifest(folder)


def _home(folder: Path, name: str) -> Path:
    return folder / DATASETS[name].folders[0]


def _write(plan: Plan, root: Path, key: tuple[object, ...], count_one: Callable[[], None]) -> None:
    """Paint and save everything of one set."""
    for path, text in plan.texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8", newline="\n")
    for picture in plan.pictures:
        file = root / picture.path
        file.parent.mkdir(parents=True, exist_ok=True)
        person = generator(*key, "person", picture.person)
        own = generator(*key, "own", picture.own or picture.path)
        pixels = np.ascontiguousarray(picture.paint(person, own))
        Image.fromarray(pixels).save(file, **SAVE_OPTIONS[file.suffix])
        count_one()


def _code() -> str:
    """A digest of this package's sources: pictures drawn by other code are not the same."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _read_manifest(folder: Path) -> dict[str, dict[str, object]]:
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        sets = json.loads(file.read_text(encoding="utf-8"))["sets"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is no list of stand-ins ({error!r}); remove it and the stand-ins beside it") from error
    return dict(sets)


def _write_manifest(folder: Path, sets: Mapping[str, Mapping[str, object]]) -> None:
    """Write the note, then the list of what is complete."""
    folders = ", ".join(sorted(DATASETS[name].folders[0] for name in sets))
    texts = {
        NOTE: NOTE_TEXT.format(folders=folders),
        MANIFEST: json.dumps({"sets": sets}, indent=1, sort_keys=True) + "\n",
    }
    for name, text in texts.items():
        part = folder / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / name)
