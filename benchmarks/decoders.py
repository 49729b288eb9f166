"""Which decoder: Pillow (whole, draft mode, two-step resize), torchvision or libvips, on one core.

    python benchmarks/decoders.py [--data REAL_IMAGES] [--repeats 7]

Every way gives 340x224 RGB (224x224 grey for the X-ray) from the same bytes in memory; milliseconds of processor time
a file, medians, and the difference to decoding the whole file and resizing it with an antialiased bilinear filter.
libvips is measured where ``pyvips[binary]`` is installed: it is no dependency of ours.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from prepare import KINDS, make
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as vision

from medzoo.data.geometry import Geometry
from medzoo.data.image_io import decode

try:
    import pyvips  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    pyvips = None

BILINEAR = Image.Resampling.BILINEAR
Way = Callable[[bytes, Geometry], NDArray[np.uint8]]


def pillow(gap: float | None = None, draft: float | None = None) -> Way:
    """Pillow with a two-step resize, or with scaled JPEG decoding."""

    def run(data: bytes, geometry: Geometry) -> NDArray[np.uint8]:
        image = Image.open(io.BytesIO(data))
        size, mode = (geometry.width, geometry.height), "L" if geometry.channels == 1 else "RGB"
        if draft:
            image.draft(mode, (int(size[0] * draft), int(size[1] * draft)))
        return np.asarray(image.convert(mode).resize(size, BILINEAR, reducing_gap=gap))

    return run


def torchvision(data: bytes, geometry: Geometry) -> NDArray[np.uint8]:
    """torchvision's decoder and antialiased resize, on bytes."""
    raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    image = decode_image(raw, ImageReadMode.GRAY if geometry.channels == 1 else ImageReadMode.RGB)
    return vision.resize(image, [geometry.height, geometry.width], antialias=True).permute(1, 2, 0).numpy().squeeze()


def libvips(data: bytes, geometry: Geometry) -> NDArray[np.uint8]:
    """libvips' thumbnail: it shrinks while it decodes."""
    image = pyvips.Image.thumbnail_buffer(data, geometry.width, height=geometry.height, size="force")
    return image.numpy()


def ours(data: bytes, geometry: Geometry) -> NDArray[np.uint8]:
    """What the cache uses."""
    return decode(data, Geometry(geometry.height, geometry.width, "squash", geometry.channels), "", fast=True).squeeze()


WAYS: dict[str, Way] = {
    "Pillow, whole": pillow(),
    "Pillow, reducing_gap 2": pillow(gap=2),
    "Pillow, reducing_gap 3": pillow(gap=3),
    "Pillow, draft 1": pillow(draft=1),
    "Pillow, draft 2.5": pillow(draft=2.5),
    "Pillow, draft 2.5, reducing_gap 3": pillow(draft=2.5, gap=3),
    "torchvision": torchvision,
    "medzoo, fast": ours,
}
if pyvips:
    WAYS["libvips"] = libvips


def main() -> None:
    """Measure every way on every kind of file, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real images (as in MEDZOO_REAL)")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for kind, (*_, geometry, _pattern) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            files = [file.read_bytes() for file in make(kind, Path(folder), 4, options.data)]
        exact = [pillow()(data, geometry).astype(int) for data in files]
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        off: dict[str, list[NDArray[np.int_]]] = {way: [] for way in WAYS}
        for _ in range(options.repeats):
            for way, run in WAYS.items():
                for data, want in zip(files, exact, strict=True):
                    start = time.process_time()
                    got = run(data, geometry)
                    times[way].append(time.process_time() - start)
                    off[way].append(abs(got.reshape(want.shape) - want))
        print(f"{kind}\n  {'':36}{'ms':>8}{'mean off':>10}{'max off':>9}")
        for way in WAYS:
            wrong = np.concatenate([array.ravel() for array in off[way]])
            print(f"  {way:36}{1000 * statistics.median(times[way]):8.1f}{wrong.mean():10.2f}{wrong.max():9d}")


if __name__ == "__main__":
    main()
