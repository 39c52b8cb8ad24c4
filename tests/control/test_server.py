"""The control socket: framing, several clients, and hostile ones."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from faults.descriptors import none_left
from sink_samples import eventually

from capture_agent.control import server
from capture_agent.control.client import ask
from capture_agent.control.commands import Fault
from capture_agent.control.place import ControlError, default_path, listen, make_folder, where_to_ask
from capture_agent.control.server import LONGEST_REQUEST, MOST_CONNECTIONS, Door
from capture_agent.net import accepting

pytestmark = pytest.mark.once
PATIENCE = 20.0


def upper(document: bytes) -> bytes:
    return document.strip().upper().replace(b"NOTHING", b"")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path / "s", upper)
    door.start()
    yield door
    door.close()


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(path))
    return client


def lines(client: socket.socket, count: int) -> list[bytes]:
    reader = client.makefile("rb")
    return [reader.readline() for _ in range(count)]


def test_without_descriptors_it_waits_and_continues(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 0.1)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        with none_left():
            client.connect(str(door.path))
            client.sendall(b"one\n")
            eventually(lambda: door._accept_failures.pauses > 1)
        assert lines(client, 1) == [b"ONE\n"]
    assert door._accept_failures.pauses < 100
    assert caplog.messages == ["control socket: cannot accept connections for now: too many open files"]


def test_a_socket_that_fails_is_reported(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with connected(door.path) as client:
        door._server.close()
        with suppress(ConnectionError):
            client.sendall(b"one\n")
    door._thread.join(PATIENCE)
    assert not door._thread.is_alive()
    assert caplog.messages == [
        f"control socket {door.path}: bad file descriptor; nothing is answered until the next start"
    ]


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ([b"one\n"], [b"ONE\n"]),
        ([b"one\r\n"], [b"ONE\n"]),
        ([b"one\ntwo\n"], [b"ONE\n", b"TWO\n"]),
        ([b"on", b"e\ntw", b"o\n"], [b"ONE\n", b"TWO\n"]),
        ([b"\n\n \n one\n\n"], [b"ONE\n"]),
        ([b"nothing\none\n"], [b"ONE\n"]),
    ],
)
def test_framing(door: Door, sent: list[bytes], wanted: list[bytes]) -> None:
    with connected(door.path) as client:
        for piece in sent:
            client.sendall(piece)
        assert lines(client, len(wanted)) == wanted


@pytest.mark.parametrize(("sent", "wanted"), [(b"one", b"ONE\n"), (b"one\ntwo", b"ONE\nTWO\n"), (b"", b"")])
def test_the_end_of_sending_ends_a_request(door: Door, sent: bytes, wanted: bytes) -> None:
    with connected(door.path) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: client.recv(100), b"")) == wanted


def test_a_request_that_is_too_long(door: Door) -> None:
    with connected(door.path) as client:
        client.sendall(b"x" * (LONGEST_REQUEST + 1))
        answer = json.loads(client.makefile("rb").read())  # and it is closed
    assert answer["error"] == {"code": -32600, "message": f"Request longer than {LONGEST_REQUEST} bytes"}


def test_the_longest_request(door: Door) -> None:
    with connected(door.path) as client:
        client.sendall(b"x" * LONGEST_REQUEST + b"\n")
        assert lines(client, 1) == [b"X" * LONGEST_REQUEST + b"\n"]


def test_a_client_that_waits_holds_up_nobody(door: Door) -> None:
    with connected(door.path) as slow, connected(door.path) as quick:
        slow.sendall(b"half of a requ")
        quick.sendall(b"one\n")
        assert lines(quick, 1) == [b"ONE\n"]
        slow.sendall(b"est\n")
        assert lines(slow, 1) == [b"HALF OF A REQUEST\n"]


def test_a_client_that_reads_nothing_is_not_read_from(door: Door) -> None:
    """Its requests stay in its own buffers: the agent's memory for it does not grow."""
    line = b"x" * 1000 + b"\n"
    with connected(door.path) as greedy, connected(door.path) as quick:
        greedy.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(100_000):
                greedy.send(line)
        quick.sendall(b"one\n")
        assert lines(quick, 1) == [b"ONE\n"]
        held = max(len(each._answers) + len(each._received) for each in list(door._connections.values()))
        assert held <= 2 * LONGEST_REQUEST + len(line)


