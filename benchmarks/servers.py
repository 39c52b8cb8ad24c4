"""Private PostgreSQL and MariaDB servers on loopback, created in a separate folder and ended by pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import psycopg

STARTED = 60.0  # seconds


def unprivileged(user: str, stop: Signals = SIGTERM) -> list[str]:
    """Neither server runs as root or outlives the tests, even if these are killed."""
    identity = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", f"--pdeathsig={stop.name.removeprefix('SIG')}", *identity, "--"]


def postgresql_programs() -> Path | None:
    """Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


@dataclass(frozen=True)
class Installed:
    """A server that is ready to be started, as often as wanted."""

    url: str  # up to the name of the database
    command: list[object]
    folder: Path
    port: int
    stop: Signals
    is_ready: Callable[[int], bool]  # by its port


@contextmanager
def postgresql(folder: Path, port: int) -> Iterator[str]:
    """Its URL, up to the name of the database."""
    server = install_postgresql(folder, port)
    with running(server):
        yield server.url


def install_postgresql(folder: Path, port: int) -> Installed:
    programs = postgresql_programs()
    assert programs is not None
    user, data = "postgres", folder / "data"
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    initdb = [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
    make([*unprivileged(user), *initdb], folder)
    options = [
        "-D", data, "-p", str(port), "-F", "-c", "listen_addresses=127.0.0.1",
        "-c", f"unix_socket_directories={folder}",
    ]  # fmt: skip
    stop = SIGINT  # SIGTERM would wait for its clients
    command = [*unprivileged(user, stop), programs / "postgres", *options]
    return Installed(f"postgresql://tester@127.0.0.1:{port}", command, folder, port, stop, answers)


def mariadb_programs() -> tuple[str, str] | None:
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    server, install = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    return (server, install) if server and install else None


@contextmanager
def mariadb(folder: Path, port: int) -> Iterator[str]:
    """Its URL, up to the name of the database."""
    server = install_mariadb(folder, port)
    with running(server):
        yield server.url


def install_mariadb(folder: Path, port: int) -> Installed:
    programs = mariadb_programs()
    assert programs is not None
    server, install = programs
    user = "mysql"
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    setup = folder / "setup.sql"
    setup.write_text(
        "CREATE USER IF NOT EXISTS tester@'127.0.0.1' IDENTIFIED BY 'secret';\n"
        "GRANT ALL ON *.* TO tester@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    data = folder / "data"
    installing = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    make([*unprivileged(user), *installing, "--skip-test-db"], folder)
    options = [
        "--no-defaults", f"--datadir={data}", f"--socket={folder}/socket", f"--pid-file={folder}/pid",
        "--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve", f"--init-file={setup}",
        "--innodb-flush-log-at-trx-commit=2", f"--tmpdir={folder}",
    ]  # fmt: skip
    command: list[object] = [*unprivileged(user), server, *options]
    return Installed(f"mysql://tester:secret@127.0.0.1:{port}", command, folder, port, SIGTERM, accepts)


def make(command: list[object], folder: Path) -> None:
    """Raises RuntimeError with the program's output."""
    said = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, check=False
    )
    if said.returncode != 0:
        raise RuntimeError(f"{command} ended with {said.returncode}:\n{said.stdout.decode(errors='replace')}")


@contextmanager
def running(server: Installed) -> Iterator[None]:
    """The server, once it listens, until the end."""
    process = start(server)
    try:
        yield
    finally:
        end(server, process)


def start(server: Installed) -> subprocess.Popen[bytes]:
    """Once it listens."""
    log = server.folder / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(list(map(str, server.command)), stdout=output, stderr=output, cwd=server.folder)
    try:
        wait_for(server, process, log)
    except BaseException:
        end(server, process)
        raise
    return process


def end(server: Installed, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(server.stop)
    try:
        process.wait(STARTED)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(server: Installed, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED
    while not server.is_ready(server.port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server does not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def answers(port: int) -> bool:
    """PostgreSQL accepts connections before it has started up, but refuses queries."""
    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=tester dbname=postgres connect_timeout=2").close()
    except psycopg.OperationalError:
        return False
    return True
