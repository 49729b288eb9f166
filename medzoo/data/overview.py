"""A data set -> what a reader must know of it before any work: counts, sizes, what was left out, what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from medzoo.core.progress import say, show
from medzoo.data.class_shortcuts import find_shortcuts
from medzoo.data.dataset import Examples, ImageDataset, Lazy
from medzoo.data.decoding import Images
from medzoo.data.file_headers import Header, read_headers, spread
from medzoo.data.file_types import DOCUMENTS
from medzoo.data.image_checks import check_images
from medzoo.data.normalize import some
from medzoo.data.scan import NO_ENDING, find_masks, left_out
from medzoo.data.splits import SPLITS

READ = 50  # headers that are read before a run: all in all some hundredths of the time of decoding small images
_CLASSES = 30  # classes that are listed
_IMAGES = "no label", "uncertain"  # reasons in ``skipped`` that count images, not files


@dataclass(frozen=True)
class Overview:
    """What was found in a data set; ``str()`` of it is what the commands print first.

    Attributes:
        name: The data set's name.
        task: What its labels are; empty where none were read.
        images: How many.
        counts: Images of each class.
        splits: Images of each part of the data's own split, ``""`` for those in none; empty where it has none.
        patients: How many are known; ``None`` where none is.
        without_patient: Images whose patient is not known, where others' are.
        read: Images whose header was read: all, or some evenly spread over a large set.
        sizes: Width and height of the smallest, median and largest image (by area) among these.
        modes: The kinds of their pixels, such as ``grey`` or ``RGB``, with counts.
        paged: Files of several pages or frames among these.
        page: Which page or frame is read, as asked for.
        masks: Images that by their names are masks of others, and are taken as images all the same.
        skipped: What was left out, by ending, folder or reason, with counts (as in ``ImageDataset``).
        notes: What was assumed.
        warnings: What looks wrong.
    """

    name: str
    task: str
    images: int
    counts: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    patients: int | None = None
    without_patient: int = 0
    read: int = 0
    sizes: Sequence[Sequence[int]] = ()
    modes: Mapping[str, int] = field(default_factory=dict)
    paged: int = 0
    page: int | None = None
    masks: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n  ".join([f"{self.name}: {_images(self.images)}{self._classes()}", *self.lines()])

    def lines(self) -> list[str]:
        """Return everything but the first line, for a reader."""
        lines = []
        if self.task:
            lines.append(f"split: {_listed(self.splits, 'in none') or 'none of its own'}")
            unknown = f"; not known of {self.without_patient:,} images" if self.without_patient else ""
            lines.append(f"patients: {'not known' if self.patients is None else f'{self.patients:,}{unknown}'}")
        if self.read:
            sample = f" (of {self.read:,} of {self.images:,} files)" if self.read < self.images else ""
            lines.append(f"size: {self._size()}; pixels: {self._modes()}{sample}")
        if self.paged:
            page = "none is chosen (page)" if self.page is None else f"number {self.page} of each is read"
            lines.append(f"files of several pages or frames: {self.paged:,}; {page}")
        files = {name: count for name, count in self.skipped.items() if name not in (*DOCUMENTS, *_IMAGES)}
        if files:
            count = sum(files.values())
            lines.append(f"left out: {count:,} file{'s' * (count != 1)}: {_listed(files)}")
        if "uncertain" in self.skipped:
            lines.append(f"left out as uncertain: {_images(self.skipped['uncertain'])}")
        if "no label" in self.skipped:
            lines.append(f"without any label: {_images(self.skipped['no label'])}")
        told = left_out({name: count for name, count in self.skipped.items() if name[0] == "." or name == NO_ENDING})
        lines += [f"note: {note}" for note in self.notes if note not in told]
        return lines + [f"warning: {warning}" for warning in self.warnings]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON; ``Overview(**values)`` is the same again."""
        return asdict(self)

    def _classes(self) -> str:
        if not self.task:
            return ""
        named = some((f"{name} {count:,}" for name, count in self.counts.items()), _CLASSES)
        return f", {self.task}, {len(self.counts):,} class{'es' * (len(self.counts) != 1)}: {named}"

    def _size(self) -> str:
        sizes = [f"{width:,} x {height:,}" for width, height in self.sizes]
        if sizes[0] == sizes[-1]:
            return sizes[0]
        return f"{sizes[0]} to {sizes[2]}, median {sizes[1]}"

    def _modes(self) -> str:
        return next(iter(self.modes)) if len(self.modes) == 1 else _listed(self.modes)


