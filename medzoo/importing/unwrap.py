"""From whatever a checkpoint holds to one flat table of tensors by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor

from medzoo.core.errors import ZooError
from medzoo.importing.safe_pickle import Record
from medzoo.importing.tensor_refs import TensorRef

# Under which names training scripts keep the weights, the likelier first.
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "module"),
    *("ema", "model_ema", "teacher", "student", "encoder", "backbone"),
)
_DEEPEST = 64

Values: TypeAlias = TensorRef | Tensor


@dataclass(frozen=True)
class FlatState:
    """Tensors by dotted name.

    Attributes:
        tensors: The tensors.
        classes: For a pickled module, the class of each submodule by dotted name.
        steps: What was done to get there, in words.
    """

    tensors: dict[str, Values]
    classes: dict[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()


def unwrap(tree: Any, origin: str) -> FlatState:
    """Find the weights in a checkpoint.

    Raises:
        ZooError: There are none.
    """
    steps: list[str] = []
    for _ in range(4):
        if isinstance(tree, Record):
            flat = _of_module(tree)
            if not flat.tensors:
                raise ZooError(f"{origin} holds an object of the class {tree.name:.80} without tensors in it")
            kind = f"read the whole module of class {tree.name} by its stored tensors; no code of it ran"
            return FlatState(flat.tensors, flat.classes, (*steps, kind))
        if not isinstance(tree, dict):
            break
        own = {str(key): value for key, value in tree.items() if isinstance(value, (TensorRef, Tensor))}
        inside = [name for name in WRAPPERS if isinstance(tree.get(name), (dict, Record))]
        if len(own) >= 2 or not inside:
            if not own:
                break
            others = [str(key) for key in tree if str(key) not in own]
            if others:
                steps.append(f"left {_listed(others)} aside, which are no tensors")
            return FlatState(own, steps=tuple(steps))
        others = [str(key) for key in tree if key != inside[0]]
        steps.append(
            f"took {inside[0]!r} out of the checkpoint" + (f"; left {_listed(others)} aside" if others else "")
        )
        tree = tree[inside[0]]
    names = _listed([str(key) for key in tree]) if isinstance(tree, dict) else f"a {type(tree).__name__}"
    raise ZooError(f"{origin} holds no weights: no tensors by name, only {names}")


def _of_module(root: Record) -> FlatState:
    tensors: dict[str, Values] = {}
    classes: dict[str, str] = {}
    stack: list[tuple[str, Any, int]] = [("", root, 0)]
    seen: set[tuple[str, int]] = set()
    while stack:
        prefix, module, depth = stack.pop()
        state = module.state if isinstance(module.state, dict) else {}
        if depth > _DEEPEST or (prefix, id(module)) in seen or len(classes) > 100_000:
            raise ZooError("the pickled module is nested without end")
        seen.add((prefix, id(module)))
        classes[prefix.rstrip(".")] = module.name
        for name, value in _own_tensors(state):
            tensors[prefix + name] = value
        children = state.get("_modules", {})
        if isinstance(children, dict):
            inner = [(str(name), one) for name, one in children.items() if isinstance(one, Record)]
            stack += [(f"{prefix}{name}.", one, depth + 1) for name, one in reversed(inner)]
    return FlatState(tensors, classes)


def _own_tensors(state: dict[Any, Any]) -> Iterator[tuple[str, Values]]:
    for group in ("_parameters", "_buffers"):
        values = state.get(group, {})
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, (TensorRef, Tensor)):
                yield str(name), value


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"{name:.40}" for name in names[:6])
    return shown + (f" and {len(names) - 6} more" if len(names) > 6 else "")
