"""Checks as functions of what was measured, and how findings are shown."""

from __future__ import annotations

import errno
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_samples import Packet, capture_agent, frame, sip
from doctor.patients import certificate
from free_ports import free_port
from sink_samples import batch_of, not_sip

from capture_agent.app.extensions import Extensions
from capture_agent.config import Config, load
from capture_agent.config.precedence import Layers
from capture_agent.config.sections import KINDS
from capture_agent.doctor import (
    clocks,
    ethtool,
    files,
    links,
    listeners,
    offload,
    privileges,
    receivers,
    settings_check,
    sip_seen,
)
from capture_agent.doctor.advice import for_error
from capture_agent.doctor.case import Case
from capture_agent.doctor.check_table import CHECKS, Check, findings_of
from capture_agent.doctor.destination_trials import TRIALS, Trial, are_reached
from capture_agent.doctor.finding import Finding, Status, broken, ok, warning
from capture_agent.doctor.observation import Observation
from capture_agent.doctor.report import as_json, exit_status, lines
from capture_agent.doctor.running_agent import read_stats
from capture_agent.doctor.sip_tally import MOST, SipTally
from capture_agent.net.sink_errors import SinkError
from capture_agent.pipeline import Pipeline
from capture_agent.policy.direction import LocalSide
from capture_agent.records.frames import Frames
from capture_agent.records.kinds import ForeignPayload, LogEvent, RtcpReport
from capture_agent.sources.interface_list import LocalInterface

DAY = 86_400
NOW = 1_800_000_000


def case(config: Config | None = None, **measured: Any) -> Case:
    return Case(config or Config(), Layers(None), Extensions(), **measured)


def test_groups_and_members_whose_outage_is_not_seen(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        '[capture]\nlisten = ["sip:127.0.0.1:5099"]\n'
        '[[group]]\nname = "one"\nmode = "hash"\nmembers = ["hep+tcp:192.0.2.1", "hep:192.0.2.2"]\n'
        '[[group]]\nname = "two"\nmode = "mirror"\nmembers = ["hep:192.0.2.2"]\n'
    )
    found = list(settings_check.usable(case(load(file))))
    assert [(one.status, one.of, one.found.partition(":")[0]) for one in found[1:]] == [
        (Status.OK, "group one", "hash of hep+tcp"),
        (Status.WARNING, "group one", "over UDP the agent does not see that a receiver is down"),
        (Status.OK, "group two", "mirror of hep"),
    ]


@pytest.mark.parametrize(
    ("settings", "taken", "found"),
    [
        pytest.param('uri = "hep:127.0.0.1:{port}"', "", (Status.OK, "can be opened"), id="udp"),
        pytest.param('uri = "hep+tcp:127.0.0.1:{port}"', "", (Status.OK, "can be opened"), id="tcp"),
        pytest.param('uri = "hep:127.0.0.1:{port}"', "udp", (Status.BROKEN, "in use"), id="udp, taken"),
        pytest.param('uri = "hep+tcp:127.0.0.1:{port}"', "tcp", (Status.BROKEN, "in use"), id="tcp, taken"),
        pytest.param(
            'uri = "hep+tls:127.0.0.1:{port}"\ntls_cert = "/nowhere.pem"', "", (Status.BROKEN, "tls_cert"), id="tls"
        ),
    ],
)
def test_listeners_for_hep(tmp_path: Path, settings: str, taken: str, found: tuple[Status, str]) -> None:
    kind = socket.SOCK_DGRAM if "hep:" in settings else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        if taken == "tcp":
            other.listen()
        elif not taken:
            other.close()
        file = tmp_path / "agent.toml"
        file.write_text(f"[[listen]]\n{settings.format(port=port)}\n")
        [finding] = list(listeners.can_listen(case(load(file))))
    assert (finding.status, found[1] in finding.found) == (found[0], True)


