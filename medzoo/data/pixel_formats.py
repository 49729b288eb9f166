"""Values of any allowed type and colour mode -> an 8-bit grey or RGB image; the rules of the input contract.

- **Colours.** Palette, CMYK, YCbCr and 1-bit images become RGB or grey. Alpha is dropped, as ``convert("RGB")`` does
  everywhere in the field: the stored colour is what was measured. Colour profiles are not applied.
- **Depth.** Values are scaled by the whole range of the bits that the header states (12 in a 12-bit TIFF), else of
  the type, keeping the high byte, so that two images of one data set stay comparable. An image that leaves the two
  top bits unused, but for a marker burnt in, is 12- or 14-bit data and would come out nearly black: it is refused,
  with the factor to multiply it by.
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
_TAIL = 0.5  # percent of the values, at either end, that a robust range leaves out (as nnU-Net clips CT)
_SAMPLE = 2**20  # values that percentiles are taken of, evenly spaced


def from_array(values: NDArray[Any] | torch.Tensor) -> Image.Image:
    """Make an image of an array or tensor.

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
        array = _channels_last(values, channels_first=False)
    elif hasattr(values, "detach"):  # a tensor, recognised without importing torch
        tensor = values.detach().cpu()
        floats = tensor.float() if tensor.is_floating_point() else tensor  # NumPy has no bfloat16
        array = _channels_last(floats.numpy(), channels_first=True)
    else:
        raise InputError(f"cannot read a {type(values).__name__}; give a path, a PIL image, an array or a tensor")
    if array.ndim == 3:
        array = array[..., 0] if array.shape[2] == 1 else array[..., :3]
    return Image.fromarray(np.ascontiguousarray(_to_bytes(array)))


def plain(image: Image.Image, bits: int = 8) -> Image.Image:
    """Convert an image to mode L or RGB, 8 bits a channel.

    Args:
        image: A loaded image of any mode.
        bits: Bits of a value in its file: Pillow keeps the high byte alone of deep colour, and does not scale 12 bits.

    Returns:
        The image itself where it is L or RGB, else a converted copy.

    Raises:
        InputError: Its mode or its values cannot be brought to 8 bits correctly.
    """
    mode = image.mode
    if mode == "F":
        return from_array(np.asarray(image))
    if mode.startswith("I"):
        return Image.fromarray(_from_integers(np.asarray(image), bits))
    if mode in ("1", "LA"):
        image = image.convert("L")
    elif mode in ("RGBA", "RGBX", "CMYK", "YCbCr", "HSV"):
        image = image.convert("RGB")
    elif mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA").convert("RGB")  # by way of RGBA: a palette's alpha is dropped without a warning
    elif mode not in ("L", "RGB"):
        raise InputError(f"colour mode {mode} is not supported; convert the image to RGB or grey first")
    if bits > 8:
        refuse_dark(np.asarray(image), bits)
    return image


def stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Scale values so that ``low`` is black and ``high`` white.

    Args:
        values: Numbers of any shape.
        low: Shown as 0, as is anything below it.
        high: Shown as 255, as is anything above it.

    Returns:
        ``uint8`` of the same shape.
    """
    scaled = (values.astype(np.float64) - low) * (255 / max(high - low, 1e-12))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def robust_range(values: NDArray[Any], inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the 0.5 and 99.5 percentiles, which a few extreme pixels do not move.

    Args:
        values: Numbers of any shape.
        inside: Which of them count; all where none does.

    Returns:
        Low and high; the least and the greatest value where the percentiles are one number.

    Source:
        Isensee et al. 2021, nnU-Net, Nature Methods 18, 203 (clipping of CT intensities).
    """
    chosen = values[inside] if inside.any() else values.ravel()
    low, high = np.percentile(chosen[:: max(1, chosen.size // _SAMPLE)], (_TAIL, 100 - _TAIL))
    return (float(low), float(high)) if high > low else (float(chosen.min()), float(chosen.max()))


def refuse_dark(values: NDArray[Any], bits: int) -> None:
    """Refuse values that leave the two top bits of their range unused, but for a marker burnt in.

    Args:
        values: ``uint16``, or the high byte alone (``uint8``) of values of more bits.
        bits: Bits of a value in the file.

    Raises:
        InputError: They would come out nearly black.
    """
    lost = bits - 8 if values.dtype == np.uint8 else 0  # low bits that are not here
    limit, full = 2 ** (bits - lost - 2), 2 ** (bits - lost) - 1
    bright, saturated = int(np.count_nonzero(values >= limit)), int(np.count_nonzero(values >= full))
    # Markers are a few pixels of any value, or any number of the highest one.
    if bright - saturated > _TAIL / 100 * (values.size - saturated) or saturated == values.size:
        return
    top = (int(values[values < limit].max()) + bool(lost) << lost) - bool(lost)
    if top == 0 or (lost and bright and top < 2**lost):
        return  # black, or black and white
    used = max(top.bit_length(), 1)
    raise InputError(
        f"{bits}-bit image with values only up to {top}{' but for a marker' if bright else ''}: {used}-bit data would "
        f"come out nearly black; multiply it by {2 ** (bits - used)}, or scale it to 8 bits"
    )


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
        return _high_byte(values, 16)
    if kind == "f":
        return _from_floats(values)
    raise InputError(f"values of type {values.dtype}; allowed: uint8, uint16, bool, or floats in [0, 1]")


def _from_integers(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """A Pillow image of integers: 16 bits, or 32 bits that hold 16."""
    bits = bits if 8 < bits < 16 else 16
    low, high = int(values.min()), int(values.max())
    if not 0 <= low <= high < 2**bits:
        raise InputError(f"integers from {low} to {high}; allowed: 0 to {2**bits - 1}. Rescale the image first")
    return _high_byte(values.astype(np.uint16), bits)


def _high_byte(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    refuse_dark(values, bits)
    return (values >> (bits - 8)).astype(np.uint8)


def _from_floats(values: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())  # NaN anywhere makes both NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("the image has values that are not finite numbers (NaN or infinity); clean it first")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        hint = "give it before normalisation" if low < 0 else "divide by the full range, or give uint8 or uint16"
        raise InputError(f"float values from {low:.4g} to {high:.4g}; allowed: [0, 1] ({hint})")
    return np.rint(np.clip(values.astype(np.float64), 0, 1) * 255).astype(np.uint8)
