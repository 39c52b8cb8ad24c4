"""One clear line for any problem of a database, and never a password."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from free_ports import free_port

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql.database import make_engine, parse_url, shown
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("sqlite:////var/lib/trace.db", "sqlite:////var/lib/trace.db"),
        ("postgresql://u:secret@db.example.com/sip", "postgresql://u:***@db.example.com/sip"),
        ("postgres://u:secret@db:5433/sip?password=secret", "postgresql://u:***@db:5433/sip"),
        ("mysql+pymysql://u:secret@[::1]/sip", "mysql://u:***@[::1]/sip"),
        ("mariadb://u@db/sip", "mariadb://u@db/sip"),
    ],
)
def test_what_is_shown(url: str, want: str) -> None:
    assert shown(parse_url(url)) == want
    assert SqlSink(SqlTarget(url)).name == want


@pytest.mark.parametrize("url", ["", "trace.db", "oracle://u:secret@h/d", "postgresql://u:secret@h:port/d", "://"])
def test_texts_that_are_not_urls(url: str) -> None:
    with pytest.raises(SinkError, match="^not a database URL, expected sqlite:///FILE") as caught:
        SqlSink(SqlTarget(url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("postgresql://u:secret@h/d", "psycopg", "postgresql"), ("mysql://u:secret@h/d", "pymysql", "mysql")],
)
def test_a_missing_driver(monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str) -> None:
    real: Callable[..., object] = builtins.__import__

    def fake(
        name: str,
        namespace: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> object:
        if name == module:
            raise ImportError(name)
        return real(name, namespace, local, names, level)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(SinkError) as caught:
        make_engine(parse_url(url))
    kind = url.partition(":")[0]
    assert str(caught.value) == (
        f"{kind}://u:***@h/d: the driver {kind}+{module} is not installed: pip install 'capture-agent[{extra}]'"
    )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=rf"/none/x.db: no such directory: {tmp_path}/none$"):
        create_tables(f"sqlite:///{tmp_path}/none/x.db")


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    for use in (create_tables, lambda url: SqlSink(SqlTarget(url)).open()):
        with pytest.raises(SinkError, match=rf"^sqlite:///{tmp_path}: is a directory$"):
            use(f"sqlite:///{tmp_path}")


def test_a_folder_without_write_permission() -> None:
    with pytest.raises(SinkError, match=r"^sqlite:////proc/x.db: cannot open or create the file$"):
        create_tables("sqlite:////proc/x.db")


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"INVITE sip:bob@example.com SIP/2.0\r\n" * 100)
    with pytest.raises(SinkError, match="the file is not a SQLite database$"):
        SqlSink(SqlTarget(f"sqlite:///{tmp_path}/x.db")).open()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_is_not_there(kind: str) -> None:
    port = free_port()
    with pytest.raises(SinkError) as caught:
        SqlSink(SqlTarget(f"{kind}://u:secret@127.0.0.1:{port}/d")).open()
    line = str(caught.value)
    assert line.startswith(f"{kind}://u:***@127.0.0.1:{port}/d: ")
    assert "refused" in line
    assert "secret" not in line
    assert "\n" not in line


def test_an_unknown_database(postgresql: str, mariadb: str) -> None:
    for url, words in (
        (f"{postgresql}/nowhere", 'database "nowhere" does not exist'),
        (f"{mariadb}/nowhere", "Unknown database 'nowhere'"),
    ):
        with pytest.raises(SinkError) as caught:
            create_tables(url)
        assert str(caught.value) == f"{url.replace(':secret@', ':***@')}: {words}"


def test_a_wrong_password(mariadb: str) -> None:
    with pytest.raises(SinkError, match=r"^mysql://tester:\*\*\*@.*: Access denied for user 'tester'") as caught:
        create_tables(f"{mariadb.replace('secret', 'hidden')}/x")
    assert "hidden" not in str(caught.value)
