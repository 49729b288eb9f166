"""``export``: a model as one file for other runtimes, whose outputs are compared with the model's."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medzoo.core.atomic import replacing_file
from medzoo.core.errors import MedzooError
from medzoo.core.registry import unknown
from medzoo.models.info import Model, ModelInfo

# Sums in another order differ in the last bits of float32, and 121 layers add up; a wrong layer is off by far more.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """A file that ``export`` wrote.

    Attributes:
        path: The file.
        format: ``"onnx"`` or ``"torch"``.
        difference: Largest difference of its outputs to the model's on random images, as a share of the model's
            largest output.
    """

    path: Path
    format: str
    difference: float

    def __str__(self) -> str:
        return f"{self.path} ({self.format}): outputs within {self.difference:.1e} of the model's"


def export(model: Model, path: str | Path, format: str = "onnx") -> Exported:  # noqa: A002
    """Export a model as a file that runs without medzoo, and run the file to check its outputs.

    The file maps normalised ``float32 [N, C, H, W]`` of the input contract's size, N free, to logits (or features).
    Its input contract, the names of its outputs and which of two is positive are stored in it as JSON: under
    ``"medzoo"`` in the metadata of the ONNX model, or as extra file ``medzoo.json`` of the torch program.

    Args:
        model: A model made by ``create_model`` or ``finetune``; it is not changed.
        path: The file to create or replace, usually ``.onnx`` or ``.pt2``.
        format: ``"onnx"`` (needs ``medzoo[onnx]``; for ONNX Runtime and others), or ``"torch"``
            (``torch.export``; read by ``torch.export.load``).

    Returns:
        The file, and the difference of its outputs to the model's.

    Raises:
        MedzooError: The format is unknown, a package is not installed, or the file's outputs are not the model's; then
            no file is written.

    Example:
        >>> from medzoo import create_model
        >>> model = create_model("densenet121_efi_in", num_classes=3)  # doctest: +SKIP
        >>> print(export(model, "model.onnx"))  # doctest: +SKIP
        model.onnx (onnx): outputs within 4.1e-07 of the model's
    """
    writers: dict[str, Callable[[nn.Module, Tensor, str, Path], Any]] = {"onnx": _to_onnx, "torch": _to_torch}
    if format not in writers:
        raise MedzooError(unknown("format", format, tuple(writers)))
    info: ModelInfo = model.medzoo
    if info.head == "features":
        raise MedzooError("a model made with features_only=True gives a list, which is not exported; make it without")
    # On the CPU, so that the check compares the file with the model and not one device with another.
    network = copy.deepcopy(model).cpu().eval()
    shape = (2, info.input.channels, info.input.size, info.input.size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        want = network(images).numpy()
    with replacing_file(Path(path)) as temporary:
        found = writers[format](network, images, json.dumps(_described(info)), temporary)
        difference = float(np.abs(found - want).max() / max(np.abs(want).max(), np.finfo(np.float32).tiny))
        if not difference <= TOLERANCE:  # NaN is not
            raise MedzooError(
                f"the {format} file gives other outputs than the model (they differ by {difference:.1e} of its largest "
                "output) and was not kept; try the other format, or another version of its package"
            )
    return Exported(Path(path), format, difference)


def _described(info: ModelInfo) -> dict[str, Any]:
    return {
        "weights": info.weights,
        "arch": info.arch,
        "task": info.task,
        "classes": list(info.classes),
        "positive": info.positive or None,
        "input": {**info.input.to_config(), "value_range": [0, 255], "scaled_to": [0, 1]},
    }


def _to_torch(network: nn.Module, images: Tensor, described: str, path: Path) -> NDArray[Any]:
    program = torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("N")},), strict=False)
    written = io.BytesIO()
    torch.export.save(program, written, extra_files={"medzoo.json": described})
    path.write_bytes(written.getvalue())
    with path.open("rb") as file, torch.inference_mode():
        return torch.export.load(io.BytesIO(file.read())).module()(images).numpy()


def _to_onnx(network: nn.Module, images: Tensor, described: str, path: Path) -> NDArray[Any]:
    try:
        import onnx  # an extra that only this needs
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise MedzooError(f"ONNX needs {error.name}; install it with: pip install 'medzoo[onnx]'") from error
    program = torch.onnx.export(
        network,
        (images,),
        dynamo=True,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("N")},),
        verbose=False,
    )
    if program is None:  # only without dynamo
        raise MedzooError("torch made no ONNX program; use another version of torch")
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {"medzoo": described})
    path.write_bytes(proto.SerializeToString())
    onnx.checker.check_model(proto)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"images": images.numpy()})[0])