@pytest.mark.parametrize(
    ("use", "days", "key", "found"),
    [
        ("serverAuth", 90, "ours", [(Status.OK, "can be opened"), (Status.OK, "our certificate is valid until")]),
        ("serverAuth", -1, "ours", [(Status.OK, "can be opened"), (Status.BROKEN, "certificate has expired")]),
        ("clientAuth", 90, "ours", [(Status.OK, "can be opened"), (Status.BROKEN, "unsuitable certificate purpose")]),
        ("serverAuth", 90, "another", [(Status.BROKEN, "tls_cert: not a certificate with its key")]),
    ],
)
def test_certificates_of_listeners(
    tmp_path: Path, use: str, days: int, key: str, found: list[tuple[Status, str]]
) -> None:
    folders = {name: tmp_path / name for name in ("ours", "another")}
    for folder in folders.values():
        folder.mkdir()
        certificate(folder, f"DNS:relay.test\nextendedKeyUsage={use}", days)
    files = f'tls_cert = "{folders["ours"] / "collector.pem"}"\ntls_key = "{folders[key] / "key.pem"}"\n'
    file = tmp_path / "agent.toml"
    file.write_text(f'[[listen]]\nuri = "hep+tls:127.0.0.1:{free_port()}"\n{files}')
    findings = list(listeners.can_listen(case(load(file))))
    assert [one.status for one in findings] == [status for status, _ in found]
    assert [text in one.found for one, (_, text) in zip(findings, found, strict=True)] == [True] * len(found)
    assert all("ss -lntup" not in one.to_do and one.of.startswith("hep+tls:") for one in findings)


def test_trials_are_of_kinds_of_sinks() -> None:
    assert TRIALS.keys() <= KINDS.keys()


class Opened:
    name = "lab"

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.closed = False

    def open(self) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("error", "want"),
    [(None, (Status.OK, "opened")), (SinkError("lab: it is down"), (Status.BROKEN, "it is down"))],
)
def test_other_sinks_are_opened_and_closed(error: Exception | None, want: tuple[Status, str]) -> None:
    sink: Any = Opened(error)
    (finding,) = receivers.try_any(lambda: sink)
    assert (finding.status, finding.found, sink.closed) == (*want, True)


def test_the_checks_have_names_of_their_own() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)


def test_each_check_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    steps = ["lookup", "connection", "tls", "test message", "table"]  # of destinations
    assert [name for name in [*steps, *(check.name for check in CHECKS)] if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("S3cret"), Status.BROKEN), (PermissionError(errno.EPERM, "no"), Status.WARNING)]
)
def test_a_check_that_fails_is_a_finding(error: Exception, status: Status) -> None:
    def fail(_: Case) -> Iterator[Finding]:
        yield ok("first")
        raise error

    first, last = findings_of(Check("new", fail), case())
    assert (first.check, last.check, last.status) == ("new", "new", status)
    assert "S3cret" not in last.found


def test_a_trial_that_fails_is_a_finding() -> None:
    def fail() -> Iterator[Finding]:
        yield ok("first")
        raise ValueError("S3cret")

    trial = Trial("hep:x", fail)
    trial.run()
    assert [one.status for one in trial.findings] == [Status.OK, Status.BROKEN]
    assert "S3cret" not in trial.findings[1].found
    assert trial.ended


@pytest.mark.parametrize(
    ("findings", "status", "summary"),
    [
        ([ok("fine")], 0, "nothing is wrong"),
        ([], 0, "nothing is wrong"),
        ([ok("fine"), warning("hm", "do")], 1, "0 broken, 1 warning"),
        ([warning("hm", "do"), broken("no", "do"), warning("hm", "do")], 2, "1 broken, 2 warnings"),
    ],
)
def test_exit_status(findings: list[Finding], status: int, summary: str) -> None:
    assert exit_status(findings) == status
    assert list(lines(findings))[-1] == summary
    assert json.loads(as_json(findings))["exit_status"] == status


def test_text_and_json_say_the_same() -> None:
    finding = broken("down\x1b[2J", "bring it up", of="eth0", check="interface")
    shown = list(lines([finding]))
    assert shown[0].split() == ["broken", "interface", "eth0:", "down\\x1b[2J"]
    assert shown[1].strip() == "-> bring it up"
    assert json.loads(as_json([finding]))["checks"] == [
        {"name": "interface", "of": "eth0", "status": "broken", "found": "down\x1b[2J", "to_do": "bring it up"}
    ]


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0.0, Status.OK), (0.3, Status.OK), (-0.005, Status.OK), (-1.0, Status.WARNING), (3600.0, Status.WARNING)],
)
def test_clock_and_packets(seconds: float, status: Status) -> None:
    assert clocks.of_lag(seconds).status is status


