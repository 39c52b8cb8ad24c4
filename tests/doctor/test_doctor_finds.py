"""`capture-agent doctor` in network namespaces: it finds what a test has broken, and says nothing of a good set-up."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from shutil import which

import pytest
from doctor.patients import NOBODY, PEER, READS_ONLY, SERVER, Patient, certificate, is_root, options, patient
from faults.disks import can_mount, small_disk
from faults.names import Names

from hep import decode

pytestmark = pytest.mark.skipif(not is_root() or which("ip") is None, reason="network namespaces need root and ip")

SLOW_CONDITION = "import time\n\n\ndef slow(message):\n    time.sleep(0.02)\n    return True\n"
LATE_CLOCK = (
    "import sys, time\nnow, now_ns = time.time, time.time_ns\n"
    "time.time = lambda: now() + 3600\ntime.time_ns = lambda: now_ns() + 3600 * 10**9\n"
    "from capture_agent.cli import main\nsys.exit(main())\n"
)


@pytest.fixture
def one() -> Iterator[Patient]:
    with patient() as made:
        yield made


def no_capability(one: Patient) -> None:
    one.config.touch(mode=0o644)
    one.before = [*NOBODY, *READS_ONLY]
    one.sql = {}


def interface_down(one: Patient) -> None:
    one.here.down("eth1")


def other_end_down(one: Patient) -> None:
    one.there.down("eth1")


def interface_missing(one: Patient) -> None:
    one.capture["interfaces"] = ["eth1", "eth9"]


def pattern_without_interface(one: Patient) -> None:
    one.capture["interfaces"] = ["eth1", "ens*"]


def quiet(one: Patient) -> None:
    one.silence()


def filter_without_sip(one: Patient) -> None:
    one.capture["filter"] = "udp port 5999"


def filter_without_vlan(one: Patient) -> None:
    one.talk_in_vlan(7)
    one.capture["filter"] = "udp port 5060"


def filter_that_is_none(one: Patient) -> None:
    one.capture["filter"] = "udp prot 5060"


def sip_on_other_ports(one: Patient) -> None:
    one.talk(port=5080)
    one.capture["ports"] = [5070]


def wrong_local(one: Patient) -> None:
    one.capture["local"] = ["203.0.113.9"]


def not_promiscuous(one: Patient) -> None:
    """On a mirror port."""
    one.capture |= {"local": [PEER.replace("2.2", "3.0/24")], "promiscuous": False}


def any_on_a_mirror_port(one: Patient) -> None:
    one.capture |= {"local": ["203.0.113.9"], "interfaces": ["any"]}


def small_buffer(one: Patient) -> None:
    """And more than the pipeline carries."""
    (one.folder / "slow.py").write_text(SLOW_CONDITION)
    one.more = '[hooks]\nslow_ms = 0\n[[rule]]\nwhen = "slow.py:slow"\n'
    one.capture["buffer_mib"] = 1
    one.seconds = 3
    sender = one.there.udp(PEER, 5061)
    one.stack.callback(sender.close)
    stopped = threading.Event()
    one.stack.callback(stopped.set)

    def flood() -> None:
        n = 0
        while not stopped.is_set():
            n += 1
            with suppress(OSError):
                sender.sendto(options(n, size=900), (SERVER, 5060))

    threading.Thread(target=flood, daemon=True).start()


def short_snapshot(one: Patient) -> None:
    one.capture["snapshot_length"] = 200


def nobody_listens(one: Patient) -> None:
    assert one.collector is not None
    one.collector.close()


def nobody_listens_over_udp(one: Patient) -> None:
    one.hep = {"host": "127.0.0.1", "port": 9}


def unknown_name(one: Patient) -> None:
    one.hep["host"] = "collector.invalid"


def no_route(one: Patient) -> None:
    one.hep["host"] = "203.0.113.1"


def certificate_expired(one: Patient) -> None:
    made = certificate(one.folder, days=-1)
    one.collect(made, tls_ca=str(made))


def certificate_of_another(one: Patient) -> None:
    made = certificate(one.folder, names="DNS:other.example")
    one.collect(made, tls_ca=str(made))


def certificate_of_nobody(one: Patient) -> None:
    one.collect(certificate(one.folder))


def tls_to_a_plain_port(one: Patient) -> None:
    one.hep["transport"] = "tls"


def certificate_unchecked(one: Patient) -> None:
    one.collect(certificate(one.folder), tls_verify=False)


def in_the_database(one: Patient, statement: str) -> None:
    with closing(sqlite3.connect(one.database)) as connection, connection:
        connection.execute(statement)


def no_file(one: Patient) -> None:
    one.database.unlink()


def no_table(one: Patient) -> None:
    in_the_database(one, "DROP TABLE sip_trace")


def other_version(one: Patient) -> None:
    in_the_database(one, "UPDATE version SET table_version = 3 WHERE table_name = 'sip_trace'")


def rows_refused(one: Patient) -> None:
    in_the_database(
        one, "CREATE TRIGGER no BEFORE INSERT ON sip_trace BEGIN SELECT RAISE(ABORT, 'archived: read only'); END"
    )


def no_table_of_a_rule(one: Patient) -> None:
    one.more = '[[rule]]\ntable = "elsewhere"\n'


def secrets_for_all(one: Patient) -> None:
    one.hep["auth_key"] = "S3cret"
    one.config.touch()
    one.config.chmod(0o644)


def key_file_for_all(one: Patient) -> None:
    key = one.folder / "key"
    key.write_text("S3cret")
    key.chmod(0o644)
    one.hep["auth_key_file"] = str(key)


def private_key_for_all(one: Patient) -> None:
    key = one.folder / "server.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True, timeout=60)
    key.chmod(0o644)
    one.more = f'[tls]\nkeys = ["{key}"]\n'


def database_for_all(one: Patient) -> None:
    one.database.chmod(0o644)


def clock_off(one: Patient) -> None:
    one.python = ["-c", LATE_CLOCK]


def nothing_matches(one: Patient) -> None:
    one.more = '[[rule]]\nmethod = "MESSAGE"\n'


def tracing_off(one: Patient) -> None:
    one.more = "[trace]\non = false\n"


def listens_on_a_port_in_use(one: Patient) -> None:
    one.stack.callback(one.here.udp("127.0.0.1", 5888).close)
    one.capture["listen"] = ["sip:127.0.0.1:5888"]


BROKEN: list[tuple[Callable[[Patient], None], str, str, str]] = [
    (no_capability, "capability", "broken", "CAP_NET_RAW"),
    (interface_down, "interface", "broken", "ip link set dev eth1 up"),
    (other_end_down, "interface", "broken", "bring the other end up"),
    (interface_missing, "interface", "broken", "`capture-agent interfaces`"),
    (pattern_without_interface, "interface", "broken", "`capture-agent interfaces`"),
    (quiet, "sip", "warning", "--seconds 60"),
    (filter_without_sip, "filter", "broken", "port 5060"),
    (filter_without_vlan, "filter", "broken", "vlan and"),
    (filter_that_is_none, "configuration", "broken", "correct this line"),
    (sip_on_other_ports, "ports", "broken", "add 5080"),
    (wrong_local, "direction", "warning", SERVER),
    (not_promiscuous, "promiscuous", "warning", "capture.promiscuous = true"),
    (any_on_a_mirror_port, "promiscuous", "warning", "instead of `any`"),
    (small_buffer, "drops", "warning", "capture.buffer_mib"),
    (short_snapshot, "offload", "warning", "snapshot_length"),
    (nobody_listens, "connection", "broken", "nobody listens there"),
    (nobody_listens_over_udp, "test message", "broken", "nobody listens there"),
    (unknown_name, "lookup", "broken", "name server"),
    (no_route, "connection", "broken", "no route"),
    (certificate_expired, "tls", "broken", "renew its certificate"),
    (certificate_of_another, "tls", "broken", "issue one for this address"),
    (certificate_of_nobody, "tls", "broken", "set tls_ca"),
    (tls_to_a_plain_port, "tls", "broken", ""),
    (certificate_unchecked, "tls", "warning", "tls_verify"),
    (no_file, "table", "broken", "capture-agent db create"),
    (no_table, "table", "broken", "capture-agent db create"),
    (other_version, "table", "broken", "db upgrade"),
    (rows_refused, "table", "broken", "permissions"),
    (no_table_of_a_rule, "table", "warning", "--table elsewhere"),
    (secrets_for_all, "files", "warning", "chmod 0640"),
    (key_file_for_all, "files", "warning", "chmod 0600"),
    (private_key_for_all, "files", "warning", "chmod 0640"),
    (database_for_all, "files", "warning", "chmod 0600"),
    (clock_off, "clock", "warning", "synchronise"),
    (nothing_matches, "rules", "warning", "[[rule]]"),
    (tracing_off, "rules", "warning", "status on"),
    (listens_on_a_port_in_use, "listen", "broken", "ss -lntup"),
]


# What else is wrong then, or may be: nothing more is said.
FOLLOWING = {
    "capability": {"configuration", "traffic"},  # nobody can write the control socket's folder
    "interface": {"traffic", "sip"},
    "configuration": {"traffic"},
    "promiscuous": {"direction"},
    "filter": {"traffic", "sip"},
    "ports": {"traffic", "sip"},
    "sip": {"traffic"},
    "table": {"configuration"},
}


@pytest.mark.parametrize(
    ("break_it", "check", "status", "advice"), [pytest.param(*row, id=row[0].__name__) for row in BROKEN]
)
def test_finds(one: Patient, break_it: Callable[[Patient], None], check: str, status: str, advice: str) -> None:
    break_it(one)
    answer = one.doctor()
    assert (check, status) in answer.wrong, answer.out
    assert {name for name, _ in answer.wrong} <= {check, "ntp"} | FOLLOWING.get(check, set()), answer.out
    assert answer.status == (2 if any(found == "broken" for _, found in answer.wrong) else 1)
    assert any(advice in finding["to_do"] for finding in answer.findings(check)), answer.out
    assert "S3cret" not in answer.out
    assert "the check has failed" not in answer.out


def test_says_nothing_of_a_good_one(one: Patient) -> None:
    """It leaves a line in the collector's log, and nothing in the table."""
    answer = one.doctor()
    # Whether this machine's clock is kept right is not of the set-up.
    assert answer.wrong - {("ntp", "warning")} == set(), answer.out
    assert answer.status == (1 if answer.wrong else 0)
    assert one.collector is not None
    packets = [decode(data) for data in one.collector.received]
    assert [packet.protocol_type for packet in packets] == [100]
    assert b"not a call" in packets[0].payload
    with closing(sqlite3.connect(one.database)) as connection:
        assert connection.execute("SELECT count(*) FROM sip_trace").fetchone() == (0,)


