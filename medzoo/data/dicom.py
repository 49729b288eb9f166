"""One DICOM file -> the 8-bit picture that a viewer would show (needs the extra ``dicom``)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medzoo.core.errors import DataError, InputError, RunError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def pixels(data: bytes) -> NDArray[np.uint8]:
    """Decode a single-frame DICOM image as a viewer would first show it.

    Grey: modality LUT (rescale slope and intercept), then the file's first window or VOI LUT, or the image's own
    range where it has neither; MONOCHROME1 inverted so that bone and lung look the same in every file.

    Args:
        data: The file's content.

    Returns:
        ``uint8 [H, W]`` (grey) or ``uint8 [H, W, 3]`` (colour).

    Raises:
        RunError: pydicom is not installed.
        DataError: The file is broken, or compressed in a way that needs another plugin.
        InputError: It holds no image, or more than one frame.

    Source:
        DICOM PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (photometric interpretation).
    """
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
        from pydicom.pixels import apply_color_lut
    except ImportError as error:
        raise RunError("reading DICOM needs pydicom: pip install 'medzoo[dicom]'") from error
    try:
        file = pydicom.dcmread(io.BytesIO(data))
    except InvalidDicomError as error:
        raise DataError("not a DICOM file, in spite of its name; rename it to what it is") from error
    if "PixelData" not in file:
        raise InputError("the DICOM file holds no image (no PixelData)")
    if int(file.get("NumberOfFrames") or 1) != 1:
        raise InputError(
            f"the DICOM file holds {file.NumberOfFrames} frames; export the one wanted as a file of its own"
        )
    try:
        values = file.pixel_array
    except (RuntimeError, NotImplementedError) as error:  # pydicom's way of saying that a codec is missing
        syntax = file.file_meta.TransferSyntaxUID.name
        raise DataError(
            f"cannot decode {syntax}; pip install 'pylibjpeg[all]', or decompress the file first"
        ) from error
    except (ValueError, AttributeError, LookupError, EOFError) as error:
        raise DataError(f"broken or truncated DICOM ({error}); fetch it again or leave it out") from error
    if file.PhotometricInterpretation == "PALETTE COLOR":
        return _stretch(apply_color_lut(values, file)[..., :3], 0, 255 if values.dtype == np.uint8 else 65535)
    if values.ndim == 3:
        return _stretch(values, 0, 2 ** int(file.BitsStored) - 1)
    grey = _stretch(*_windowed(values, file))
    return 255 - grey if file.PhotometricInterpretation == "MONOCHROME1" else grey


def _windowed(values: NDArray[Any], file: Dataset) -> tuple[NDArray[Any], float, float]:
    """Grey values after the file's LUTs, with the values shown as black and white."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    values = apply_modality_lut(values, file)
    if "VOILUTSequence" in file:
        bits = int(file.VOILUTSequence[0].LUTDescriptor[2])
        return apply_voi_lut(values, file), 0, 2**bits - 1
    if "WindowCenter" in file:
        # The window's two ends, found by sending values far outside it through the same function.
        center, width = np.ravel(file.WindowCenter)[0], np.ravel(file.WindowWidth)[0]
        ends = apply_voi_lut(np.array([[center - 20 * width, center + 20 * width]], dtype=np.float64), file)
        return apply_voi_lut(values.astype(np.float64), file), float(ends[0, 0]), float(ends[0, 1])
    return values, float(values.min()), float(values.max())


def _stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Values from ``low`` (black) to ``high`` (white) as 0 to 255."""
    scaled = (values.astype(np.float64) - low) * (255 / max(high - low, 1e-12))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
