"""The path of the control socket, and opening it: for its owner only, and never over a running agent's."""

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
PATIENCE = 1.0  # seconds to wait for another agent that is opening its socket in the same folder


class ControlError(Exception):
    """One clear line for the user."""


def default_path(environ: Mapping[str, str], user: int) -> Path | None:
    """Where `run` opens it: systemd's RuntimeDirectory, root's /run, or a user's XDG_RUNTIME_DIR; None without any."""
    if given := environ.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0]) / NAME
    if user == 0:
        return SYSTEM
    if given := environ.get("XDG_RUNTIME_DIR"):
        return Path(given) / FOLDER / NAME
    return None


def where_to_ask(environ: Mapping[str, str], user: int) -> Path:
    """Where a client looks: first its own user's agent, then the system's."""
    path = default_path(environ, user)
    return path if path is not None and path.exists() else SYSTEM


def check_length(path: Path) -> None:
    """Raises ControlError."""
    if len(os.fsencode(path)) > LONGEST_NAME:
        raise ControlError(f"control socket {path}: path too long, expected at most {LONGEST_NAME} bytes")


def make_folder(folder: Path) -> None:
    """Create the default socket's folder, for its owner only. Raises ControlError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ControlError(f"control socket: folder {folder}: {in_words(error)}") from None


def listen(path: Path) -> socket.socket:
    """A listening socket at this path, mode 0600. Raises ControlError.

    Replaces a dead agent's socket, but not a socket on which a process listens, or any other file.
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
            # Nobody can connect before listen(), so others never get a chance to.
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
    """A lock: of two agents that start together where a dead one's socket is, neither may remove the other's."""
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
    """Raises ControlError if the path is in use, OSError if it cannot be bound for another reason."""
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        raise ControlError(f"control socket {path}: a file that is not a socket exists there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # its queue is full, or we have no permission: a process is there
    raise ControlError(f"control socket {path}: another agent listens there")


def remove(path: Path, server: socket.socket, inode: tuple[int, int]) -> None:
    """Close it, and remove the file if it is still ours."""
    server.close()
    try:
        found = path.lstat()
        if (found.st_dev, found.st_ino) == inode:
            path.unlink()
    except OSError:
        pass  # someone else has removed it, or its folder
