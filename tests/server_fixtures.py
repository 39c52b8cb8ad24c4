"""New receivers per test, and database servers that all tests share."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from faults import databases
from free_ports import free_port
from sink_samples import TcpReceiver, UdpReceiver, new_database

from benchmarks import servers


@pytest.fixture
def udp() -> Iterator[UdpReceiver]:
    receiver = UdpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def tcp() -> Iterator[TcpReceiver]:
    receiver = TcpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1, signed by itself, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "collector.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=collector"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", f"{file}.crt"],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


@pytest.fixture
def tls(certificate: Path) -> Iterator[TcpReceiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    receiver = TcpReceiver(wrap=lambda connection: context.wrap_socket(connection, server_side=True))
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    if servers.postgresql_programs() is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    # Not pytest's folders: the server's user may not enter them.
    with TemporaryDirectory(prefix="capture-agent-postgresql-") as folder:
        Path(folder).chmod(0o755)
        with servers.postgresql(Path(folder), free_port()) as url:
            yield url


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    if servers.mariadb_programs() is None:
        pytest.skip("no MariaDB server here: apt-get install mariadb-server")
    with TemporaryDirectory(prefix="capture-agent-mariadb-") as folder:
        Path(folder).chmod(0o755)
        with servers.mariadb(Path(folder), free_port()) as url:
            yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/trace.db"


@pytest.fixture
def postgresql_url(postgresql: str) -> str:
    return new_database(postgresql)


@pytest.fixture
def mariadb_url(mariadb: str) -> str:
    return new_database(mariadb, "CHARACTER SET utf8mb4")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="session")
def fault_servers() -> Iterator[dict[str, databases.Server]]:
    """Servers separate from other tests': these are stopped and killed."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(databases.server(kind, free_port())) for kind in databases.SERVERS}


@pytest.fixture
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[databases.Database]:
    """An empty database of the kind that a test is parametrized with (indirectly)."""
    kind = str(request.param)
    if kind == "sqlite":
        yield databases.Database(kind, None, tmp_path)
        return
    server = request.getfixturevalue("fault_servers")[kind]
    server.start()
    yield databases.Database(kind, server, tmp_path)
    if server.process is not None:
        server.thaw()
