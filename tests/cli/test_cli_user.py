"""`run --user`: started as root, it goes on as another user, who keeps CAP_NET_RAW alone and owns what was made."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
from faults.interfaces import Namespace, wires
from free_ports import free_port

import capture_agent
from capture_agent.app.dropping_root import PrivilegesError, User, find_user, give_folder
from capture_agent.sinks.sql.schema import create_tables

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

PATIENCE = 60
NOBODY = 65534
NET_RAW = f"{1 << 13:016x}"
NOTHING = f"{0:016x}"
OPTIONS = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
    b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Root's, for everybody to read; `own` is nobody's."""
    with TemporaryDirectory(prefix="capture-agent-") as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "own").mkdir()
        os.chown(path / "own", NOBODY, NOBODY)
        yield path


def table(file: Path, owner: int = NOBODY) -> str:
    """The URL of a database with the table."""
    create_tables(f"sqlite:///{file}")
    os.chown(file, owner, owner)
    return f"sqlite:///{file}"


AGENT = (sys.executable, "-m", "capture_agent")


def agent(*words: str) -> list[str]:
    return [*AGENT, "run", *words]


@contextmanager
def running(
    folder: Path, *words: str, inside: Namespace | None = None, program: Sequence[str] = (*AGENT, "run")
) -> Iterator[subprocess.Popen[bytes]]:
    log, command = folder / "log", [*program, *words]
    with log.open("wb") as file:
        process = subprocess.Popen(command if inside is None else inside.command(*command), stderr=file)
    try:
        give_up = time.monotonic() + PATIENCE
        while "runs as" not in log.read_text():
            assert time.monotonic() < give_up and process.poll() is None, log.read_text()
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def readable(folder: Path, *command: str) -> list[str]:
    """The command, where every user can read this Python, wherever it is: in mounts of its own."""
    places = {str(Path(one).resolve()) for one in (sys.base_prefix, sys.prefix, capture_agent.__path__[0])}
    steps = ["set -e"]
    for n, place in enumerate(sorted(places)):
        closed = next((one for one in reversed(Path(place).parents) if not one.stat().st_mode & 0o001), None)
        if closed is not None:
            aside = folder / f"aside{n}"
            aside.mkdir()
            steps += [f"mount --bind {place} {aside}", f"mount -t tmpfs -o mode=755 none {closed}"]
            steps += [f"mkdir -p {place}", f"mount --bind {aside} {place}"]
    return ["unshare", "--mount", "sh", "-c", "; ".join([*steps, 'exec "$@"']), "sh", *command]


def status(process: int) -> list[dict[str, str]]:
    """Of each thread, as proc_pid_status(5) has it."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
    return [dict(re.findall(r"^(\w+):\s*(.*?)\s*$", text, re.MULTILINE)) for text in texts]


def test_what_remains(folder: Path) -> None:
    """A port below 1024 is taken, and user code is imported as the user."""
    port = free_port()
    (folder / "hook.py").write_text(
        "import os, pathlib\npathlib.Path(__file__).with_name('own').joinpath('imported').write_text(str(os.geteuid()))\n"
        "def on_message(message):\n    pass\n"
    )
    (folder / "agent.toml").write_text('[hooks]\nmodules = ["hook.py"]\n[run]\nuser = "nobody"\n')
    control, database = folder / "own" / "c.sock", table(folder / "own" / "trace.db")
    words = ["--config", str(folder / "agent.toml"), "-i", "lo", "--filter", f"udp port {port}", "--db", database]
    words += ["--listen", "sip:127.0.0.77:77", "--control", str(control), "--hep", "hep+tcp:127.0.0.1:1"]
    with running(folder, *words) as process:
        threads = status(process.pid)
        assert len(threads) > 5
        for one in threads:
            assert one["Uid"].split() == one["Gid"].split() == [str(NOBODY)] * 4
            assert one["Groups"].split() in ([], [str(NOBODY)])
            assert one["CapPrm"] == one["CapEff"] in (NET_RAW, NOTHING)
            assert (one["CapBnd"], one["CapInh"], one["CapAmb"]) == (NET_RAW, NOTHING, NOTHING)
            assert one["NoNewPrivs"] == "1"
        assert [one["CapEff"] for one in threads if int(one["Pid"]) == process.pid] == [NET_RAW]
        assert control.stat().st_uid == NOBODY
        answered = subprocess.run(
            [*AGENT, "status", "check", "--control", str(control)],
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        assert answered.stdout == "Enabled\n"
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(OPTIONS, ("127.0.0.1", port))
            sender.sendto(OPTIONS.replace(b"Call-ID: 1", b"Call-ID: 2"), ("127.0.0.77", 77))
            give_up = time.monotonic() + PATIENCE
            with closing(sqlite3.connect(folder / "own" / "trace.db")) as rows:
                while rows.execute("select count(*) from sip_trace").fetchone() != (2,):
                    assert time.monotonic() < give_up
                    time.sleep(0.05)
        assert {path.stat().st_uid for path in (folder / "own").iterdir()} == {NOBODY}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert (folder / "own" / "imported").read_text() == str(NOBODY)
    assert "runs as user nobody (uid 65534, gid 65534), with CAP_NET_RAW alone" in (folder / "log").read_text()


def asked(door: tuple[str, int], path: str, **headers: str) -> int:
    """The status of the HTTP door's answer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with closing(HTTPSConnection(*door, timeout=PATIENCE, context=context)) as connection:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status


