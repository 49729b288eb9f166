"""Memory that is kept instead of being given back after every layer."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt's names for what it sets, as in <malloc.h> of the GNU C library.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}
# The library's own values; the thresholds it raises up to these by itself as a program frees large blocks.
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20, _TOP_PAD: 128 << 10}

_lock = threading.Lock()
_inside = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory in the process until the outermost such block ends.

    By default the C library returns every large tensor's memory to the system and asks for it again at the next layer;
    the system then clears each page anew. On a CPU that takes 6 % of a training step, and far more of the first ones
    (``benchmarks/README.md``). Where the C library is not GNU's nothing changes.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set(_KEEPING)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set(_USUAL)
                _give_back()


def _set(choices: dict[int, int]) -> None:
    if (library := _gnu()) is not None:
        for name, value in choices.items():
            library.mallopt(name, value)


def _give_back() -> None:
    if (library := _gnu()) is not None:
        library.malloc_trim(0)


def _gnu() -> ctypes.CDLL | None:
    """The C library, where it is GNU's."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no such handle
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
