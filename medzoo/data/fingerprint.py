"""What tells whether two data sets, or two images, are the same."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from medzoo.data.dataset import Examples


def fingerprint(examples: Examples) -> str:
    """A hash of what a data set holds: ids, pixels, labels and patients, in order.

    Args:
        examples: The data set.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([examples.task, examples.classes, examples.ids, examples.groups.tolist()]).encode())
    digest.update(np.ascontiguousarray(examples.targets).tobytes())
    digest.update(str(examples.images.shape).encode())
    for start in range(0, len(examples), 1024):  # they may be a memory map larger than memory
        digest.update(np.ascontiguousarray(examples.images[start : start + 1024]).tobytes())
    return digest.hexdigest()


def copies(examples: Examples, held_out: NDArray[np.bool_]) -> int:
    """How many held-out images are, pixel for pixel, among the others too.

    Args:
        examples: The data set.
        held_out: ``bool [N]``, true for a held-out image.
    """
    seen = {_digest(examples.images[row]) for row in np.flatnonzero(~held_out)}
    return sum(_digest(examples.images[row]) in seen for row in np.flatnonzero(held_out))


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
