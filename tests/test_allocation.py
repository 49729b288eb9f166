"""Memory stays in the process inside the block, and goes back to the system after it."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import pytest

from medzoo.core import allocation
from medzoo.core.allocation import kept_memory

glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs the GNU C library"
)
SIZE = 256 << 20


def faults(times: int = 5) -> int:
    """Pages that the system hands out while a large block is used and freed several times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        # The library's own allocation: numpy's asks for huge pages, which a machine may or may not have.
        library = ctypes.CDLL(None)
        library.malloc.restype = ctypes.c_void_p
        at = library.malloc(ctypes.c_size_t(SIZE))
        ctypes.memset(at, 1, SIZE)
        library.free(ctypes.c_void_p(at))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@glibc
def test_a_freed_block_is_used_again() -> None:
    outside = faults()
    with kept_memory():
        faults(1)
        inside = faults()
    assert inside < outside / 10


@glibc
def test_memory_goes_back_when_the_outermost_block_ends() -> None:
    before = resident()
    with kept_memory():
        with kept_memory():
            faults(1)
        assert resident() > before + SIZE / 2, "the inner block's end is not the end"
    assert resident() < before + SIZE / 2
    assert faults() > 3 * faults(1) / 2, "large blocks go back at once again"


def test_it_ends_after_an_error_too() -> None:
    with pytest.raises(KeyError), kept_memory():
        raise KeyError
    assert allocation._inside == 0
