"""Read a pickle without running any of its code.

A pickle is a program for a small stack machine. This one rebuilds numbers, texts, containers and references to tensors;
every other object becomes an inert ``Record`` of its class name, arguments and state. No name of the file is ever
imported or called, so that a hostile file can do no more than a hostile text file. Work and memory are bounded by the
file's own size.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from medzoo.core.errors import ZooError

# DenseNet-121 with its optimizer takes some 60,000 operations.
MAX_OPERATIONS = 5_000_000


@dataclass(eq=False)
class Record:
    """An object of a class that is not rebuilt.

    Attributes:
        name: The dotted name of its class, or of the function that would have made it.
        args: What it would have been made from.
        state: Its attributes, as far as the file says; ``None`` where it does not.
        items: What a container of that class holds.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class GlobalName:
    """The dotted name of a class or function that the file refers to."""

    name: str


class _Mark:
    """What stands on the stack where a container's items begin."""


_MARK = _Mark()
Rebuild = Callable[..., Any]


def read_pickle(data: bytes | BinaryIO, rebuild: dict[str, Rebuild], storage: Callable[[Any], Any]) -> tuple[Any, int]:
    """Read one pickle.

    Args:
        data: The pickle, perhaps with more behind it.
        rebuild: For the dotted name of a function or class, what is called in its place with the arguments that the
            file gives.
        storage: What is called with a persistent id.

    Returns:
        The object, and how many bytes it took.

    Raises:
        ZooError: It is no pickle, is cut off, or asks for more than a checkpoint needs.
    """
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    machine = _Machine(rebuild, storage)
    start = stream.tell()
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MAX_OPERATIONS:
                raise ZooError(f"the pickle takes more than {MAX_OPERATIONS:,} operations; no checkpoint needs as many")
            machine.step(code.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, EOFError) as error:
        raise ZooError(f"the pickle is damaged or cut off ({error})") from error
    return machine.stack[-1], stream.tell() - start


class _Machine:
    """The stack machine: one method call an operation."""

    def __init__(self, rebuild: dict[str, Rebuild], storage: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._rebuild, self._storage = rebuild, storage

    def step(self, name: str, argument: Any) -> None:
        """Do one operation.

        Raises:
            ZooError: It is none that a checkpoint needs.
        """
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in _MEMO_PUT:
            self.memo[int(argument)] = self.stack[-1]
        elif name in _MEMO_GET:
            self.stack.append(self.memo[int(argument)])
        elif name not in _IGNORED:
            work = getattr(self, f"_{name.lower()}", None)
            if work is None:
                raise ZooError(f"the pickle holds the operation {name}, which no checkpoint needs")
            work(argument)

    def _marked(self) -> list[Any]:
        """Take what stands above the topmost mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:  # an IndexError below the bottom: a damaged file
            at -= 1
            if at < 0:
                raise IndexError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _tuple1(self, _: Any) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def _tuple2(self, _: Any) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def _tuple3(self, _: Any) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def _list(self, _: Any) -> None:
        self.stack.append(self._marked())

    def _frozenset(self, _: Any) -> None:
        self.stack.append(self._marked())  # a list will do: nothing here asks for membership

    def _dict(self, _: Any) -> None:
        items = self._marked()
        self.stack.append({})
        self._fill(items)

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        _items_of(self.stack[-1]).append(item)

    def _appends(self, _: Any) -> None:
        items = self._marked()
        _items_of(self.stack[-1]).extend(items)

    _additems = _appends

    def _setitem(self, _: Any) -> None:
        items = self.stack[-2:]
        del self.stack[-2:]
        self._fill(items)

    def _setitems(self, _: Any) -> None:
        self._fill(self._marked())

    def _fill(self, items: list[Any]) -> None:
        target = self.stack[-1]
        pairs = zip(items[::2], items[1::2], strict=True)
        if isinstance(target, dict):
            target.update((_key(key), value) for key, value in pairs)
        else:
            _items_of(target).extend(pairs)

    def _global(self, argument: str) -> None:
        self.stack.append(GlobalName(argument.replace(" ", ".", 1)))

    def _stack_global(self, _: Any) -> None:
        module, name = self.stack[-2:]
        self.stack[-2:] = [GlobalName(f"{module:.200}.{name:.200}")]

    def _inst(self, argument: str) -> None:
        self.stack.append(self._made(GlobalName(argument.replace(" ", ".", 1)), tuple(self._marked())))

    def _obj(self, _: Any) -> None:
        made, *args = self._marked()
        self.stack.append(self._made(made, tuple(args)))

    def _reduce(self, _: Any) -> None:
        made, args = self.stack[-2:]
        self.stack[-2:] = [self._made(made, args)]

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        made, args, _options = self.stack[-3:]
        self.stack[-3:] = [self._made(made, args)]

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Record):
            self.stack[-1].state = state

    def _binpersid(self, _: Any) -> None:
        self.stack[-1] = self._storage(self.stack[-1])

    def _persid(self, argument: str) -> None:
        self.stack.append(self._storage(argument))

    def _made(self, made: Any, args: Any) -> Any:
        if not isinstance(args, tuple):
            raise TypeError("arguments that are no tuple")
        if isinstance(made, GlobalName) and made.name in self._rebuild:
            return self._rebuild[made.name](*args)
        return Record(made.name if isinstance(made, GlobalName) else "an object that is called", args)


_VALUES = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_MEMO_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_MEMO_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})


def _items_of(target: Any) -> list[Any]:
    if isinstance(target, Record):
        return target.items
    if not isinstance(target, list):
        raise TypeError(f"items for a {type(target).__name__}")
    return target


def _key(key: Any) -> Hashable:
    """A key as it is where hashing it is quick; nested tuples could take for ever."""
    return key if isinstance(key, (str, bytes, int, float, bool, type(None))) else f"<{type(key).__name__}>"