def test_answers_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_ANSWERS", 1000)
    door = Door(tmp_path / "s", lambda document: b"x" * 300)
    door.start()
    with connected(door.path) as client:
        client.sendall(b"a\n" * 1000)
        client.shutdown(socket.SHUT_WR)
        *answers, last = client.makefile("rb").read().splitlines()
    door.close()
    assert answers == [b"x" * 300] * 4
    assert json.loads(last)["error"]["message"] == "Too many requests at once"


def test_more_connections_than_are_allowed(door: Door) -> None:
    """The one that has done nothing for longest makes room: who only connects keeps nobody out."""
    held = [connected(door.path) for _ in range(MOST_CONNECTIONS)]
    for n, client in enumerate(held):
        client.sendall(b"%d\n" % n)
        assert lines(client, 1) == [b"%d\n" % n]
    with connected(door.path) as late:
        late.sendall(b"one\n")
        assert lines(late, 1) == [b"ONE\n"]
        assert held[0].recv(1) == b""
        held[1].sendall(b"two\n")
        assert lines(held[1], 1) == [b"TWO\n"]
    for client in held:
        client.close()


def test_a_thousand_connections_at_once(door: Door) -> None:
    clients: list[socket.socket] = []
    for n in range(1000):
        clients.append(connected(door.path))
        if n % 2:
            clients[-1].sendall(b"half of a requ")
        if n % 100 == 99:
            with connected(door.path) as client:
                client.sendall(b"one\n")
                assert lines(client, 1) == [b"ONE\n"]
                assert len(door._connections) <= MOST_CONNECTIONS
    for client in clients:
        client.close()


def test_a_request_that_never_ends_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.05)
    door = Door(tmp_path / "s", upper)
    door.start()
    with connected(door.path) as client:
        client.sendall(b"half")
        assert client.recv(1) == b""
    door.close()


def test_clients_that_go_away(door: Door) -> None:
    for _ in range(50):
        with connected(door.path) as client:
            client.sendall(b"one\n" * 100)
    with connected(door.path) as client:
        client.sendall(b"one\n")
        assert lines(client, 1) == [b"ONE\n"]


def test_only_its_owner_may(door: Door) -> None:
    assert stat.S_IMODE(door.path.stat().st_mode) == 0o600


def test_closing_ends_all(tmp_path: Path) -> None:
    door = Door(tmp_path / "s", upper)
    door.start()
    with connected(door.path) as client:
        door.close()
        assert client.recv(1) == b""
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "control"]


def test_a_dead_agents_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.is_socket()
    door = Door(path, upper)
    door.start()
    with connected(path) as client:
        client.sendall(b"one\n")
        assert lines(client, 1) == [b"ONE\n"]
    door.close()
    assert not path.exists()


def test_a_running_agents_socket_is_not_replaced(door: Door) -> None:
    with pytest.raises(ControlError, match=r"/s: another agent listens there$"):
        Door(door.path, upper)
    with connected(door.path) as client:
        client.sendall(b"one\n")
        assert lines(client, 1) == [b"ONE\n"]


def test_of_two_that_start_at_once_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        doors: list[Door] = []
        refused: list[ControlError] = []

        def start(doors: list[Door] = doors, refused: list[ControlError] = refused) -> None:
            try:
                doors.append(Door(path, upper))
            except ControlError as error:
                refused.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(doors), len(refused)) == (1, 3)
        doors[0].close()


