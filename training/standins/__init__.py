"""Synthetic stand-ins of the study's data sets, in their published layouts.

They let every command run without medical images: the demo, the tests, a first try. What an image shows decides its
label, and the targets show the same things as the sources, so that there is something to learn and to transfer.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medzoo.core.atomic import replacing_folder, write_json, write_text
from medzoo.core.errors import DataError, UnknownNameError
from medzoo.core.registry import unknown
from training.datasets import DATASETS
from training.standins.layout import ImageFile, generator
from training.standins.layouts import LAYOUTS

FEWEST, MOST = 40, 5000
MANIFEST = "standins.json"
NOTE = "STANDINS.txt"
NOTE_TEXT = """\
The images in these folders are synthetic, drawn by a program. They are NOT medical images: no patient, no tissue and
no eye was photographed, and nothing can be learned from them about any disease. Names, numbers and label tables are
invented in the layouts of the data sets they stand in for, to try software without those data sets.
Folders: {folders}
"""
# Fast rather than small: noise leaves nothing for zlib's search for repeats to find.
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
    """Write synthetic stand-ins of the study's data sets, each under its published top folder name.

    A data set appears complete or not at all. One that was written before with the same settings by the same code is
    kept; with other settings it is replaced. A folder of that name that this function did not write is never touched.

    Args:
        folder: The data folder; created if missing.
        images: Images of each of the eight data sets, 40 to 5000, or a mapping of some names to that number.
        seed: The same seed gives the same bytes.
        progress: Called with (files drawn, files in all) after every image.

    Returns:
        The names of the data sets that exist now, as in ``training.datasets.DATASETS``.

    Raises:
        UnknownNameError: There is no such stand-in.
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
    manifest = _read_manifest(folder)
    for name, count in counts.items():
        if name not in LAYOUTS:
            raise UnknownNameError(unknown("stand-in", name, LAYOUTS))
        if not FEWEST <= count <= MOST:
            raise DataError(f"{count} images of {name}: a stand-in has {FEWEST} to {MOST}; give a number in between")
        if _home(folder, name).exists() and name not in manifest:
            raise DataError(
                f"{_home(folder, name)} exists and is no stand-in written by this program; give another folder"
            )
    wanted = {name: {"images": count, "seed": seed, "code": _code()} for name, count in counts.items()}
    todo = [name for name in counts if manifest.get(name) != wanted[name] or not _home(folder, name).is_dir()]
    layouts = {name: LAYOUTS[name](counts[name], generator(seed, name)) for name in todo}
    total, done = sum(len(layout.images) for layout in layouts.values()), 0
    for name, layout in layouts.items():
        with replacing_folder(_home(folder, name)) as root:
            for path, text in layout.texts.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8", newline="\n")
            for image in layout.images:
                _draw(image, root, seed, name)
                done += 1
                if progress is not None:
                    progress(done, total)
            # An entry of this program's, but not yet of what is in the folder.
            _write_manifest(folder, {**manifest, name: {}})
        manifest[name] = wanted[name]
        _write_manifest(folder, manifest)
    return list(counts)


def is_standin(folder: Path, name: str) -> bool:
    """Return whether a data set in a data folder is a synthetic stand-in.

    Args:
        folder: The data folder.
        name: A name in ``training.datasets.DATASETS``.
    """
    return name in _read_manifest(folder)


def _home(folder: Path, name: str) -> Path:
    return folder / DATASETS[name].folders[0]


def _draw(image: ImageFile, root: Path, seed: int, name: str) -> None:
    file = root / image.path
    file.parent.mkdir(parents=True, exist_ok=True)
    person = generator(seed, name, "person", image.person)
    own = generator(seed, name, "own", image.own or image.path)
    Image.fromarray(np.ascontiguousarray(image.draw(person, own))).save(file, **SAVE_OPTIONS[file.suffix])


def _code() -> str:
    """Return a digest of this package's sources: images drawn by other code are not the same."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _read_manifest(folder: Path) -> dict[str, dict[str, object]]:
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))["sets"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is no list of stand-ins ({error!r}); remove it and the stand-ins beside it") from error


def _write_manifest(folder: Path, sets: Mapping[str, Mapping[str, object]]) -> None:
    """Write the note, then the list of the data sets."""
    folders = ", ".join(sorted(DATASETS[name].folders[0] for name in sets))
    write_text(folder / NOTE, NOTE_TEXT.format(folders=folders))
    write_json(folder / MANIFEST, {"sets": sets})
