"""The path of the control socket, and opening it: for its owner only, and never in place of a running agent's."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from capture_agent.os_errors import in_words

NAME = "control.sock"
FOLDER = "capture-agent"
SYSTEM = Path("/run") / FOLDER / NAME
LONGEST_NAME = 107  # bytes: sun_path in unix(7)
PATIENCE = 1.0  # seconds for another agent that opens its socket in the same folder now


class ControlError(Exception):
    """One clear line for the user."""


def default_path(environ: Mapping[str, str], user: int) -> Path | None:
    """Where `run` opens it: systemd's RuntimeDirectory, root's /run, a user's XDG_RUNTIME_DIR; None: nowhere."""
    if given := environ.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0]) / NAME
    if user == 0:
        return SYSTEM
    if given := environ.get("XDG_RUNTIME_DIR"):
        return Path(given) / FOLDER / NAME
    return None


def where_to_ask(environ: Mapping[str, str], user: int) -> Path:
    """Where a client looks: at its own user's agent, else at that of the system."""
    path = default_path(environ, user)
    return path if path is not None and path.exists() else SYSTEM


def check_length(path: Path) -> None:
    """Raises ControlError."""
    if len(os.fsencode(path)) > LONGEST_NAME:
        raise ControlError(f"control socket {path}: a socket's path has at most {LONGEST_NAME} bytes")


def make_folder(folder: Path) -> None:
    """The default's folder, for its owner alone where it is new. Raises ControlError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ControlError(f"control socket: folder {folder}: {in_words(error)}") from None


def listen(path: Path) -> socket.socket:
    """A listening socket at this path, mode 0600. Raises ControlError.

    What a dead agent has left there is replaced; a socket on which somebody listens, and any other file, is not.
    """
    check_length(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with alone_in(path.parent):
            try:
                server.bind(str(path))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                remove_stale(path)
                server.bind(str(path))
            # Nobody can connect before listen(): there is no moment at which others could.
            path.chmod(0o600)
            server.listen()
    except OSError as error:
        server.close()
        raise ControlError(f"control socket {path}: {in_words(error)}") from None
    except ControlError:
        server.close()
        raise
    return server


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Two agents that start at once must not both find a dead one's socket, and the second remove the first's."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def remove_stale(path: Path) -> None:
    """Raises ControlError where the path is in use, OSError where there is another reason that it cannot be bound."""
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        raise ControlError(f"control socket {path}: there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # its queue is full, or we may not: somebody is there
    raise ControlError(f"control socket {path}: another agent listens there")


def remove(path: Path, server: socket.socket, inode: tuple[int, int]) -> None:
    """Close it; the file goes if it is still ours."""
    server.close()
    try:
        found = path.lstat()
        if (found.st_dev, found.st_ino) == inode:
            path.unlink()
    except OSError:
        pass  # somebody else has removed it, or its folder
