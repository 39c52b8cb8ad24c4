"""Interfaces that go down or vanish: veth pairs between new network namespaces. Needs root and iproute2."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


class Namespace:
    """A network namespace, with `lo` up."""

    def __init__(self, name: str) -> None:
        self.name = name
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")

    def delete(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False, timeout=60)

    def command(self, *words: str) -> list[str]:
        """The command line of a program that runs inside."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, action: Callable[[], T]) -> T:
        """The result of the action inside. Sockets that it opens stay there; setns(2) affects only one thread."""
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                with Path("/run/netns", self.name).open() as file:
                    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(action())
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=inside)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def udp(self, address: str = "127.0.0.1", port: int = 0) -> socket.socket:
        """A bound socket, inside."""

        def bound() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((address, port))
            return made

        return self.run(bound)

    def down(self, interface: str) -> None:
        ip("-n", self.name, "link", "set", interface, "down")

    def up(self, interface: str) -> None:
        ip("-n", self.name, "link", "set", interface, "up")

    def vanish(self, interface: str) -> None:
        """Delete it, and with it its other end."""
        ip("-n", self.name, "link", "del", interface)


NETWORKS = ("192.0.2", "198.51.100")


def join(here: Namespace, there: Namespace, name: str, network: str) -> None:
    """A veth pair between the two."""
    ip("link", "add", name, "netns", here.name, "type", "veth", "peer", "name", name, "netns", there.name)
    for namespace, address in ((here, f"{network}.1/24"), (there, f"{network}.2/24")):
        ip("-n", namespace.name, "addr", "add", address, "dev", name)
        namespace.up(name)


@contextmanager
def wires(names: Sequence[str] = ("eth1",)) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces joined by a veth pair per name: 192.0.2.1 and .2 on the first, 198.51.100.1 and .2 on the second."""
    mark = f"caflt{os.getpid()}x{next(_numbers)}"
    made: list[Namespace] = []
    try:
        for end in "ab":
            made.append(Namespace(f"{mark}{end}"))
        here, there = made
        for name, network in zip(names, NETWORKS, strict=False):
            join(here, there, name, network)
        yield here, there
    finally:
        for namespace in made:
            namespace.delete()
