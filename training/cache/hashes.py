"""Hash the content of a cache's images, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medzoo.contamination.image_hashes import FRAME, hashes_of
from medzoo.contamination.perceptual_hash import VERSION
from medzoo.core.atomic import replacing_file
from medzoo.data.dataset import Files
from training.cache.prepare import Cache


def cache_hashes(cache: Cache) -> NDArray[np.uint8]:
    """Hash every image, or load the hashes that an earlier call saved.

    The hashes are of whole images (``medzoo.contamination.image_hashes.FRAME``), as ``medzoo.audit`` makes them of a
    user's. A cache that holds these, such as one of X-rays at the study's size, is hashed itself; for a cache of
    centre crops or of another size the files are decoded once more. Not part of ``prepare``: only a
    weight that is published, or an audit, needs it.

    Args:
        cache: An opened cache, whose files are where they were when it was made.

    Returns:
        ``uint8 [N, 48]`` as ``medzoo.contamination.perceptual_hash.image_hash`` gives them, in the order of
        ``cache.images``.

    Raises:
        DataError: A file has to be read and cannot be.
    """
    kept = cache.folder / f"hashes-{VERSION}.npy"
    if not kept.exists():
        shape = cache.geometry
        if (shape.height, shape.width, shape.fit) == (FRAME.height, FRAME.width, FRAME.fit):
            made = hashes_of(cache)
        else:
            made = hashes_of(cache.with_images(Files(Path(cache.manifest["root"]), cache.ids)))
        with replacing_file(kept) as temporary, temporary.open("wb") as file:
            np.save(file, made)
    hashes: NDArray[np.uint8] = np.load(kept)
    return hashes