def test_sends_nothing_unless_wanted(one: Patient) -> None:
    with one.here.udp("127.0.0.1", 5999) as server:
        server.settimeout(0.1)
        one.more = '[[sip]]\nuri = "sip:127.0.0.1:5999"\n'
        answer = one.doctor("--no-test-message")
        assert answer.wrong - {("ntp", "warning")} == set(), answer.out
        with pytest.raises(TimeoutError):
            server.recv(9999)
    assert one.collector is not None
    assert one.collector.received == []


def test_beside_an_agent(one: Patient) -> None:
    """It finds the agent, and neither its copies nor its ports disturb it."""
    with one.here.udp("127.0.0.1", 5999) as server:
        one.capture |= {"listen": ["sip:127.0.0.1:5888"], "filter": "port 5060"}
        one.hep["source"] = "127.0.0.1:7777"
        one.more = f'[[sip]]\nuri = "sip:127.0.0.1:{server.getsockname()[1]}"\n'
        with one.agent():
            answer = one.doctor()
            assert answer.wrong - {("ntp", "warning")} == set(), answer.out
            assert "runs, and loses nothing" in answer.out
            (one.folder / "control.sock").chmod(0o666)
            assert ("files", "warning") in one.doctor().wrong


def test_an_agent_that_does_not_trace(one: Patient) -> None:
    with one.agent() as process:
        one.python = ["-c", "from capture_agent.cli import main; main(['status', 'off', '--control', " +
                      f"'{one.folder}/control.sock'])"]  # fmt: skip
        assert subprocess.run(one.command(), check=True, capture_output=True).stdout == b"Disabled\n"
        assert process.poll() is None
        one.python = ["-m", "capture_agent"]
        assert ("agent", "warning") in one.doctor().wrong


