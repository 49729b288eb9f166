"""The options of reading images, in one place: whatever decodes takes them and passes them on."""

from __future__ import annotations

from dataclasses import dataclass

from medzoo.core.errors import InputError


@dataclass(frozen=True)
class ReadOptions:
    """How files are read that hold several images, a very large one, or none that can be read.

    Attributes:
        page: Which page of a TIFF, frame of an animation or frame of a DICOM file is read, counted from 1; by default
            a file of several is refused, as it does not say which one is meant.
        max_pixels: The largest width x height that is decoded; by default Pillow's ``MAX_IMAGE_PIXELS``, 89 million.
        skip_unreadable: Whether images of a set that cannot be read are left out, and named; else they are an error.

    Example:
        >>> ReadOptions(page=2)
        ReadOptions(page=2, max_pixels=None, skip_unreadable=False)
    """

    page: int | None = None
    max_pixels: int | None = None
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        for name, value in (("page", self.page), ("max_pixels", self.max_pixels)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InputError(f"{name} is {value!r}; give a whole number from 1, or leave it out")

    def choose(self, count: int, kind: str) -> int:
        """Choose one of the images in a file.

        Args:
            count: How many the file holds.
            kind: What they are called: ``"pages"`` or ``"frames"``.

        Returns:
            Its index, counted from 0.

        Raises:
            InputError: There are several and none is chosen, or fewer than the one chosen.
        """
        if self.page is None:
            if count > 1:
                raise InputError(
                    f"the file holds {count} {kind}; choose one (page=1 is the first), or save it as a file of its own"
                )
            return 0
        if self.page > count:
            raise InputError(f"page {self.page} is asked for, and the file holds {count}")
        return self.page - 1


DEFAULT = ReadOptions()
