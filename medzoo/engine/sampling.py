"""The images of each training step, determined by seed and epoch alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medzoo.engine.augment import uniform


@dataclass(frozen=True)
class BatchIndices:
    """Indices of the images of one step or chunk.

    Attributes:
        index: ``int64 [B]`` image numbers.
        epoch: ``int64 [B]`` how often each image was drawn before; with the image number it seeds the augmentation.
    """

    index: Tensor
    epoch: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def split(self, parts: int) -> list[BatchIndices]:
        """Split into parts that differ in size by one image at most."""
        pairs = zip(self.index.tensor_split(parts), self.epoch.tensor_split(parts), strict=True)
        return [BatchIndices(index, epoch) for index, epoch in pairs]


class Sampler:
    """Sample batches; an epoch has as many images as the sources together.

    Args:
        sources: For each source, ``int64 [n]`` its training images. With one source, or ``balanced=False``, every
            image comes once an epoch. Balanced over several, each source gives the same number of images to an
            epoch: a small one is gone through several times, a large one over several epochs, and
            no image comes a second time before all of its source came once.
        batch_size: Images a step. Steps differ in size by one image at most, so that no tiny last batch upsets batch
            normalisation.
        seed: The run's seed.
        balanced: Balance the sources.

    Example:
        >>> sampler = Sampler([torch.arange(33)], 16, seed=0)
        >>> [len(draw) for draw in sampler.epoch(0)]
        [17, 16]
    """

    def __init__(self, sources: Sequence[Tensor], batch_size: int, seed: int, balanced: bool = False) -> None:
        self.sources = list(sources) if balanced else [torch.cat(list(sources))]
        self.total = sum(map(len, sources))
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        """The number of steps of an epoch."""
        # Never a step of one image, which batch normalisation cannot work on.
        return max(1, min(round(self.total / self.batch_size), self.total // 2))

    def epoch(self, epoch: int) -> list[BatchIndices]:
        """Return the batches of one epoch."""
        share, over = divmod(self.total, len(self.sources))
        sizes = [share + (number < over) for number in range(len(self.sources))]
        drawn = [self._stream(rows, epoch * size, size) for rows, size in zip(self.sources, sizes, strict=True)]
        index, epochs = torch.cat([d.index for d in drawn]), torch.cat([d.epoch for d in drawn])
        # Ordered by a draw of their own, not by the streams' positions, so that the sources are mixed.
        order = uniform(self.seed + 1, epochs, index, draws=1)[:, 0].argsort(stable=True)
        return BatchIndices(index[order], epochs[order]).split(len(self))

    def _stream(self, rows: Tensor, start: int, count: int) -> BatchIndices:
        """Return a part of an endless sequence of shuffled passes over ``rows``."""
        first, last = start // len(rows), (start + count - 1) // len(rows)
        numbers = range(first, last + 1)
        passes = [rows[uniform(self.seed, epoch, rows, draws=1)[:, 0].argsort(stable=True)] for epoch in numbers]
        epochs = torch.tensor(numbers).repeat_interleave(len(rows))
        offset = start - first * len(rows)
        part = slice(offset, offset + count)
        return BatchIndices(torch.cat(passes)[part], epochs[part])
