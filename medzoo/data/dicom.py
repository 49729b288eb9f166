"""One DICOM file -> the 8-bit image that a viewer would show (needs the extra ``dicom``)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medzoo.core.errors import DataError, InputError, MedzooError, RunError
from medzoo.data import dicom_grey
from medzoo.data.library_warnings import logged_warnings
from medzoo.data.pixel_formats import refuse_dark, stretch
from medzoo.data.read_options import DEFAULT, ReadOptions

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NEEDED = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
# Elements that are read here or by pydicom's decoders. One that is present and empty is dropped: it says nothing.
_USED = (
    *_NEEDED,
    *("PlanarConfiguration", "NumberOfFrames", "HighBit", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("BitsStored", "PixelRepresentation", "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelPresentation"),
)
# In an enhanced (multi-frame) file these stand in sequences, once for all frames or for each.
_GROUPED = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def is_dicom(data: bytes, name: str = "") -> bool:
    """Return whether bytes are a DICOM file: by its mark, its name, or a first element of group 0002 or 0008.

    Args:
        data: The file's content.
        name: The file's name.
    """
    marked = data[128:132] == b"DICM" or name.lower().endswith((".dcm", ".dicom"))
    return marked or data[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08")  # files of old archives have no preamble


def pixels(data: bytes, options: ReadOptions = DEFAULT) -> NDArray[np.uint8]:
    """Decode one frame of a DICOM file as a viewer would first show it.

    Colour is converted to RGB; grey goes through ``medzoo.data.dicom_grey``.

    Args:
        data: The file's content, with or without preamble and file meta information.
        options: Which frame, where there are several, and the largest size allowed.

    Returns:
        ``uint8 [H, W]`` (grey) or ``uint8 [H, W, 3]`` (colour).

    Raises:
        RunError: pydicom is not installed.
        DataError: The file is broken, or compressed in a way that needs another decoder.
        InputError: It holds no image, several frames, or values that its header does not explain.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise RunError("reading DICOM needs pydicom: pip install 'medzoo[dicom]'") from error
    with _data_errors():
        file = _parse(data)
        frame = options.choose(int(file.get("NumberOfFrames", 1)), "frames")
        _check_size(file, options)
        stored = _decode(file, frame)
        with logged_warnings():
            header = _of_frame(file, frame)
        return _shown(stored, header)


@contextmanager
def _data_errors() -> Iterator[None]:
    """Turn whatever a header's wrong value or a decoder raises into one error."""
    try:
        yield
    except (MedzooError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"broken DICOM ({_one_line(error)}); export it again or leave it out") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:240] or type(error).__name__


def _parse(data: bytes) -> Dataset:
    """Read the elements, with a transfer syntax where the file does not name one and without empty elements."""
    import pydicom

    no_dicom = DataError("not a DICOM file, in spite of its name; rename it to what it is")
    marked = data[128:132] == b"DICM"
    with logged_warnings():
        try:
            file = pydicom.dcmread(io.BytesIO(data), force=True)
        except Exception as error:
            if marked:
                raise
            raise no_dicom from error
        if not marked and "SOPClassUID" not in file and "Rows" not in file:
            raise no_dicom
        if not any(name in file for name in _PIXELS):
            raise InputError("the DICOM file holds no image (no PixelData)")
        for name in _USED:
            if name in file and _is_empty(file[name]):
                delattr(file, name)
        for name in _NEEDED:
            if name not in file:
                raise DataError(f"broken DICOM (its header states no {name}); export it again or leave it out")
    if not file.file_meta.get("TransferSyntaxUID"):
        file.file_meta.TransferSyntaxUID = _plain_syntax(file)
    return file


def _is_empty(element: Any) -> bool:
    if element.VR == "SQ":
        return not any(len(item) for item in element.value)
    return element.is_empty or not str(element.value).strip()


def _plain_syntax(file: Dataset) -> UID:
    """The uncompressed transfer syntax that the elements were found to be written in."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if any(name in file and file[name].is_undefined_length for name in _PIXELS):
        raise DataError("the pixels are compressed and the header does not say how (no TransferSyntaxUID)")
    implicit, little = file.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _check_size(file: Dataset, options: ReadOptions) -> None:
    limit = options.max_pixels or Image.MAX_IMAGE_PIXELS
    if limit and int(file.Rows) * int(file.Columns) > limit:
        raise DataError(
            f"{file.Columns} x {file.Rows} pixels, more than {limit:,}; "
            "make it smaller, or raise max_pixels if you trust it"
        )


def _decode(file: Dataset, frame: int) -> NDArray[Any]:
    """Stored values of one frame, ``[H, W]`` or ``[H, W, 3]``, colour as RGB."""
    from pydicom.pixels import get_decoder, pixel_array

    try:
        return pixel_array(file, index=frame)
    except (RuntimeError, NotImplementedError) as error:  # pydicom's way of saying that no decoder could do it
        syntax = file.file_meta.TransferSyntaxUID
        try:
            installed = "gdcm" in get_decoder(syntax).available_plugins
        except NotImplementedError:  # not an image's, or unknown
            installed = True
        todo = "" if installed else "pip install 'medzoo[dicom]' for more decoders, or "
        raise DataError(f"cannot decode {syntax.name} ({_one_line(error)}); {todo}decompress the file first") from error


def _of_frame(file: Dataset, frame: int) -> Dataset:
    """The header with what an enhanced file says of this frame or of all frames at its top level."""
    shared = file.get("SharedFunctionalGroupsSequence", [])[:1]
    own = file.get("PerFrameFunctionalGroupsSequence", [])[frame : frame + 1]
    for group in (*shared, *own):
        for name in _GROUPED:
            for item in group.get(name) or []:
                for element in item:
                    if not _is_empty(element):
                        file[element.tag] = element
    return file


def _shown(stored: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """Stored values as 8-bit grey or RGB."""
    if header.PhotometricInterpretation == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        colours = apply_color_lut(stored, header)[..., :3]
        # Tables of 16-bit entries that hold 8-bit colours are common.
        return stretch(colours, 0, 255 if colours.max() < 256 else 65535)
    if stored.ndim == 2:
        return dicom_grey.shown(stored, header)
    bits = int(header.BitsStored)
    shown = stored if bits == 8 and stored.dtype == np.uint8 else stretch(stored, 0, 2**bits - 1)
    if bits > 8:
        refuse_dark(np.minimum(stored >> (bits - 8), 255).astype(np.uint8), bits)
    return shown
