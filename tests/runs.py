"""Real commands of medzoo and of training in processes of their own, started in milliseconds and safe to kill."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

NAME = "test_resnet_efi_ri"  # a network of 0.4 million values
SMALL = ("--image-size", "32", "--batch-size", "8", "--allow-partial", "--device", "cpu")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["training.pretraining.pretrain", "training.__main__", "medzoo.finetuning.finetune", "medzoo.__main__"]
)


def pretraining(data: Path, work: Path, *more: str, name: str = NAME) -> list[str]:
    """The words of a small pretraining command."""
    return ["pretrain", name, "--data", str(data), "--work", str(work), *SMALL, *more]


def command(
    words: list[str],
    said: Path,
    die_before: int | None = None,
    environment: dict[str, str] | None = None,
    program: str = "training",
) -> ForkServerProcess:
    """Start ``python -m PROGRAM WORDS``.

    Args:
        words: The command's words.
        said: A file for what it says.
        die_before: Kill it, as ``kill -9`` does, just before it moves or removes its n-th file.
        environment: Variables to set.
        program: ``training`` or ``medzoo``.
    """
    process = _FORKS.Process(target=_run, args=(program, words, said, die_before, environment or {}))
    process.start()
    return process


def two_processes(words: list[str], said: Path) -> list[ForkServerProcess]:
    """Start one command in two processes that share its work, as ``torchrun --nproc-per-node 2`` does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        command(words, said.with_suffix(f".{rank}"), None, {**both, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]


def _run(program: str, words: list[str], said: Path, die_before: int | None, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with said.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if die_before is not None:
        _die_before(die_before)
    sys.argv = [program, *words]
    importlib.import_module(f"{program}.__main__").main()


def _die_before(number: int) -> None:
    left = number

    def fatal(name: str) -> None:
        whole = getattr(Path, name)

        def counted(self: Path, *args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(self, *args, **kwargs)

        setattr(Path, name, counted)

    for name in ("replace", "rename", "unlink"):
        fatal(name)