def test_the_http_door_is_open_before_the_user_can_read_nothing(folder: Path, certificate: Path) -> None:
    """Its port is below 1024; certificate, token and all that Python imports are in folders of root."""
    closed, token, door = folder / "closed", "o8Zr3kQ2vT9wLx1c", ("127.0.0.78", 96)
    closed.mkdir(mode=0o700)
    (closed / "token").write_text(token)
    (closed / "cert.pem").write_bytes(certificate.read_bytes())
    (folder / "agent.toml").write_text(
        f'[http]\nlisten = "{door[0]}:{door[1]}"\ntoken_file = "closed/token"\ntls_cert = "closed/cert.pem"\n'
        '[run]\nuser = "nobody"\n[metrics]\ncalls = true\n'
    )
    places = [str(Path(capture_agent.__file__).parents[1]), *filter(os.path.isdir, sys.path)]
    for n, place in enumerate(places):
        (closed / str(n)).symlink_to(place)
    start = (
        f"import sys; sys.path[:] = {[str(closed / str(n)) for n in range(len(places))]}; import capture_agent.cli as c"
    )
    control = folder / "own" / "c.sock"
    words = ["-c", str(folder / "agent.toml"), "-i", "lo", "--filter", "udp port 9", "--hep", "hep:127.0.0.1:9"]
    python = [sys.executable, "-I", "-S", "-c", f"{start}; sys.exit(c.main())"]
    with running(folder, *words, "--control", str(control), program=[*python, "run"]) as process:
        for accept in ("text/plain", "application/openmetrics-text"):
            assert asked(door, "/metrics", Accept=accept, Authorization=f"Bearer {token}") == 200
        assert asked(door, "/api/stats", Authorization=f"Bearer {token}") == 200
        assert (asked(door, "/metrics"), asked(door, "/health"), asked(door, "/ready")) == (401, 200, 200)
        for command in (["stats", "--prometheus"], ["stats"], ["status", "check"]):
            subprocess.run(
                [*AGENT, *command, "--control", str(control)], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE
            )
        # Another process would have to read the configuration, and cannot.
        refused = subprocess.run(
            [*AGENT, "reload", "--control", str(control)], capture_output=True, text=True, check=False
        )
        assert (refused.returncode, "the configuration was not read: " in refused.stderr) == (1, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    log = (folder / "log").read_text()
    assert re.search(
        "with CAP_NET_RAW alone; it cannot read .*: reloads, and what the agent imports later, may fail", log
    )
    assert "internal error" not in log and "unexpected" not in log


@pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2")
def test_interfaces_are_opened_later(folder: Path) -> None:
    """One that a reload adds, by a signal and by a command, and one that was down."""
    config, control = folder / "agent.toml", folder / "own" / "c.sock"
    config.write_text('[capture]\ninterfaces = ["eth1"]\n')
    config.chmod(0o644)

    def arrives(sender: socket.socket, to: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while True:
            sender.sendto(OPTIONS, (to, 5060))
            try:
                sink.recv(9999)
                return
            except TimeoutError:
                assert time.monotonic() < give_up, (folder / "log").read_text()

    with (
        wires(("eth1", "eth2")) as (here, there),
        here.udp() as sink,
        there.udp("192.0.2.2") as first,
        there.udp("198.51.100.2") as second,
    ):
        sink.settimeout(0.5)
        words = ["--config", str(config), "--user", "nobody", "--control", str(control)]
        words += ["--sip", f"sip:127.0.0.1:{sink.getsockname()[1]}"]
        with running(folder, *words, inside=here, program=readable(folder, *AGENT, "run")) as process:
            arrives(first, "192.0.2.1")
            config.write_text('[capture]\ninterfaces = ["eth1", "eth2"]\n')
            reload = [*AGENT, "reload", "--control", str(control)]
            subprocess.run(reload, check=True, timeout=PATIENCE)
            arrives(second, "198.51.100.1")
            here.down("eth1")
            here.up("eth1")
            arrives(first, "192.0.2.1")
            config.write_text('[capture]\ninterfaces = ["eth1"]\n')
            subprocess.run(reload, check=True, timeout=PATIENCE)
            config.write_text('[capture]\ninterfaces = ["eth1", "eth2"]\n')
            process.send_signal(signal.SIGHUP)
            arrives(second, "198.51.100.1")
        assert "no permission" not in (folder / "log").read_text()


@pytest.mark.parametrize(
    ("user", "says"),
    [
        pytest.param("nobody-at-all", "user 'nobody-at-all': there is no such user", id="unknown"),
        pytest.param("4000000000", "there is no such user", id="unknown number"),
        pytest.param("9" * 30, "there is no such user", id="no number of a user"),
        pytest.param("root", "is root, or in root's group", id="root"),
        pytest.param("0", "is root, or in root's group", id="root's number"),
    ],
)
def test_refused(user: str, says: str) -> None:
    words = agent("-i", "lo", "--hep", "hep:127.0.0.1:9", "--user", user)
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert re.fullmatch(rf"capture-agent: run: run\.user: .*{re.escape(says)}.*\n", done.stderr)


def test_what_the_user_may_not_write_is_refused(folder: Path) -> None:
    words = agent("-i", "lo", "--db", table(folder / "own" / "trace.db", owner=0), "--user", "nobody")
    for control, says in (("", "the file is not writable"), (str(folder / "c.sock"), "cannot create a file in")):
        done = subprocess.run([*words, "--control", control], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2
        assert says in done.stderr


@pytest.mark.skipif(which("setpriv") is None, reason="needs setpriv of util-linux")
@pytest.mark.parametrize(
    ("user", "says"),
    [
        pytest.param("daemon", "only root can become another user, and this is uid 65534", id="another"),
        pytest.param("nobody", "runs as user nobody (uid 65534, gid 65534), as it was started", id="the same"),
    ],
)
def test_not_started_as_root(user: str, says: str) -> None:
    # The second capability reads this environment, wherever it is, and writes nothing.
    capabilities = "+net_raw,+dac_read_search"
    nobody = ["setpriv", "--pdeathsig=KILL", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
              f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", "--"]  # fmt: skip
    words = agent(
        "--listen", f"sip:127.0.0.1:{free_port()}", "--hep", "hep:127.0.0.1:9", "--control", "", "--user", user
    )
    with subprocess.Popen([*nobody, *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline(), process.stderr.readline()]
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert says in "".join(lines)
    assert process.returncode == (0 if user == "nobody" else 2)


def test_as_root_a_line_says_so(folder: Path) -> None:
    words = ["--listen", f"sip:127.0.0.1:{free_port()}", "--hep", "hep:127.0.0.1:9", "--control", ""]
    with running(folder, *words):
        assert "INFO: runs as root: with --user NAME" in (folder / "log").read_text()


@pytest.mark.parametrize(
    ("before", "owner"),
    [
        pytest.param(lambda path: None, NOBODY, id="new"),
        pytest.param(lambda path: path.mkdir(), NOBODY, id="root's, empty"),
        pytest.param(lambda path: (path.mkdir(), (path / "control.sock").touch()), 0, id="root's, in use"),
        pytest.param(lambda path: (path.mkdir(), os.chown(path, 1, 1)), 1, id="another user's"),
    ],
)
def test_the_folder_of_the_control_socket(tmp_path: Path, before: Callable[[Path], object], owner: int) -> None:
    path = tmp_path / "capture-agent"
    before(path)
    give_folder(path, find_user("nobody"))
    assert path.stat().st_uid == owner


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(PrivilegesError, match="link"):
        give_folder(tmp_path / "link", User("nobody", NOBODY, NOBODY, "/"))
    assert (tmp_path / "target").stat().st_uid == 0
