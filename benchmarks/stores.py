"""The databases that the agent writes into: a SQLite file, and private PostgreSQL and MariaDB servers."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import NullPool, create_engine, text

from benchmarks import servers
from benchmarks.cases import AGENT, LIVE_SQLITE, MARIADB, POSTGRESQL, SQLITE
from benchmarks.measure import Failed
from capture_agent.sinks.sql.database import parse_url

COPIED = "copied"  # the table that the driver alone fills
DATABASE = "benchmark"
SERVERS: dict[str, Callable[[Path, int], AbstractContextManager[str]]] = {
    POSTGRESQL: servers.postgresql,
    MARIADB: servers.mariadb,
}
MAINTENANCE = {POSTGRESQL: "postgres", MARIADB: ""}  # the database to connect to while ours does not exist


class Stores:
    """An empty database for each run; a server starts when the first run needs it, and runs until the end."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "trace.db"
        self._urls: dict[str, str] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        self._stack.close()

    @contextmanager
    def empty(self, work: str, environment: dict[str, str]) -> Iterator[str]:
        """The URL of a database with the agent's table and the driver's; both are gone afterwards."""
        with self._file_url() if work in (SQLITE, LIVE_SQLITE) else self._on_server(work) as url:
            for table in ("sip_trace", COPIED):
                command = [AGENT, "db", "create", "--db", url, "--table", table]
                subprocess.run(command, check=True, capture_output=True, env=environment)
            yield url

    @contextmanager
    def _file_url(self) -> Iterator[str]:
        try:
            yield f"sqlite:///{self._file}"
        finally:
            for file in self._file.parent.glob(f"{self._file.name}*"):
                file.unlink()

    @contextmanager
    def _on_server(self, work: str) -> Iterator[str]:
        if work not in self._urls:
            folder = Path(self._stack.enter_context(TemporaryDirectory(prefix=f"benchmarks-{work}-")))
            folder.chmod(0o755)  # the server's user must enter it
            self._urls[work] = self._stack.enter_context(SERVERS[work](folder, free_port()))
        server = self._urls[work]
        administer(f"{server}/{MAINTENANCE[work]}", f"CREATE DATABASE {DATABASE}")
        try:
            yield f"{server}/{DATABASE}"
        finally:
            administer(f"{server}/{MAINTENANCE[work]}", f"DROP DATABASE {DATABASE}")


def administer(url: str, statement: str) -> None:
    engine = create_engine(parse_url(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))


def check_rows(key: str, url: str, want: int, table: str = "sip_trace", may_lack: bool = False) -> int:
    """How many rows the table lacks. Raises Failed if any do and none may."""
    engine = create_engine(parse_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        rows = int(connection.scalar(text(f"SELECT COUNT(*) FROM {table}")) or 0)
    if rows > want or (rows < want and not may_lack):
        raise Failed(f"{key}: {rows} rows in {table}, not {want}")
    return want - rows


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def installed() -> list[str]:
    """The works whose servers this host has."""
    found = {POSTGRESQL: servers.postgresql_programs(), MARIADB: servers.mariadb_programs()}
    return [work for work, programs in found.items() if programs is not None]
