"""What the command lines do for every command: memory, consoles, errors."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys

import pytest

from medzoo.cli.app import new_app, run

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


TALK = r"""
import sys, typer
from medzoo.cli.app import new_app, run
from medzoo.cli.options import print_json
from medzoo.core.errors import MedzooError
app = new_app("x")
TEXT = "gr\u00f6\u00dfe \u4e2d"
@app.command()
def talk():
    typer.echo(TEXT + " \udcff")
    print_json({"name": TEXT})
    raise MedzooError(TEXT + " \udcff")
@app.command()
def other(): ...
sys.argv = ["x", "talk"]
run(app)
"""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_consoles_of_any_encoding_print(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TALK], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=False
    )
    # typer itself takes an ASCII console for a misconfigured one and writes UTF-8 to it.
    out, err = done.stdout.decode("utf-8" if encoding == "ascii" else encoding), done.stderr.decode(encoding)
    assert done.returncode == 2, err
    line, _, printed = out.partition("\n")
    assert (
        line
        == {
            "ascii": "größe 中 ?",
            "cp1252": r"größe \u4e2d \udcff",
            "utf-8": r"größe 中 \udcff",
        }[encoding]
    )
    assert json.loads(printed) == {"name": "größe 中"}
    assert err == ("error: gr\\xf6\\xdfe \\u4e2d \\udcff\n" if encoding == "ascii" else f"error: {line}\n")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("PermissionError(13, 'Permission denied', '/x/y.csv')", "error: Permission denied (/x/y.csv); check the path"),
        ("open('/nowhere/at all')", "error: No such file or directory (/nowhere/at all); check the path"),
        ("open('/' + 'x' * 300)", "error: File name too long (/xxx"),
        ("ConnectionResetError('reset\\nby peer')", "error: reset by peer; check the path"),
        ("OSError()", "error: OSError; check the path"),
        ("b'\\xff'.decode()", "error: a text has another encoding than UTF-8 ('utf-8' codec can't decode byte 0xff"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_errors_of_the_system_are_a_line_and_a_traceback_for_those_who_ask(
    raised: str, message: str, debug: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = new_app("A test.")

    @app.command()
    def fail() -> None:
        raise eval(raised)

    @app.command()
    def other() -> None: ...

    monkeypatch.setattr("sys.argv", ["app", "fail", *(["--debug"] if debug else [])])
    with pytest.raises((OSError, UnicodeError) if debug else SystemExit) as left:
        run(app)
    if not debug:
        assert left.value.code == 2
        shown = capsys.readouterr().err
        assert shown.startswith(message)
        assert len(shown.splitlines()) == 1
