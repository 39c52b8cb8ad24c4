"""Removes secrets from the arguments that `ps` shows to every user of the host."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from capture_agent.config.secrets import mask, quotable

URIS = ("--hep", "--sip", "--db", "--address", "--listen")  # options whose values may hold a secret
ARG_START = 47  # /proc/self/stat, proc_pid_stat(5): field 48, a memory address


def hide_secrets() -> None:
    """Overwrite the arguments that the kernel shows. If that is not possible, they stay."""
    try:
        given = Path("/proc/self/cmdline").read_bytes()
        hidden = b"\0".join(harmless(given.split(b"\0")))
        if hidden == given or len(hidden) != len(given):
            return
        # The program's name, in parentheses, may contain spaces.
        after_name = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
        with open("/proc/self/mem", "r+b", buffering=0) as memory:  # noqa: PTH123 - no file to name by a path
            memory.seek(int(after_name[ARG_START - 2]))
            memory.write(hidden)
    except (OSError, ValueError, IndexError):
        return


def harmless(arguments: Iterable[bytes]) -> Iterator[bytes]:
    """The arguments, each with its length unchanged."""
    before = b""
    for argument in arguments:
        name, equals, value = argument.partition(b"=")
        if name.decode(errors="replace") in URIS and equals:
            yield name + equals + fitted(value, mask)
        elif before.decode(errors="replace") in URIS:
            yield fitted(argument, mask)
        else:
            yield fitted(argument, quotable)
        before = argument


def fitted(argument: bytes, shown: Callable[[str], str]) -> bytes:
    text = os.fsencode(shown(os.fsdecode(argument)))
    return argument if text == argument else text[: len(argument)].ljust(len(argument), b"*")