@pytest.mark.parametrize(
    ("synchronised", "error", "virtual", "status"),
    [
        (True, 0.01, False, Status.OK),
        (True, 5.0, False, Status.WARNING),
        (False, 16.0, False, Status.WARNING),
        pytest.param(False, 16.0, True, Status.OK, id="its host may keep the clock"),
    ],
)
def test_kernel_clock(synchronised: bool, error: float, virtual: bool, status: Status) -> None:
    assert clocks.of_kernel(clocks.KernelClock(synchronised, error), virtual).status is status


def test_the_kernel_says_how_its_clock_is() -> None:
    assert 0 <= clocks.kernel_clock().error <= 16_000


@pytest.mark.parametrize(
    ("age", "left", "status"),
    [
        (300 * DAY, 60 * DAY, Status.OK),
        (300 * DAY, 13 * DAY, Status.WARNING),
        pytest.param(80 * DAY, 8 * DAY, Status.WARNING, id="a tenth of its life"),
        pytest.param(0, 2 * DAY, Status.OK, id="short-lived and new"),
    ],
)
def test_dates_of_a_certificate(age: int, left: int, status: Status) -> None:
    begin, end = (time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(at)) for at in (NOW - age, NOW + left))
    assert receivers.of_dates({"notBefore": begin, "notAfter": end}, "its certificate", NOW).status is status


def space(free: int, size: int, inodes: int = 1000) -> Any:
    return SimpleNamespace(f_frsize=1, f_bavail=free, f_blocks=size, f_files=1000, f_favail=inodes)


@pytest.mark.parametrize(
    ("disk", "status"),
    [
        (space(5 << 30, 100 << 30), Status.OK),
        (space(900 << 20, 100 << 30), Status.WARNING),
        (space(1 << 20, 100 << 30), Status.BROKEN),
        (space(5 << 30, 100 << 30, 0), Status.BROKEN),
        pytest.param(space(900 << 10, 1 << 20), Status.OK, id="a small disk"),
        pytest.param(space(0, 1 << 20), Status.BROKEN, id="a small one, full"),
    ],
)
def test_disk_space(disk: Any, status: Status) -> None:
    assert files.of_space(disk, "/x").status is status


@pytest.mark.parametrize(
    ("mode", "bits", "wrong"),
    [(0o600, 0o007, False), (0o640, 0o007, False), (0o644, 0o007, True), (0o644, 0o002, False), (0o666, 0o002, True)],
)
def test_file_modes(tmp_path: Path, mode: int, bits: int, wrong: bool) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    assert (files.of_mode(file, "it", bits, "chmod") is not None) == wrong
    assert files.of_mode(tmp_path / "nowhere", "it", bits, "chmod") is None


def layers_of(tmp_path: Path, text: str, **environ: str) -> Layers:
    from capture_agent.config.load import load_layers

    (tmp_path / "key").write_text("S3cret")
    file = tmp_path / "agent.toml"
    file.write_text(text)
    return load_layers(file, environ, {})[1]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ('[[hep]]\nhost = "a"\nauth_key = "x"', {"hep.auth_key"}),
        ('[[hep]]\nuri = "hep:a?key=x"', {"hep.auth_key"}),
        ('[[hep]]\nhost = "a"\nauth_key_file = "key"', set()),
        ('[[sql]]\nurl = "postgresql://a:x@h/d"', {"sql.url"}),
        ('[[sql]]\nurl = "sqlite:///x.db"', set()),
        ('[privacy]\nmask = ["users:hash"]\nhash_key = "x"', {"privacy.hash_key"}),
        ('[privacy]\nmask = ["users:hash"]\nhash_key_file = "key"', set()),
        ('[[hep]]\nhost = "a"', set()),
    ],
)
def test_secrets_in_the_file(tmp_path: Path, text: str, secrets: set[str]) -> None:
    layers = layers_of(tmp_path, text)
    assert set(files.secrets_in_file(layers)) == secrets
    assert [path.name for path in layers.secret_files] == (["key"] if "_file" in text else [])


