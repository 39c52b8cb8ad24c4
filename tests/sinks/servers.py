"""Private PostgreSQL and MariaDB servers on loopback, made in a folder of their own and ended by their own pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

STARTED = 60.0  # seconds


def unprivileged(user: str, stop: Signals = SIGTERM) -> list[str]:
    """Neither server runs as root, and neither outlives the tests, not even tests that are killed."""
    identity = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", f"--pdeathsig={stop.name.removeprefix('SIG')}", *identity, "--"]


def postgresql_programs() -> Path | None:
    """Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


@contextmanager
def postgresql(folder: Path, port: int) -> Iterator[str]:
    """Its URL, up to the name of the database."""
    programs = postgresql_programs()
    assert programs is not None
    user, data = "postgres", folder / "data"
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    initdb = [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
    make([*unprivileged(user), *initdb], folder)
    options = [
        "-D", data, "-p", str(port), "-F", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}",
    ]  # fmt: skip
    stop = SIGINT  # SIGTERM would wait for its clients
    with running([*unprivileged(user, stop), programs / "postgres", *options], folder, port, stop):
        yield f"postgresql://tester@127.0.0.1:{port}"


def mariadb_programs() -> tuple[str, str] | None:
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    server, install = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    return (server, install) if server and install else None


@contextmanager
def mariadb(folder: Path, port: int) -> Iterator[str]:
    """Its URL, up to the name of the database."""
    programs = mariadb_programs()
    assert programs is not None
    server, install = programs
    user = "mysql"
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    setup = folder / "setup.sql"
    setup.write_text(
        "CREATE USER tester@'127.0.0.1' IDENTIFIED BY 'secret';\nGRANT ALL ON *.* TO tester@'127.0.0.1';\n"
    )
    data = folder / "data"
    installing = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    make([*unprivileged(user), *installing, "--skip-test-db"], folder)
    options = [
        "--no-defaults", f"--datadir={data}", f"--socket={folder}/socket", f"--pid-file={folder}/pid",
        "--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve", f"--init-file={setup}",
        "--innodb-flush-log-at-trx-commit=0",
    ]  # fmt: skip
    with running([*unprivileged(user), server, *options], folder, port, SIGTERM):
        yield f"mysql://tester:secret@127.0.0.1:{port}"


def make(command: list[object], folder: Path) -> None:
    """Raises RuntimeError, with all that the program said."""
    said = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, check=False
    )
    if said.returncode != 0:
        raise RuntimeError(f"{command} ended with {said.returncode}:\n{said.stdout.decode(errors='replace')}")


@contextmanager
def running(command: list[object], folder: Path, port: int, stop: Signals) -> Iterator[None]:
    """The server, once it listens, until the end."""
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=folder)
    try:
        wait_for(port, server, folder / "log")
        yield
    finally:
        server.send_signal(stop)
        try:
            server.wait(STARTED)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start:\n{log.read_text(errors='replace')}") from None
            time.sleep(0.05)