def test_what_another_has_put_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    door = Door(path, upper)
    door.start()
    path.unlink()
    path.write_text("mine")
    door.close()
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("text"), "s: a file that is not a socket exists there"),
        (lambda path: path.mkdir(), "s: a file that is not a socket exists there"),
        (lambda path: path.symlink_to("elsewhere"), "s: a file that is not a socket exists there"),
    ],
)
def test_other_files_stay(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "s")
    with pytest.raises(ControlError, match=f"{message}$"):
        listen(tmp_path / "s")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nix/s", "nix/s: no such file or directory"),
        ("x" * 120, "x: path too long, expected at most 107 bytes"),
    ],
)
def test_where_it_cannot_be(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(ControlError, match=f"{message}$"):
        listen(tmp_path / path)


@pytest.mark.parametrize(
    ("environ", "user", "path"),
    [
        ({"RUNTIME_DIRECTORY": "/run/x", "XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/x/control.sock"),
        ({"RUNTIME_DIRECTORY": "/run/x:/run/y"}, 0, "/run/x/control.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/0"}, 0, "/run/capture-agent/control.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/capture-agent/control.sock"),
        ({}, 7, None),
    ],
)
def test_the_default_place(environ: dict[str, str], user: int, path: str | None) -> None:
    assert default_path(environ, user) == (None if path is None else Path(path))


def test_where_a_client_looks(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert where_to_ask(environ, 7) == Path("/run/capture-agent/control.sock")
    path = tmp_path / "capture-agent" / "control.sock"
    make_folder(path.parent)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.touch()
    assert where_to_ask(environ, 7) == path


def test_socat(door: Door) -> None:
    if shutil.which("socat") is None:
        pytest.skip("no socat: apt install socat")
    command = ["socat", "-t", "10", "-", f"UNIX-CONNECT:{door.path}"]
    done = subprocess.run(command, input=b"one\ntwo", capture_output=True, check=True, timeout=PATIENCE)
    assert done.stdout == b"ONE\nTWO\n"


def answering(text: bytes) -> Callable[[bytes], bytes]:
    return lambda document: text


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (b'{"jsonrpc": "2.0", "result": "Enabled", "id": 1}', "Enabled"),
        (b'{"jsonrpc": "2.0", "error": {"code": 500, "message": "no"}, "id": 1}', "no"),
        (b"nonsense", "unexpected reply, not a capture-agent"),
        (b"[]", "unexpected reply, not a capture-agent"),
        (b"7", "unexpected reply, not a capture-agent"),
        (b'{"error": "x"}', "unexpected reply, not a capture-agent"),
        (b'{"error": {"code": "x", "message": 1}}', "unexpected reply, not a capture-agent"),
        (b"{}", "unexpected reply, not a capture-agent"),
        (b"[" * 50_000, "unexpected reply, not a capture-agent"),
        (b"x" * (1 << 21), "unexpected reply, not a capture-agent"),
    ],
)
def test_client(tmp_path: Path, reply: bytes, wanted: str) -> None:
    door = Door(tmp_path / "s", answering(reply))
    door.start()
    try:
        got = ask(door.path, "siptrace.status", ["check"], PATIENCE)
    except (Fault, ControlError) as error:
        got = str(error).removeprefix(f"{door.path}: ")
    door.close()
    assert got == wanted


def test_client_without_an_agent(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"^no agent listens on .*/s$"):
        ask(tmp_path / "s", "stats", [])
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with pytest.raises(ControlError, match=r"^no agent listens on .*/s$"):
        ask(tmp_path / "s", "stats", [])
    with pytest.raises(ControlError, match=r": path too long, expected at most 107 bytes$"):
        ask(tmp_path / ("x" * 120), "stats", [])


def test_client_of_an_agent_that_hangs(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hangs:
        hangs.bind(str(tmp_path / "s"))
        hangs.listen()
        with pytest.raises(ControlError, match=r"s: no answer within 0\.05 s$"):
            ask(tmp_path / "s", "stats", [], 0.05)
