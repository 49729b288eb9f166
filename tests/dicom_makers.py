"""DICOM files for tests."""

from __future__ import annotations

import io
from typing import Any

import pytest
from numpy.typing import NDArray


def dicom_file(values: NDArray[Any], *, drop: tuple[str, ...] = (), preamble: bool = True, **elements: Any) -> bytes:
    """Write an uncompressed file; ``elements`` are values by name, or (VR, value) to write another VR."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = SecondaryCaptureImageStorage
    file.Rows, file.Columns = values.shape[:2]
    file.SamplesPerPixel = 1 if values.ndim == 2 else 3
    file.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        file.PlanarConfiguration = 0
    file.BitsAllocated = 8 * values.dtype.itemsize
    file.BitsStored = elements.pop("BitsStored", file.BitsAllocated)
    file.HighBit = max(0, int(file.BitsStored) - 1)
    file.PixelRepresentation = int(values.dtype.kind == "i")
    file.PixelData = values.tobytes()
    for name, value in elements.items():
        if isinstance(value, tuple):
            tag = tag_for_keyword(name)
            assert tag is not None
            file[tag] = DataElement(tag, *value, validation_mode=pydicom.config.IGNORE)
        else:
            setattr(file, name, value)
    for name in drop:
        delattr(file, name)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=False)
    whole = buffer.getvalue().removeprefix(b"\0" * 128 + b"DICM")
    if preamble:
        return b"\0" * 128 + b"DICM" + whole
    bare = io.BytesIO()
    del file.file_meta
    pydicom.dcmwrite(bare, file, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return bare.getvalue()


def lut_item(table: list[int], bits: int, first: int = 0, count: int | None = None) -> Any:
    """One item of a LUT sequence."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.LUTDescriptor = [(len(table) if count is None else count) & 0xFFFF, first, bits]
    item.LUTData = table
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item
