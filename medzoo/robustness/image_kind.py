"""What kind of images these are: it decides which damage and which short cuts make sense."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medzoo.robustness.field_of_view import shows_eyes
from medzoo.robustness.stain import shows_stains

TISSUE, EYES, GREY, COLOUR = "tissue", "eyes", "grey", "colour"
NOTES = {
    TISSUE: "The images look like stained tissue, which fills them: the stain shift is measured, and short cuts are "
    "not looked for.",
    EYES: "The images look like eyes in a dark frame: their field of view is filled, in place of the centre.",
    GREY: "",
    COLOUR: "These are images in colour without a dark frame, whose border may show what their centre does: short cuts "
    "are not looked for unless they are named.",
}


def image_kind(images: NDArray[np.uint8]) -> str:
    """Tell the kind of some images of a data set, ``uint8 [N, H, W, C]``.

    Example:
        >>> [image_kind(np.full((2, 8, 8, 3), pixel, np.uint8)) for pixel in (90, (200, 120, 190))]
        ['grey', 'tissue']
    """
    grey = images.shape[3] == 1 or (np.ptp(images, 3) <= 8).mean((1, 2)) > 0.95
    if np.mean(grey) > 0.5:
        return GREY
    return TISSUE if shows_stains(images) else EYES if shows_eyes(images) else COLOUR
