"""What the command lines do for every command: memory, consoles, errors."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs the GNU C library"
)
# Pages that the system gives while a large block is allocated and freed several times: numpy's own allocation asks for
# huge pages, which a machine may not have.
FAULTS = """
import ctypes, os, resource
from medzoo.cli.app import keep_memory
keep_memory()
libc, size = ctypes.CDLL(None), 64 << 20
libc.malloc.restype = ctypes.c_void_p
def once():
    at = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(at, 1, size)
    libc.free(ctypes.c_void_p(at))
once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    once()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, os.environ.get("MALLOC_TOP_PAD_"))
"""


@glibc
@pytest.mark.parametrize(
    ("setting", "kept"),
    [({}, True), ({"MALLOC_ARENA_MAX": "2"}, False), ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, False)],
)
def test_commands_keep_memory_unless_the_user_set_the_allocator(setting: dict[str, str], kept: bool) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, env={**clean, **setting}
    )
    faults, inherited = done.stdout.split()
    assert (int(faults) < 1000) == kept, faults
    assert inherited == (str(64 << 20) if kept else "None")
