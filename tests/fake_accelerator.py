"""An accelerator for machines without one: the CPU's memory behind a device of its own, as torch's dispatch sees it.

It is torch's accelerator from the import on, so it belongs in a process of its own. Like Apple's GPU it refuses
float64, and like any GPU to compute with tensors of the CPU. ``USED`` has the operators that it computed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "fake"
USED: set[str] = set()
_COPIES = ("_to_copy", "copy_", "_copy_from")


class DeviceTensor(Tensor):
    """A tensor on the device."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> DeviceTensor:
        if values.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"the device has no {values.dtype}")
        made = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=f"{NAME}:0",
        )
        made.values = values
        return made

    def __repr__(self) -> str:
        return f"DeviceTensor({self.values})"

    def tolist(self) -> Any:  # torch refuses it to all subclasses
        return self.values.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, *args, **(kwargs or {}))


def compute(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute an operator on the CPU, on values of the device."""
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        return func.decompose(*args, **kwargs)  # in inference mode nobody did before
    name = func._schema.name.removeprefix("aten::")
    USED.add(str(func).removeprefix("aten.").removesuffix(".default"))
    given = [value for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)]
    foreign = [value for value in given if not isinstance(value, DeviceTensor) and value.ndim]
    if foreign and name not in _COPIES:
        raise RuntimeError(f"{func} computes on two devices: {[(v.shape, v.device) for v in given]}")
    to_cpu = name == "_to_copy" and torch.device(kwargs.get("device") or NAME).type == "cpu"
    if "device" in kwargs:
        kwargs["device"] = "cpu"
    bare_args, bare = tree_map(lambda v: v.values if isinstance(v, DeviceTensor) else v, (args, kwargs))
    found = func(*bare_args, **bare)
    if to_cpu:
        return found
    mine = {id(value.values): value for value in given if isinstance(value, DeviceTensor)}
    return tree_map(lambda v: _wrapped(v, mine), found)


def _wrapped(value: Any, known: dict[int, DeviceTensor]) -> Any:
    if not isinstance(value, Tensor):
        return value
    return known[id(value)] if id(value) in known else DeviceTensor(value)


class Module:
    """What ``torch.cuda`` is for CUDA."""

    seed = 0

    def is_available(self) -> bool:
        return True

    is_initialized = is_available

    def _is_in_bad_fork(self) -> bool:
        return False

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def manual_seed_all(self, seed: int) -> None:
        self.seed = seed

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.tensor([self.seed])

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        self.seed = int(state)

    def empty_cache(self) -> None:
        pass


_setup_privateuseone_for_python_backend(NAME, backend_module=Module())
_LIBRARY = torch.library.Library("_", "IMPL")
_LIBRARY.fallback(compute, "PrivateUse1")