@pytest.mark.parametrize(
    ("active", "snapshot", "status"),
    [
        (set(), 262_144, Status.OK),
        ({"rx-gro"}, 262_144, Status.OK),
        ({"rx-gro"}, 1600, Status.WARNING),
        (set(), 1600, Status.OK),
        (set(), 200, Status.WARNING),
        ({"rx-gro", "rx-udp-gro-forwarding"}, 262_144, Status.WARNING),
        ({"rx-gro-list"}, 262_144, Status.WARNING),
    ],
)
def test_offload(active: set[str], snapshot: int, status: Status) -> None:
    assert offload.of_interface("eth0", snapshot, lambda _: frozenset(active)).status is status


def test_features_of_loopback() -> None:
    found = ethtool.features("lo")
    assert "loopback" in found
    with pytest.raises(OSError):
        ethtool.features("none9")


@pytest.mark.parametrize(
    ("link", "says"),
    [
        (LocalInterface("eth0", "Ethernet", up=False), "down"),
        (LocalInterface("eth0", "Ethernet", up=True, carrier=False), "no carrier"),
    ],
)
def test_links(link: LocalInterface, says: str) -> None:
    finding = links.is_up("eth0", {"eth0": link})
    assert finding.status is Status.BROKEN
    assert says in finding.found


@pytest.mark.parametrize(("waits", "status"), [(False, Status.BROKEN), (True, Status.WARNING)])
def test_missing_links(waits: bool, status: Status) -> None:
    config = load(None, {}, {"capture": {"interfaces": ["none9", "none*"], "wait_for_interfaces": waits}})
    findings = list(links.are_up(case(config, interfaces=["none9"])))
    assert {(one.of, one.status) for one in findings} == {("none9", status), ("none*", status)}


def test_one_interface_with_two_names() -> None:
    config = load(None, {}, {"capture": {"interfaces": ["lo", "l*"]}})
    subject = case(config)
    subject.seconds = 0.01
    subject.measure()
    assert subject.interfaces == ["lo"]


def test_a_trial_without_an_end_is_a_finding() -> None:
    (finding,) = are_reached(case(trials=[Trial("hep:x", lambda: iter(()))]))
    assert (finding.status, finding.of) == (Status.BROKEN, "hep:x")


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EPERM, "CAP_NET_RAW"), (errno.EAFNOSUPPORT, "AF_PACKET"), (errno.EMFILE, "packet(7)")]
)
def test_capability(number: int, advice: str) -> None:
    def refused() -> socket.socket:
        raise OSError(number, os.strerror(number))

    finding = privileges.of_this_process(refused)
    assert finding.status is Status.BROKEN
    assert advice in finding.to_do


def caused_by(error: OSError) -> SinkError:
    made = SinkError("hep:x: it failed")
    made.__cause__ = error
    return made


def unaccepted(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "no")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "nobody listens"),
        (caused_by(ConnectionRefusedError(errno.ECONNREFUSED, "x")), "nobody listens"),
        (socket.gaierror(-2, "x"), "name server"),
        (TimeoutError("timed out"), "firewalls"),
        (OSError(errno.EADDRNOTAVAIL, "source eth9: no such interface"), "`source`"),
        (unaccepted(10), "renew"),
        (unaccepted(62), "this name"),
        (unaccepted(64), "this address"),
        (unaccepted(18), "tls_ca"),
        (ssl.SSLError(1, "x"), "port for TLS"),
        (SinkError("x"), "host, port and transport"),
    ],
)
def test_advice(error: Exception, advice: str) -> None:
    assert advice in for_error(error)


def tally(*packets: Packet, left_out: frozenset[tuple[bytes, int]] = frozenset()) -> SipTally:
    made = SipTally(left_out)
    messages = Pipeline().messages(Frames.of([frame(packet) for packet in packets]))
    made.add(messages, LocalSide(load(None, {}, {"capture": {"local": ["10.0.0.2"]}}).capture.local))  # type: ignore[arg-type]
    return made


TO_SERVER = Packet(0, "10.0.0.1", "10.0.0.2", sip("INVITE sip:b@c SIP/2.0"))
FROM_SERVER = Packet(0, "10.0.0.2", "10.0.0.1", sip("SIP/2.0 200 OK"))
ELSEWHERE = Packet(0, "10.0.0.8", "10.0.0.9", sip("INVITE sip:b@c SIP/2.0"))