def overview_of(data: ImageDataset[Images], headers: Sequence[Header] | None = None) -> Overview:
    """Describe a data set without decoding an image.

    Args:
        data: The data set.
        headers: Those of some images; by default read of at most 50, evenly spread.

    Example:
        >>> data = ImageDataset("cats", [np.zeros((20, 30), np.uint8)], ("1",), np.ones((1, 1)), ("cat",), "multiclass")
        >>> print(overview_of(data))
        cats: 1 image, multiclass, 1 class: cat 1
          split: none of its own
          patients: not known
          size: 30 x 20; pixels: uint8 array
    """
    headers = headers_of(data, READ) if headers is None else headers
    areas = sorted((header.width * header.height, header.width, header.height) for header in headers)
    known = np.array([], str) if data.patients is None else data.patients[data.patients != ""]
    masks = len(find_masks(data.ids))
    paged = sum(header.pages > 1 for header in headers)
    return Overview(
        name=data.name,
        task=data.task if data.classes else "",
        images=len(data),
        counts=data.counts(),
        splits=_splits(data),
        patients=len(np.unique(known)) if len(known) else None,
        without_patient=len(data) - len(known) if len(known) else 0,
        read=len(headers),
        sizes=tuple(areas[place][1:] for place in (0, len(areas) // 2, -1)) if areas else (),
        modes=dict(Counter(header.mode for header in headers).most_common()),
        paged=paged,
        page=data.reading.page,
        masks=masks,
        skipped=dict(data.skipped),
        notes=data.notes,
        warnings=(
            *((f"{masks:,} images are masks of others by their names, and are taken as images",) if masks else ()),
            *find_shortcuts(headers, data.targets[[header.row for header in headers]], data.classes),
        ),
    )


def headers_of(data: ImageDataset[Images], most: int) -> list[Header]:
    """Read the headers of at most so many images, evenly spread; of none where reading twice costs much."""
    if isinstance(data.images, Lazy) and data.images.once:
        return []
    return read_headers(data.images, spread(len(data), most), data.reading)


def announce(data: ImageDataset[Images]) -> Overview | None:
    """Print the overview of a data set on stderr before any work.

    Args:
        data: The data set; of one that is decoded already nothing is printed: its owner has seen it.

    Returns:
        What was printed.
    """
    if isinstance(data.images, np.ndarray):
        return None
    found = overview_of(data)
    show(str(found))
    return found


def flag(examples: Examples, overview: Overview | None) -> tuple[Examples, Overview | None]:
    """Say on stderr, before training, which images were left out and which look wrong.

    Args:
        examples: The decoded images.
        overview: What was printed of them; where nothing was, nothing is looked at.

    Returns:
        The examples with a note for each kind, which names no image, and the overview with the warnings.
    """
    if overview is None:
        return examples, None
    name_unreadable(examples)
    warnings = check_images(examples.images, examples.ids)
    for warning in warnings:
        say(f"warning: {warning}")
    notes = (*examples.notes, *(f"Before training: {warning.what}." for warning in warnings))
    found = replace(overview, warnings=(*overview.warnings, *map(str, warnings)), skipped=dict(examples.skipped))
    return replace(examples, notes=notes), found


def name_unreadable(data: ImageDataset[Images]) -> None:
    """Name on stderr, with the reason, each image that was left out as it cannot be read."""
    for _, reason in data.unreadable:
        say(f"left out: {reason}")


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"


def _splits(data: ImageDataset[Images]) -> dict[str, int]:
    if data.splits is None:
        return {}
    found = {split: int((data.splits == split).sum()) for split in (*SPLITS, "")}
    return {split: count for split, count in found.items() if count}


def _listed(counts: Mapping[str, int], empty: str = "") -> str:
    """Counts with their names, in order."""
    return ", ".join(f"{name or empty} {count:,}" for name, count in counts.items())
