"""The stains of tissue: haematoxylin and eosin, separated in optical density.

Source: Ruifrok & Johnston, Quantification of histochemical staining by color deconvolution, Analytical and Quantitative
Cytology and Histology 23(4), 2001 (their vectors, with DAB as the third); changing the strength of each stain: Tellez
et al., Quantifying the effects of data augmentation and stain color normalization, Medical Image Analysis 58, 2019.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Rows: the optical density of red, green and blue of haematoxylin, eosin and DAB.
VECTORS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
_DARKEST = 1 / 255  # has a density; 0 has none
_MARGIN = 8  # grey levels by which red and blue must exceed green


def shift_stains(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply the density of haematoxylin and eosin; white stays white.

    Args:
        images: ``float32 [B, 3, H, W]``, RGB in [0, 1].
        factors: ``float32 [B, 2]`` of haematoxylin and eosin; 1 changes nothing.

    Returns:
        The same shape, in [0, 1].

    Example:
        >>> tissue = torch.tensor([0.6, 0.3, 0.6]).view(1, 3, 1, 1)
        >>> shift_stains(tissue, torch.tensor([[1.5, 1.5]])).flatten().tolist()[1] < 0.3
        True
    """
    vectors = torch.tensor(VECTORS, device=images.device)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    stains = torch.einsum("bchw,cs->bshw", -images.clamp(min=_DARKEST).log(), vectors.inverse())
    scale = torch.cat([factors.to(images), torch.ones(len(images), 1, device=images.device)], 1)
    density = torch.einsum("bshw,sc->bchw", stains * scale[:, :, None, None], vectors)
    return density.neg().exp().clamp(0, 1)


def shows_stains(images: NDArray[np.uint8]) -> bool:
    """Return whether images look like tissue stained with haematoxylin and eosin: purple and pink.

    Args:
        images: ``uint8 [N, H, W, C]``, some of the data set.

    Returns:
        True where in most images most pixels that are not white have less green than red and blue.

    Example:
        >>> tissue, dark = np.full((2, 8, 8, 3), (200, 120, 190), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)
        >>> shows_stains(tissue), shows_stains(dark)
        (True, False)
    """
    if images.shape[3] != 3:
        return False
    red, green, blue = np.moveaxis(images.astype(np.int16), 3, 0)
    coloured = images.min(3) < 220
    purple = coloured & (red - green > _MARGIN) & (blue - green > _MARGIN)
    share = purple.sum((1, 2)) / np.maximum(coloured.sum((1, 2)), 1)
    return bool(np.mean(share > 0.5) > 0.5)