@pytest.mark.skipif(not can_mount(), reason="needs mount")
def test_a_full_disk(one: Patient) -> None:
    with small_disk(one.folder / "disk", "2m") as disk:
        shutil.move(one.database, disk / "trace.db")
        one.sql["url"] = f"sqlite:///{disk}/trace.db"
        with suppress(OSError):
            (disk / "filler").write_bytes(bytes(3 << 20))
        answer = one.doctor()
    assert ("disk", "broken") in answer.wrong, answer.out


def test_a_read_only_database(one: Patient) -> None:
    with small_disk(one.folder / "disk", "9m") as disk:
        shutil.move(one.database, disk / "trace.db")
        one.sql["url"] = f"sqlite:///{disk}/trace.db"
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert ("table", "broken") in one.doctor().wrong


def test_a_configuration_that_is_none(one: Patient) -> None:
    one.capture["snapshot_lenght"] = 9
    one.capture["buffer_mib"] = 0
    answer = one.doctor()
    assert answer.wrong == {("configuration", "broken")}
    assert len(answer.findings()) == 2
    assert answer.status == 2


def test_a_silent_name_server() -> None:
    """One destination waits for it; the other one is tried all the same, and all ends in time."""
    with Names() as host:
        host.say("known.test", "127.0.0.1")
        command = [sys.executable, "-m", "capture_agent", "doctor", "--json", "-i", "lo", "--seconds", "0.5"]
        assert "known.test is 127.0.0.1" in host.run(*command, "--hep", "hep:known.test:9").stdout
        host.silence()
        ended = host.run(*command, "--hep", "hep:known.test:9", "--hep", "hep+tcp:127.0.0.1:9")
    wrong = {(one["of"], one["name"]) for one in json.loads(ended.stdout)["checks"] if one["status"] == "broken"}
    assert wrong == {("hep:known.test:9", "lookup"), ("hep+tcp:127.0.0.1:9", "connection")}


def test_a_destination_that_never_answers(one: Patient) -> None:
    """A database whose server accepts and says nothing: the others are tried all the same."""
    silent = one.here.run(lambda: socket.create_server(("127.0.0.1", 0)))
    with silent:
        one.sql = {"url": f"postgresql://user:S3cret@127.0.0.1:{silent.getsockname()[1]}/x"}
        answer = one.doctor()
    assert ("table", "broken") in answer.wrong or ("destination", "broken") in answer.wrong
    assert [finding["status"] for finding in answer.findings("test message")] == ["ok"]
    assert "S3cret" not in answer.out
