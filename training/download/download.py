"""Download a data set: its terms first, then its files, and its folder in place only when complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from medzoo.core.download import Progress, fetch, need_room
from medzoo.core.errors import DataError, RunError
from training.datasets import DATASETS, folder
from training.download.sources import DOWNLOADS, Download, Item
from training.download.unpack import is_archive, unpack

WORK = "downloads"


def download(
    name: str,
    data: Path,
    *,
    announce: Callable[[str], None],
    keep_archives: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Fetch, verify and unpack a data set, or announce how to get it by hand.

    Files are kept in ``<data>/downloads/<name>`` until all are unpacked, so that an interrupted call can be resumed.
    The data set's own folder appears last and complete; an existing one is not touched.

    Args:
        name: A name in ``training.download.sources.DOWNLOADS``.
        data: The folder that holds the data sets; it is created.
        announce: Called with lines to show: the terms of use first, then each step.
        keep_archives: Keep the archives in ``<data>/downloads/<name>``.
        progress: Called with bytes done and bytes in all (``None`` if unknown) of the step last announced.

    Returns:
        The data set's folder.

    Raises:
        UnknownNameError: There is no such data set.
        DataError: It has to be fetched by hand (the steps have been announced), a file cannot be fetched or is not what
            is published, an archive is unsafe, or the disk is too small.
        RunError: Another process is fetching it.

    Example:
        >>> download("messidor", Path("/nowhere"), announce=lambda line: None)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        medzoo.core.errors.DataError: messidor may only be fetched by hand: follow the steps above to get ...
    """
    entry, about = DOWNLOADS[name], DATASETS[name]
    announce(f"{about.title}. Terms: {about.terms}. Cite: {about.citation}. See {about.homepage}")
    existing = folder(name, data)
    if existing is not None:
        announce(f"{existing} exists; move it away to fetch it again")
        return existing
    target = data / about.folders[0]
    if not entry.items:
        announce(steps(name, data))
        raise DataError(f"{name} may only be fetched by hand: follow the steps above to get {target}")
    work = data / WORK / name
    work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work.with_name(f".{name}.lock"), timeout=0):
            _need_all(entry, work, keep_archives)
            for number, item in enumerate(entry.items, 1):
                _fetch_item(item, work, f"{number} of {len(entry.items)}", keep_archives, announce, progress)
            (work / "set").replace(target)
            if not keep_archives:
                shutil.rmtree(work)
    except Timeout as error:
        raise RunError(f"another process is fetching {name} to {data}; wait for it or stop it") from error
    announce(f"{target} is complete")
    return target


def steps(name: str, data: Path = Path("data")) -> str:
    """List the steps to get a data set by hand: the only way for some, and for all without a connection.

    Args:
        name: A name in ``training.download.sources.DOWNLOADS``.
        data: The folder that holds the data sets.

    Returns:
        Numbered lines, the last of which is how to check the result.

    Example:
        >>> print(steps("kather2016"))
        1. Fetch https://zenodo.org/records/53169/files/Kather_texture_2016_image_tiles_5000.zip
        2. Unpack it so that its content lies in data/Kather_texture_2016_image_tiles_5000
        3. Check it: python -m training check kather2016
    """
    entry, target = DOWNLOADS[name], data / DATASETS[name].folders[0]
    lines = [line.format(folder=target.as_posix()) for line in entry.steps]
    for item in entry.items:
        lines.append(f"Fetch {item.remote.url}")
        if is_archive(item.name):
            lines.append(f"Unpack it so that its content lies in {(target / item.into).as_posix()}")
        else:
            lines.append(f"Save it as {(target / item.name).as_posix()}")
    lines.append(f"Check it: python -m training check {name}")
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def _need_all(entry: Download, work: Path, keep_archives: bool) -> None:
    """Check the disk for what is missing: unpacked, and its archives one at a time or all together."""
    sizes = [item.remote.size or 0 for item in entry.items if not _place(item, work).exists()]
    if sizes:
        archives = sum(sizes) if keep_archives else max(sizes)
        here = sum(path.stat().st_size for path in work.glob("*") if path.is_file())
        need_room(work, sum(sizes) + max(0, archives - here), entry.name)


def _place(item: Item, work: Path) -> Path:
    """Return an item's place in the folder that becomes the data set's; it exists only when complete."""
    return work / "set" / (item.into if is_archive(item.name) else item.name)


def _fetch_item(
    item: Item,
    work: Path,
    which: str,
    keep_archives: bool,
    announce: Callable[[str], None],
    progress: Progress | None,
) -> None:
    place = _place(item, work)
    if place.exists():
        return
    announce(f"{item.name} ({which}): fetching {item.remote.url}")
    file = fetch(item.remote, work / item.name, progress=progress)
    place.parent.mkdir(parents=True, exist_ok=True)
    if not is_archive(item.name):
        file.replace(place)
        return
    announce(f"{item.name} ({which}): unpacking")
    need_room(work, file.stat().st_size, f"unpacking {item.name}")
    unpack(file, place, unwrap=item.unwrap, progress=progress)
    if not keep_archives:
        file.unlink()
