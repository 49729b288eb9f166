"""Tensors and storages that a checkpoint describes, before any of their values is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from medzoo.core.errors import ZooError
from medzoo.importing.safe_pickle import GlobalName, Record

DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
}


@dataclass(frozen=True)
class StorageRef:
    """Values in a row: where they lie in the file is up to its format."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True, eq=False)
class TensorRef:
    """A view of a storage; nothing is read yet.

    Attributes:
        storage: Where its values lie.
        offset: The first one's place in the storage.
        shape: Its shape.
        stride: How far its values lie apart, dimension by dimension.
        dtype: Its type, where the storage has none of its own.
    """

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def view(self, values: Tensor) -> Tensor:
        """Take the tensor out of its storage's values, as a copy."""
        return values.view(self.dtype).as_strided(self.shape, self.stride, self.offset).clone()


def persistent(persistent_id: Any) -> StorageRef | GlobalName:
    """Read what torch writes in place of a storage, or (before 1.6) of a module's class.

    Raises:
        ZooError: It is something else, such as the name of another file.
    """
    kind_of = persistent_id[0] if isinstance(persistent_id, tuple) and len(persistent_id) > 1 else None
    if kind_of == "module" and isinstance(persistent_id[1], GlobalName):
        return persistent_id[1]  # its source code stands beside it, and is not looked at
    if kind_of != "storage" or len(persistent_id) < 5:
        raise ZooError("the file refers to something outside itself, which no checkpoint of torch does")
    _, kind, key, _location, count = persistent_id[:5]
    if len(persistent_id) > 5 and persistent_id[5] is not None:
        raise ZooError("the file is of a torch before 0.4 with views of storages; load and save it with a newer torch")
    name = kind.name.rsplit(".", 1)[-1].removesuffix("Storage") if isinstance(kind, GlobalName) else ""
    if name not in DTYPES or not _whole(count):
        raise ZooError(f"the file holds values of a kind that is not read here ({getattr(kind, 'name', kind)!s:.80})")
    return StorageRef(str(key), DTYPES[name], count)


def _tensor(
    storage: Any, offset: Any, shape: Any, stride: Any, *_: Any, dtype: torch.dtype | None = None
) -> TensorRef | Record:
    if not isinstance(storage, StorageRef):
        raise ZooError("the file describes a tensor without values")
    shape, stride = _numbers(shape), _numbers(stride)
    kind = dtype or storage.dtype
    count = storage.count * storage.dtype.itemsize // kind.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) if _whole(offset) else -1
    # A stride of 0 would let a file of some bytes ask for any amount of memory.
    if not _whole(offset) or (math.prod(shape) and not 0 <= last < count) or math.prod(shape) > count:
        raise ZooError(f"the file describes a tensor {list(shape)!s:.80} beyond its {count} values")
    return TensorRef(storage, offset, shape, stride, kind)


def _tensor_v3(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> Any:
    kind = next((one.name.removeprefix("torch.") for one in rest if isinstance(one, GlobalName)), "")
    dtype = getattr(torch, kind, None) if kind.isidentifier() else None
    if not isinstance(dtype, torch.dtype):
        raise ZooError(f"the file holds tensors of the type {kind!r:.80}, which is not read here")
    return _tensor(storage, offset, shape, stride, dtype=dtype)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _subclass(function: Any, kind: Any, args: Any, *_: Any) -> Any:
    known = isinstance(function, GlobalName) and isinstance(args, tuple)
    return REBUILD[function.name](*args) if known and function.name in REBUILD else Record("a tensor's subclass", ())


def _mapping(*args: Any) -> dict[Any, Any]:
    pairs = args[0] if args and isinstance(args[0], (list, tuple)) else ()
    return {key: value for key, value in pairs if isinstance(key, (str, int, float, bytes))}


def _bytes(text: Any, coding: Any = "latin1", *_: Any) -> bytes:
    """Bytes as Python 2 and protocols 0 to 2 write them."""
    return text.encode("latin1") if isinstance(text, str) and coding == "latin1" else b""


REBUILD: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.autograd.variable.Variable": _parameter,
    "_codecs.encode": _bytes,
    "torch.Size": lambda shape=(): tuple(shape),
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda *_: {},
}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 48


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) > 16 or not all(map(_whole, values)):
        raise ZooError("the file describes a tensor whose shape is not one")
    return tuple(values)
