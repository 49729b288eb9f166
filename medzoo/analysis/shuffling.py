"""Shuffled tiles: the score of a network without the layout of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medzoo.analysis.compatibility import InapplicableError
from medzoo.engine.loader import Loader, batch_slices
from medzoo.metrics import Estimate
from medzoo.models.info import Model


@dataclass(frozen=True)
class Shuffled:
    """A network's scores on images cut into k x k tiles.

    Attributes:
        network: ``"before"`` or ``"after"``.
        metric: The metric of the scores.
        tiles: The k of each score; 1 is the image as it is.
        scores: The scores.
    """

    network: str
    metric: str
    tiles: tuple[int, ...]
    scores: tuple[Estimate, ...]


def tile_orders(count: int, tiles: int, seed: int) -> Tensor:
    """Draw an order of tiles for each of some images.

    Args:
        count: Number of images, N.
        tiles: Tiles along each side, k.
        seed: The same seed, count and k give the same orders.

    Returns:
        ``int64 [N, k * k]``: which tile goes to each place.
    """
    rng = np.random.default_rng([seed, tiles])
    return torch.from_numpy(rng.permuted(np.tile(np.arange(tiles * tiles), (count, 1)), axis=1))


def shuffle_tiles(images: Tensor, orders: Tensor) -> Tensor:
    """Cut images into k x k equal tiles and put each tile in another place.

    Where a side is not a multiple of k, the tiles cover the middle, and less than k pixels at the edges stay.

    Args:
        images: ``[N, C, H, W]`` of any type.
        orders: ``int64 [N, k * k]``, as ``tile_orders`` gives.

    Returns:
        The same shape and the same pixels, in other places.

    Raises:
        InapplicableError: The images are smaller than k pixels.

    Example:
        >>> image = torch.arange(16).reshape(1, 1, 4, 4)
        >>> shuffle_tiles(image, torch.tensor([[3, 1, 2, 0]]))[0, 0].tolist()
        [[10, 11, 2, 3], [14, 15, 6, 7], [8, 9, 0, 1], [12, 13, 4, 5]]

    Source:
        Neyshabur, Sedghi, Zhang, "What is being transferred in transfer learning?", NeurIPS 2020, section 3.1.
    """
    count, channels, height, width = images.shape
    tiles = round(orders.shape[1] ** 0.5)
    h, w = height // tiles, width // tiles
    if not h or not w:
        raise InapplicableError(f"images of {height}x{width} cannot be cut into {tiles}x{tiles} tiles; give fewer")
    top, left = (height - h * tiles) // 2, (width - w * tiles) // 2
    inside = (..., slice(top, top + h * tiles), slice(left, left + w * tiles))
    cut = images[inside].reshape(count, channels, tiles, h, tiles, w).permute(0, 2, 4, 1, 3, 5)
    flat = cut.reshape(count, tiles * tiles, -1)
    moved = flat.gather(1, orders.to(images.device)[:, :, None].expand_as(flat)).reshape(cut.shape)
    out = images.clone()
    out[inside] = moved.permute(0, 3, 1, 4, 2, 5).reshape(count, channels, h * tiles, w * tiles)
    return out


@torch.inference_mode()
def shuffled_logits(model: Model, loader: Loader, rows: Tensor, tiles: int, seed: int, batch_size: int) -> Tensor:
    """Compute the logits of a model in evaluation mode for normalised images with shuffled tiles.

    Args:
        model: Maps normalised images to logits.
        loader: The images.
        rows: ``int64 [n]`` image numbers, on the CPU.
        tiles: Tiles along each side, k.
        seed: Which orders.
        batch_size: Images at a time.

    Returns:
        ``float32 [n, C]`` on the CPU.
    """
    orders = tile_orders(len(rows), tiles, seed)
    parts = batch_slices(len(rows), batch_size)
    return torch.cat([model(shuffle_tiles(loader.batch(rows[part]), orders[part])).float().cpu() for part in parts])
