"""One clear line on standard error, and status 2: never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import CALL, capture_agent, pcap

from capture_agent.cli import main

pytestmark = pytest.mark.once

COMMANDS = "run, replay, decode, calls, flow, view, show, diff, save, web, status, reload, doctor, stats, hlog, trace-msg, interfaces, db or config"
NO_COLLECTOR = "no HEP collector: give its URI, or --config FILE with a [[hep]] section"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "call.pcap").write_bytes(pcap(CALL))
    (tmp_path / "text.pcap").write_text("no capture at all, but long enough to have a header\n")
    (tmp_path / "wrong.toml").write_text("[capture]\nfiltre = 'udp'\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", f"missing command, expected {COMMANDS}"),
        ("frob", f"no such command 'frob', expected {COMMANDS}"),
        ("rplay", "no such command 'rplay', did you mean 'replay'?"),
        ("config shwo", "config: no such command 'shwo', did you mean 'show'?"),
        ("--frob", "no such option: --frob"),
        ("db", "db: missing command, expected create, check, upgrade, purge or partition"),
        ("replay", "replay: missing argument 'FILE'"),
        ("replay call.pcap --sped 1", "replay: no such option: --sped, did you mean '--speed'?"),
        ("replay call.pcap --hep", "replay: option '--hep' requires an argument"),
        ("replay nix.pcap", "replay: no such file: nix.pcap"),
        ("replay .", "replay: .: is a directory"),
        ("decode call.pcap nix.pcap", "decode: no such file: nix.pcap"),
        ("decode - -", "decode: standard input (-) can be read only once"),
        ("replay call.pcap nix.pcap", "replay: no such file: nix.pcap"),
        ("replay - -", "replay: standard input (-) can be read only once"),
        ("replay call.pcap --speed fast", "replay: --speed: value 'fast', expected max, real or a factor above 0"),
        ("replay call.pcap --speed 0", "replay: --speed: value '0', expected max, real or a factor above 0"),
        ("replay call.pcap --speed nan", "replay: --speed: value 'nan', expected max, real or a factor above 0"),
        ("replay call.pcap --loop 0", "replay: --loop: value '0', expected a whole number from 1"),
        ("replay call.pcap --trace x", 'replay: --trace: value \'x\', expected "message", "transaction" or "dialog"'),
        ("replay call.pcap --hep hep:h:x?key=k", "replay: --hep: expected a port from 1 to 65535"),
        (
            "replay call.pcap --sip sip:::1",
            "replay: --sip: an IPv6 address needs brackets: [ADDRESS]:PORT",
        ),
        (
            "replay call.pcap --db oracle://u:p@h",
            "replay: --db: expected sqlite, postgresql, mysql or mariadb, then ://...",
        ),
        (
            "calls --db postgresql://u:p@h:54x/d",
            "calls: --db: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        ),
        ("db create --db sqlite://", "db create: --db: expected sqlite:///FILE"),
        (
            "replay call.pcap --local 10.0.0.1/8",
            "replay: --local: value '10.0.0.1/8', expected an address, a network, ADDRESS:PORT, [IPv6]:PORT or \"auto\""
            " (host bits are set: the network is 10.0.0.0/8)",
        ),
        ("replay call.pcap --config nix.toml", "replay: nix.toml: cannot be read: no such file or directory"),
        (
            "replay call.pcap --config wrong.toml",
            "replay: wrong.toml:2: capture.filtre: unknown option, did you mean 'filter'?",
        ),
        (
            "run",
            "run: no interface: give -i IFACE or --listen URI, or capture.interfaces, [[listen]], [[kafka_source]] or [[source]] in the configuration",
        ),
        (
            "run -i lo",
            "run: no sink: give --hep, --sip or --db, or [[hep]], [[sip]], [[sql]], [[jsonl]], [[pcap]], [[kafka]] or [[sink]] in the configuration",
        ),
        ("decode call.pcap --format xml", "decode: --format: value 'xml', expected table or jsonl"),
        ("flow", "flow: no call: give CALL-ID, or --where CALL-FILTER"),
        ("flow x", "flow: no database: give --db URL, or --config FILE with a [[sql]] section"),
        ("flow x --db sqlite:// --file call.pcap", "flow: got both --db and --file, expected one of them"),
        ("calls", "calls: no database: give --db URL, or --config FILE with a [[sql]] section"),
        ("calls --db sqlite:// --limit x", "calls: --limit: value 'x', expected a whole number from 1"),
        ("hlog", "hlog: missing argument 'MESSAGE'"),
        ("hlog x", f"hlog: {NO_COLLECTOR}"),
        ("hlog x --hep hep:", "hlog: --hep: the host is missing"),
        ("trace-msg --to udp:10.0.0.1:1", "trace-msg: missing option '--from'"),
        ("trace-msg --from udp:10.0.0.1:1 --to udp:10.0.0.2:1 call.pcap", f"trace-msg: {NO_COLLECTOR}"),
        (
            "trace-msg --from 10.0.0.1:5060 --to udp:10.0.0.2:1 call.pcap",
            "trace-msg: --from: value '10.0.0.1:5060', expected PROTO:IP:PORT"
            " (protocol '10.0.0.1', expected udp, tcp, tls, sctp, ws, wss, any)",
        ),
        (
            "trace-msg --from udp:10.0.0.1:1 --to udp:[::1]:1 call.pcap",
            "trace-msg: --from and --to: one address is IPv4 and the other IPv6",
        ),
        ("trace-msg --from udp:10.0.0.1:1 --to udp:10.0.0.2:1 nix", "trace-msg: no such file: nix"),
        ("trace-msg --from udp:10.0.0.1:1 --to udp:10.0.0.2:1 .", "trace-msg: .: cannot be read: is a directory"),
        (
            "trace-msg --from udp:10.0.0.1:1 --to udp:10.0.0.2:1 --address sip:h call.pcap",
            "trace-msg: --address: expected hep:HOST:PORT, hep+tcp:HOST:PORT or hep+tls:HOST:PORT",
        ),
        ("db create", "db create: no database: give --db URL, or --config FILE with a [[sql]] section"),
    ],
)
def test_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, line: str
) -> None:
    monkeypatch.chdir(folder)
    status = main(arguments.split())  # the tests below start a process
    assert (*capsys.readouterr(), status) == ("", f"capture-agent: {line}\n", 2)


@pytest.mark.parametrize("command", ["replay --hep hep:127.0.0.1:9", "decode", "flow x --file"])
@pytest.mark.parametrize("file", ["text.pcap", "."])
def test_no_capture(folder: Path, command: str, file: str) -> None:
    ended = capture_agent(*command.split(), file, folder=folder)
    assert ended.err.startswith(f"capture-agent: {command.split(maxsplit=1)[0]}: {file}: ")
    assert (ended.err.count("\n"), ended.out, ended.status) == (1, "", 2)


def test_no_such_interface(folder: Path) -> None:
    ended = capture_agent("run", "-i", "nix0", "--hep", "hep:127.0.0.1", folder=folder)
    assert ended.err.startswith("capture-agent: run: nix0: ")
    assert (ended.err.count("\n"), ended.status) == (1, 2)


def test_what_the_user_wrote_is_escaped(folder: Path) -> None:
    ended = capture_agent("replay", "\x1b[31m.pcap", folder=folder)
    assert ended.err == "capture-agent: replay: no such file: \\x1b[31m.pcap\n"


def test_the_environment_is_named(folder: Path) -> None:
    ended = capture_agent("replay", "call.pcap", folder=folder, CAPTURE_AGENT_TRACE__ON="maybe")
    assert ended.err == "capture-agent: replay: CAPTURE_AGENT_TRACE__ON: value 'maybe', expected true or false\n"
    assert ended.status == 2
