"""DenseNet weights of ``keras.applications`` in HDF5, under torchvision's names."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medzoo.core.errors import ZooError

# Keras adds 1.001e-5 to variances where torch adds 1e-5.
EPSILON = 1.001e-5

_LAYERS = (
    (re.compile(r"conv1[/_]conv"), "features.conv0"),
    (re.compile(r"conv1[/_]bn"), "features.norm0"),
    (re.compile(r"conv(\d+)_block(\d+)_0_bn"), "features.denseblock{0}.denselayer{1}.norm1"),
    (re.compile(r"conv(\d+)_block(\d+)_1_conv"), "features.denseblock{0}.denselayer{1}.conv1"),
    (re.compile(r"conv(\d+)_block(\d+)_1_bn"), "features.denseblock{0}.denselayer{1}.norm2"),
    (re.compile(r"conv(\d+)_block(\d+)_2_conv"), "features.denseblock{0}.denselayer{1}.conv2"),
    (re.compile(r"pool(\d+)_bn"), "features.transition{0}.norm"),
    (re.compile(r"pool(\d+)_conv"), "features.transition{0}.conv"),
    (re.compile(r"bn"), "features.norm5"),
)
_PARTS = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def read_densenet(path: Path) -> dict[str, Tensor]:
    """Read a DenseNet of ``keras.applications``.

    Args:
        path: A file of ``save_weights`` or ``save`` in HDF5.

    Returns:
        Its tensors under torchvision's names, kernels in torch's order of dimensions; the top layer as ``classifier``.

    Raises:
        ZooError: h5py is missing, the file is damaged, or its layers are not DenseNet's.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise ZooError(f"{path} is HDF5, and h5py is not installed: pip install 'medzoo[keras]'") from error
    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            if "layer_names" not in group.attrs:
                raise ZooError(f"{path} lists no layers; save it with Keras' save_weights('...h5')")
            room = 4 * path.stat().st_size + (1 << 20)  # Keras does not pack: the values are the file
            tensors: dict[str, Tensor] = {}
            for layer in map(_text, group.attrs["layer_names"]):
                for name in map(_text, group[layer].attrs.get("weight_names", ())):
                    values = group[layer][name]
                    room -= values.nbytes
                    if room < 0:
                        raise ZooError(f"{path} claims more values than it has bytes; it is damaged")
                    tensors[_name(layer, name, path)] = _tensor(values[()], name)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ZooError(f"{path} cannot be read as Keras HDF5 ({error}); fetch it again") from error
    return _without_zero_biases(tensors, path)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _name(layer: str, weight: str, path: Path) -> str:
    part = weight.rsplit("/", 1)[-1].split(":")[0]
    place = next((form.format(*_numbers(m)) for rx, form in _LAYERS if (m := rx.fullmatch(layer))), None)
    if part not in _PARTS:
        raise ZooError(f"{path} holds {weight}, which no DenseNet of keras.applications has")
    if place is None:
        place = "classifier" if part in ("kernel", "bias") else layer
    return f"{place}.{_PARTS[part]}"


def _numbers(match: re.Match[str]) -> list[str]:
    """Keras counts the stem as block 1, torchvision does not."""
    first, *rest = match.groups() or ("1",)
    return [str(int(first) - 1), *rest]


def _tensor(values: Any, name: str) -> Tensor:
    array = np.asarray(values, np.float32)
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)  # height, width, in, out -> out, in, height, width
    elif array.ndim == 2:
        array = array.T
    elif array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions")
    return torch.from_numpy(np.ascontiguousarray(array))


def _without_zero_biases(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """DenseNet's convolutions have no bias; one of zeros is none."""
    for key in [key for key in tensors if re.search(r"conv\d?\.bias$", key)]:
        if tensors.pop(key).any():
            raise ZooError(f"{path} has a convolution with bias ({key}), which DenseNet has not; it is another network")
    return tensors