def test_tally() -> None:
    made = tally(TO_SERVER, FROM_SERVER, ELSEWHERE)
    assert (made.requests, made.responses, made.local) == (2, 1, 2)
    assert made.top_places() == "udp 5060 (3)"
    assert len(made.hosts) == 4
    assert tally(TO_SERVER, FROM_SERVER, left_out=frozenset({(bytes([10, 0, 0, 2]), 5060)})).requests == 0


def test_a_tally_is_bounded() -> None:
    made = SipTally()
    packets = [Packet(0, f"10.{n >> 8}.{n & 255}.1", "10.0.0.2", TO_SERVER.payload) for n in range(MOST + 100)]
    made.add(Pipeline().messages(Frames.of([frame(packet) for packet in packets])), LocalSide([]))
    assert made.messages == MOST + 100
    assert len(made.hosts) == MOST


@pytest.mark.parametrize(
    ("seen", "whole", "status"),
    [
        pytest.param([TO_SERVER], [TO_SERVER], Status.OK, id="all pass"),
        pytest.param([], [TO_SERVER], Status.BROKEN, id="none passes"),
        pytest.param([], [], Status.OK, id="none is there"),
        pytest.param([TO_SERVER], [TO_SERVER, ELSEWHERE], Status.OK, id="only others' is left out"),
        pytest.param([ELSEWHERE], [TO_SERVER, ELSEWHERE], Status.WARNING, id="the server's is left out"),
    ],
)
def test_filter(seen: list[Packet], whole: list[Packet], status: Status) -> None:
    config = load(None, {}, {"capture": {"interfaces": ["eth0"], "filter": "host 10.0.0.2"}})
    observation = Observation(opened={"eth0"}, sip=tally(*seen), unfiltered=tally(*whole))
    (finding,) = sip_seen.passes_the_filter(case(config, observation=observation))
    assert finding.status is status


def test_what_the_agent_says() -> None:
    stats = {"tracing": False, "ledgers": [{"name": "frames", "seen": 1, "lost": {"kernel": 7}}, {"name": "calls"}]}
    assert read_stats(stats) == (False, {("frames", "kernel"): 7})


CONFIGURATIONS: list[tuple[str, str]] = [
    ("[capture]\nbuffer_mib = 0\n", "buffer_mib"),
    ("[capture]\nfilter = 'udp prot 1'\ninterfaces = ['lo']\n", "capture.filter"),
    ("[capture]\ninterfaces = ['lo']\n[[hep]]\nuri = 'hep+tls:h'\ntls_ca = 'nowhere.pem'\n", "tls_ca"),
    ("[capture]\ninterfaces = ['lo']\n[[sql]]\nurl = 'sqlite:///nowhere.db'\n", "no such file"),
    ("[capture]\ninterfaces = ['lo']\n[control]\nsocket = '/nowhere/c.sock'\n", "no such folder"),
    ("[hooks]\nmodules = ['nowhere.py']\n", "nowhere.py"),
    ("[capture]\ninterfaces = ['lo']\n", "no destination"),
    ("[log]\nlevel = 'info'\n", "nothing to capture"),
]


@pytest.mark.parametrize(("text", "says"), CONFIGURATIONS, ids=[says for _, says in CONFIGURATIONS])
def test_what_config_check_finds(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "agent.toml").write_text(text)
    ended = capture_agent("doctor", "--config", "agent.toml", "--seconds", "0.1", folder=tmp_path)
    assert ended.status == 2
    assert any(line.startswith("broken  configuration") and says in line for line in ended.out.splitlines()), ended.out
    assert ended.err == ""


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9"])
def test_wrong_seconds(seconds: str) -> None:
    ended = capture_agent("doctor", "--seconds", seconds)
    assert ended.status == 2
    assert "--seconds" in ended.err


def test_only_sip_counts_as_traced() -> None:
    """Of all that a relay passes on; otherwise more messages would be traced than were seen."""
    seen = Observation()
    seen.note_traced([*batch_of(2), *(not_sip(kind, b"text") for kind in (RtcpReport, LogEvent, ForeignPayload))])
    assert seen.traced == 2
