"""A tree of folders with the images in them, made from relative paths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from medzoo.data.normalize import some

_SHOWN = 6


@dataclass
class Folder:
    """A folder with the images that lie in it directly and the folders below it."""

    path: str = ""
    images: list[str] = field(default_factory=list)
    below: dict[str, Folder] = field(default_factory=dict)

    def all_images(self) -> Iterable[str]:
        """Iterate over the images at any depth."""
        yield from self.images
        for folder in self.below.values():
            yield from folder.all_images()

    @property
    def filled(self) -> dict[str, Folder]:
        """The folders below that hold an image at any depth."""
        return {name: folder for name, folder in self.below.items() if any(True for _ in folder.all_images())}


def build(images: Iterable[str], folders: Iterable[str] = ()) -> Folder:
    """Return the tree of some relative paths."""
    root = Folder()
    known = {"": root}

    def folder(path: str) -> Folder:
        if path not in known:
            above, _, name = path.rpartition("/")
            known[path] = folder(above).below[name] = Folder(path)
        return known[path]

    for path in folders:
        folder(path)
    for image in images:
        folder(image.rpartition("/")[0]).images.append(image)
    return root


def format_tree(root: Folder) -> str:
    """Return the first two levels of a tree in one line.

    Example:
        >>> format_tree(build(["train/ill/1.png", "train/well/2.png", "docs/3.png"]))
        'docs (1 image), train/{ill, well}'
    """

    def one(name: str, folder: Folder) -> str:
        if folder.filled:
            return f"{name}/{{{some(sorted(folder.filled), _SHOWN)}}}"
        count = sum(1 for _ in folder.all_images())
        return f"{name} ({count:,} image{'s' * (count != 1)})" if count else f"{name} (no image)"

    tops = [one(name, folder) for name, folder in sorted(root.below.items())]
    return some(tops, _SHOWN) + (f", and {len(root.images):,} images beside them" if root.images else "")
