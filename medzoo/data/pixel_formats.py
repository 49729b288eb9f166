"""Values of any allowed type and colour mode -> an 8-bit grey or RGB picture; the rules of the input contract.

- **Colours.** Palette, CMYK, YCbCr and 1-bit images become RGB or grey. Alpha is dropped, as ``convert("RGB")`` does
  everywhere in the field: the stored colour is what was measured. Colour profiles are not applied.
- **Depth.** 16 bits are scaled by the whole range of the type, keeping the high byte, so that two images of one data
  set stay comparable. An image that leaves its two top bits unused is 12- or 14-bit data and would come out nearly
  black: it is refused, with the way to mend it.
- **Floats** must lie in [0, 1]; anything else is refused, never guessed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medzoo.core.errors import InputError

if TYPE_CHECKING:
    import torch

_ROUNDING = 1e-3  # floats this far outside [0, 1] (a quarter of a grey level) come from rounding
_CHANNELS = (1, 3, 4)


def from_array(values: NDArray[Any] | torch.Tensor) -> Image.Image:
    """Make a picture of an array or tensor.

    Args:
        values: HW, HWC or CHW with 1, 3 or 4 channels; ``uint8`` (0 to 255), ``uint16`` (0 to 65535), ``bool`` or
            floats in [0, 1]. Where both the first and the last axis could be channels, a tensor is CHW and an
            array is refused.

    Returns:
        An image of mode L or RGB.

    Raises:
        InputError: An empty image, an impossible shape or type, or values outside their range.

    Example:
        >>> from_array(np.full((3, 20, 40), 0.5)).getpixel((0, 0))
        (128, 128, 128)
    """
    if isinstance(values, np.ndarray):
        eight = _to_bytes(_channels_last(values, channels_first=False))
    elif hasattr(values, "detach"):  # a tensor, told without importing torch
        tensor = values.detach().cpu()
        floats = tensor.float() if tensor.is_floating_point() else tensor  # NumPy has no bfloat16
        eight = _to_bytes(_channels_last(floats.numpy(), channels_first=True))
    else:
        raise InputError(f"cannot read a {type(values).__name__}; give a path, a PIL image, an array or a tensor")
    if eight.ndim == 3:
        eight = eight[..., 0] if eight.shape[2] == 1 else eight[..., :3]
    return Image.fromarray(np.ascontiguousarray(eight))


def plain(image: Image.Image) -> Image.Image:
    """The same picture in mode L or RGB, 8 bits a channel.

    Args:
        image: A loaded image of any mode.

    Returns:
        The image itself where it is L or RGB, else a converted copy.

    Raises:
        InputError: Its mode or its values cannot be brought to 8 bits correctly.
    """
    mode = image.mode
    if mode in ("L", "RGB"):
        return image
    if mode in ("1", "LA"):
        return image.convert("L")
    if mode in ("RGBA", "RGBX", "CMYK", "YCbCr", "HSV"):
        return image.convert("RGB")
    if mode in ("P", "PA", "RGBa"):
        return image.convert("RGBA").convert("RGB")  # by way of RGBA: a palette's alpha is dropped without a warning
    if mode == "F" or mode.startswith("I;16"):
        return from_array(np.asarray(image))
    if mode == "I":  # Pillow's older and rarer home of 16 bits
        low, high = image.getextrema()
        if not 0 <= low <= high <= 65535:  # type: ignore[operator]  # one channel: two numbers
            raise InputError(f"32-bit integers from {low} to {high}; allowed: 8 or 16 bits. Rescale the image first")
        return from_array(np.asarray(image).astype(np.uint16))
    raise InputError(f"colour mode {mode} is not supported; convert the image to RGB or grey first")


def _channels_last(values: NDArray[Any], channels_first: bool) -> NDArray[Any]:
    if values.ndim not in (2, 3) or values.size == 0:
        raise InputError(f"shape {values.shape} is not one image; allowed: HW, HWC or CHW with 1, 3 or 4 channels")
    if values.ndim == 2:
        return values
    first, last = values.shape[0] in _CHANNELS, values.shape[2] in _CHANNELS
    if first and last and not channels_first:
        raise InputError(f"shape {values.shape} could be HWC or CHW; give a PIL image, or a tensor (read as CHW)")
    if not first and not last:
        raise InputError(f"shape {values.shape} has no axis of 1, 3 or 4 channels; allowed: HW, HWC or CHW")
    return np.moveaxis(values, 0, 2) if first else values


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values of an allowed type and range as 0 to 255."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size == 1:
        return values
    if kind == "u" and size == 2:
        return _high_byte(values)
    if kind == "f":
        return _from_floats(values)
    raise InputError(f"values of type {values.dtype}; allowed: uint8, uint16, bool, or floats in [0, 1]")


def _high_byte(values: NDArray[Any]) -> NDArray[np.uint8]:
    top = int(values.max())
    if 0 < top < 2**14:
        bits = top.bit_length()
        raise InputError(
            f"16-bit image with values only up to {top}: {bits}-bit data would come out nearly black; "
            f"multiply it by {2 ** (16 - bits)}, or scale it to 8 bits"
        )
    return (values >> 8).astype(np.uint8)


def _from_floats(values: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())  # NaN anywhere makes both NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("the image has values that are not finite numbers (NaN or infinity); clean it first")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        hint = "give it before normalisation" if low < 0 else "divide by the full range, or give uint8 or uint16"
        raise InputError(f"float values from {low:.4g} to {high:.4g}; allowed: [0, 1] ({hint})")
    return np.rint(np.clip(values.astype(np.float64), 0, 1) * 255).astype(np.uint8)
