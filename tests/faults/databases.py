"""Databases that stop answering, end connections, restart, refuse rows, or have no room: real ones, of each kind.

`Database` is one database of one kind; `benchmarks/servers.py` starts what it needs.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from benchmarks import servers
from capture_agent.sinks.sql.database import parse_url

KINDS = ("sqlite", "postgresql", "mariadb")
SERVERS = ("postgresql", "mariadb")
STOPPED_WITHIN = 20.0  # seconds

_numbers = count(1)


class Server:
    """A private server that can be frozen, killed and restarted; its data stays."""

    def __init__(self, installed: servers.Installed) -> None:
        self.installed = installed
        self.process: subprocess.Popen[bytes] | None = servers.start(installed)

    @property
    def url(self) -> str:
        return self.installed.url

    def stop(self) -> None:
        if self.process is not None:
            self.thaw()
            servers.end(self.installed, self.process)
            self.process = None

    def kill(self) -> None:
        """Like a power cut: no connection is ended properly."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def start(self) -> None:
        if self.process is None:
            self.process = servers.start(self.installed)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """It does not answer; its kernel still accepts connections and acknowledges."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + STOPPED_WITHIN
        while any(
            state not in "TZX" for pid in self.pids() for state in states(pid)
        ):  # a thread may run on for a while
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):  # a child that has just ended
                os.kill(pid, number)

    def pids(self) -> list[int]:
        """The server's and its children's: PostgreSQL has a process for each connection."""
        assert self.process is not None
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]


def states(pid: int) -> Iterator[str]:
    """Of its threads, as in proc(5)."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # one that has just ended
            yield (task / "stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def server(kind: str, port: int) -> Iterator[Server]:
    """One of SERVERS, in a folder of its own."""
    install = {"postgresql": servers.install_postgresql, "mariadb": servers.install_mariadb}[kind]
    with TemporaryDirectory(prefix=f"capture-agent-{kind}-") as folder:
        Path(folder).chmod(0o755)  # the server's user must enter it
        made = Server(install(Path(folder), port))
        try:
            yield made
        finally:
            made.stop()


class Database:
    """An empty database of one kind; `server` is None for SQLite."""

    def __init__(self, kind: str, server: Server | None, folder: Path) -> None:
        self.kind = kind
        self.server = server
        if server is None:
            self.url = f"sqlite:///{folder}/trace.db"
            return
        name = f"fault{next(_numbers)}"
        maintenance = "postgres" if kind == "postgresql" else ""
        self.url = f"{server.url}/{maintenance}"
        self.execute(f"CREATE DATABASE {name}")
        self.url = f"{server.url}/{name}"

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    @contextmanager
    def connection(self) -> Iterator[Any]:
        engine = create_engine(parse_url(self.url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            yield connection
        engine.dispose()

    def execute(self, *statements: str) -> None:
        with self.connection() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%") if self.kind != "sqlite" else statement)

    def rows(self, columns: str = "callid", table: str = "sip_trace") -> list[Any]:
        with self.connection() as connection:
            found = [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {table} ORDER BY id"))]
        return [row[0] for row in found] if "," not in columns else found

    def end_connections(self) -> int:
        """End all connections but our own, as an administrator, a proxy or an idle timeout would. Returns how many."""
        if self.kind == "postgresql":
            ended = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            with self.connection() as connection:
                return len(connection.execute(text(ended)).all())
        with self.connection() as connection:
            found = connection.execute(
                text("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
            )
            ids = [row[0] for row in found]
            for number in ids:
                connection.exec_driver_sql(f"KILL {number}")
            return len(ids)

    def refuse_by_check(self, call_id: str) -> None:
        """Rows with this Call-ID."""
        if self.kind == "sqlite":
            self.refuse_by_trigger(call_id)  # SQLite cannot add a CHECK to a table
        else:
            self.execute(f"ALTER TABLE sip_trace ADD CONSTRAINT no_such CHECK (callid <> '{call_id}')")

    def refuse_by_trigger(self, pattern: str, words: str = "we do not store this") -> None:
        """Rows whose Call-ID is LIKE this."""
        when = f"NEW.callid LIKE '{pattern}'"
        if self.kind == "sqlite":
            self.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT ON sip_trace WHEN {when} BEGIN SELECT RAISE(ABORT, '{words}'); END"
            )
        elif self.kind == "postgresql":
            self.trigger(f"IF {when} THEN RAISE EXCEPTION '{words} %', NEW.callid; END IF;")
        else:
            said = f"SET @words = CONCAT('{words} ', NEW.callid); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = @words;"
            self.trigger(f"IF {when} THEN {said} END IF;")

    def trigger(self, body: str) -> None:
        """Before each row, in the language of PostgreSQL or MariaDB."""
        if self.kind == "postgresql":
            self.execute(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN {body} RETURN NEW; END $$",
                "CREATE TRIGGER refuse BEFORE INSERT ON sip_trace FOR EACH ROW EXECUTE FUNCTION refuse()",
            )
        else:
            self.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON sip_trace FOR EACH ROW BEGIN {body} END")

    def end_connection_at(self, call_id: str) -> None:
        """The server ends the connection that stores this row: a refusal that looks like an outage."""
        if self.kind == "postgresql":
            self.trigger(f"IF NEW.callid = '{call_id}' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;")
        else:
            self.trigger(f"IF NEW.callid = '{call_id}' THEN KILL CONNECTION_ID(); END IF;")

    def partition(self, until: str) -> None:
        """By date; there is no partition for later rows."""
        if self.kind == "mariadb":
            self.execute(
                "ALTER TABLE sip_trace DROP PRIMARY KEY, ADD PRIMARY KEY (id, time_stamp)",
                "ALTER TABLE sip_trace PARTITION BY RANGE (TO_DAYS(time_stamp))"
                f" (PARTITION p0 VALUES LESS THAN (TO_DAYS('{until}')))",
            )
        else:
            self.execute(
                "ALTER TABLE sip_trace RENAME TO whole",
                "CREATE TABLE sip_trace (LIKE whole INCLUDING DEFAULTS) PARTITION BY RANGE (time_stamp)",
                f"CREATE TABLE part PARTITION OF sip_trace FOR VALUES FROM ('1990-01-01') TO ('{until}')",
            )

    def url_of_few(self) -> str:
        """That of a user who may have one connection, and may store rows."""
        user = f"few{next(_numbers)}"
        if self.kind == "postgresql":
            self.execute(
                f"CREATE ROLE {user} LOGIN CONNECTION LIMIT 1",
                f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {user}",
                f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {user}",
            )
            return self.url.replace("tester@", f"{user}@")
        self.execute(
            f"CREATE USER {user}@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1",
            f"GRANT SELECT, INSERT ON *.* TO {user}@'127.0.0.1'",
        )
        return self.url.replace("tester:secret@", f"{user}@")

    @contextmanager
    def no_connection(self, url: str) -> Iterator[None]:
        """Another program has the only connection of this user; who had it has lost it."""
        engine = create_engine(parse_url(url), poolclass=NullPool)
        for _ in range(1000):
            self.end_connections()
            with suppress(OperationalError), engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
                yield
                return
            time.sleep(0.01)
        raise AssertionError("the other one is always quicker")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another program locks the table."""
        with ExitStack() as stack:
            if self.kind == "sqlite":
                other = sqlite3.connect(self.path, isolation_level=None)
                stack.callback(other.close)
                other.execute("BEGIN IMMEDIATE")
            else:
                connection = stack.enter_context(self.connection())
                if self.kind == "postgresql":
                    connection.exec_driver_sql("BEGIN")
                    connection.exec_driver_sql("LOCK TABLE sip_trace IN SHARE MODE")
                else:
                    connection.exec_driver_sql("LOCK TABLES sip_trace READ")
            yield


class CuttingProxy:
    """Between a client and a server: ends the connections at the client's COMMIT (`at`), as often as `cuts` says.

    `after`: the server has answered, but the client does not get the answer. Otherwise the server gets no COMMIT.
    """

    def __init__(self, port: int, after: bool, cuts: int = 1, at: str = "COMMIT") -> None:
        self.cuts = cuts
        self._at = re.compile(rb"(?<!AUTO)" + at.encode())
        self._after = after
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server, suppress(OSError):
            while True:
                ready, _, _ = select.select([client, server], [], [], 60)
                for end in ready:
                    data = end.recv(1 << 20)
                    cut = end is client and self.cuts > 0 and self._at.search(data) is not None
                    if cut:
                        self.cuts -= 1
                    if cut and self._after:
                        server.sendall(data)
                        server.recv(1 << 20)
                    if cut or not data:
                        return
                    (server if end is client else client).sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
