"""Grey DICOM values -> 8 bits: modality LUT or rescale, VOI LUT or window, polarity.

Source: DICOM PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (photometric interpretation), C.7.5.1.1.2
(padding).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import InputError
from medzoo.data.pixel_formats import robust_range, stretch

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def shown(stored: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """Bring stored grey values to what a viewer would first show.

    Modality LUT or rescale; then the VOI LUT, the first window of positive width, or, where the file has neither, the
    0.5 to 99.5 percentiles of the values that are no padding; MONOCHROME1 inverted, so that bone and lung look the
    same in every file.

    Args:
        stored: ``[H, W]`` integers or floats.
        header: The file's elements, none of them present and empty.

    Returns:
        ``uint8 [H, W]``.

    Raises:
        InputError: The header contradicts itself, or values are not finite.
    """
    overlaid = _without_overlays(stored, header)
    values, window = _rescaled(overlaid, header), _window(header)
    if not np.isfinite(values).all():
        raise InputError("the image has values that are not finite numbers (NaN or infinity); export it again")
    if lut := _lut(header, "VOILUTSequence"):
        grey = stretch(_looked_up(values, *lut), 0, _full_scale(*lut))
    elif window:
        grey = _windowed(values, *window)
    else:
        grey = stretch(values, *robust_range(values, ~_padding(overlaid, header)))
    return 255 - grey if header.PhotometricInterpretation == "MONOCHROME1" else grey


def _numbers(header: Dataset, name: str) -> list[float]:
    """The values of an element; none where it is absent."""
    value = header.get(name)
    found = [float(number) for number in np.ravel([] if value is None else value) if str(number).strip()]
    if not all(map(math.isfinite, found)):
        raise InputError(f"{name} is {value}; a finite number is needed")
    return found


def _number(header: Dataset, name: str) -> float | None:
    found = _numbers(header, name)
    if len(found) > 1:
        raise InputError(f"{name} has {len(found)} values, and one is allowed")
    return found[0] if found else None


def _without_overlays(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Clear the bits above the stored ones where an old file keeps an overlay in them."""
    bits = int(header.get("BitsStored") or 0)
    tags = range(0x60000102, 0x60200102, 0x20000)  # OverlayBitPosition of groups 6000 to 601E
    position = max((int(header[tag].value or 0) for tag in tags if tag in header), default=0)
    if not bits or position < bits or stored.dtype.kind not in "iu":
        return stored
    low = stored & (2**bits - 1)
    return low if stored.dtype.kind == "u" else (low ^ 2 ** (bits - 1)) - 2 ** (bits - 1)


def _padding(stored: NDArray[Any], header: Dataset) -> NDArray[np.bool_]:
    """Which pixels stand for no measurement."""
    value, limit = _number(header, "PixelPaddingValue"), _number(header, "PixelPaddingRangeLimit")
    if value is None:
        return np.zeros(stored.shape, bool)
    ends = sorted((value, value if limit is None else limit))
    return (stored >= ends[0]) & (stored <= ends[1])


def _rescaled(stored: NDArray[Any], header: Dataset) -> NDArray[Any]:
    if lut := _lut(header, "ModalityLUTSequence"):
        return _looked_up(stored, *lut)
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    if slope == 0:
        raise InputError("RescaleSlope is 0, which makes all pixels the same; export the image again")
    if slope is None or intercept is None:  # half a rescale does nothing, in pydicom and DCMTK too
        windowed = "WindowCenter" in header or "VOILUTSequence" in header
        if (windowed and (slope or 1, intercept or 0) != (1, 0)) or (slope or 1) < 0:
            raise InputError(
                f"RescaleSlope is {slope} and RescaleIntercept {intercept}, and either needs the other; "
                "export the image again"
            )
        return stored
    return stored if (slope, intercept) == (1, 0) else stored.astype(np.float64) * slope + intercept


def _lut(header: Dataset, name: str) -> tuple[NDArray[np.int64], int, int] | None:
    """The first table of a sequence, the value its first entry is for, and the bits it claims."""
    item = next(iter(header.get(name) or []), None)
    if item is None or item.get("LUTDescriptor") is None or item.get("LUTData") is None:
        return None
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count & 0xFFFF or 2**16
    table = item.LUTData
    if isinstance(table, bytes):
        order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
        table = np.frombuffer(table, "u1" if len(table) in (count, count + 1) else f"{order}u2")
    entries = np.ravel(table).astype(np.int64)[:count]
    if len(entries) < count:
        raise InputError(f"the LUT in {name} has {len(entries)} entries where its descriptor says {count}")
    return entries, first, bits


def _looked_up(values: NDArray[Any], table: NDArray[np.int64], first: int, bits: int) -> NDArray[np.int64]:
    """Values through a table; pydicom's own wraps around where a table of 8 bits has more than 256 entries."""
    if first >= 2**15 and values.min() < 0:
        first -= 2**16  # written as unsigned, for signed values
    steps = np.rint(values).astype(np.int64) - first
    return table[np.clip(steps, 0, len(table) - 1)]


def _full_scale(table: NDArray[np.int64], first: int, bits: int) -> int:
    """The value shown white: that of the bits claimed, or of the bits used where the claim is wrong."""
    used = int(table.max()).bit_length()
    return 2 ** (bits if used == bits else max(used, 1)) - 1


def _window(header: Dataset) -> tuple[float, float, str] | None:
    """Center, width and function of the first usable window: one of width 0 is a form left blank."""
    pairs = zip(_numbers(header, "WindowCenter"), _numbers(header, "WindowWidth"), strict=False)
    center, width = next(((center, width) for center, width in pairs if width > 0), (0.0, 0.0))
    if not width:
        return None
    function = str(header.get("VOILUTFunction", "LINEAR")).strip().upper()
    return center, width, "LINEAR_EXACT" if function == "LINEAR" and width < 1 else function  # LINEAR needs 1 or more


def _windowed(values: NDArray[Any], center: float, width: float, function: str) -> NDArray[np.uint8]:
    from pydicom.dataset import Dataset
    from pydicom.pixels import apply_windowing

    # A header of its own: pydicom scales its result by the bits and slope of the file's, wrongly for a negative slope.
    header = Dataset()
    header.PhotometricInterpretation, header.BitsStored, header.PixelRepresentation = "MONOCHROME2", 8, 0
    header.WindowCenter, header.WindowWidth, header.VOILUTFunction = center, width, function
    return stretch(apply_windowing(values.astype(np.float64), header), 0, 255)
