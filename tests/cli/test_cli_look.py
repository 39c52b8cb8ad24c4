"""`calls`, `flow`, `show`, `diff`, `stats` and `save` as users run them, on files and on the table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_samples import ALICE, BOB, CALL, OTHER, PROXY, Packet, pcap, sip
from cli_samples import capture_agent as run

PCAPS = Path(__file__).parents[2] / "pcaps"
DEMO = str(PCAPS / "demo.pcap")
ANSWERED, CANCELLED, BUSY = (f"1-148{n}@198.51.100.20" for n in ("06", "12", "16"))
HOSTILE = "\x1b]0;owned\x07\u202e<script>alert(1)</script>\x9b31m"


@pytest.fixture
def legs(tmp_path: Path) -> str:
    """A call of two legs that X-CID links, one that a suffix links, and a message that would control a terminal."""
    second = sip("INVITE sip:bob@b.example SIP/2.0", "second").replace(b"CSeq", b"X-CID: a@b\r\nCSeq", 1)
    third = sip("INVITE sip:bob@b.example SIP/2.0", "a@b_b2b-1")
    hostile = sip("INVITE sip:bob@b.example SIP/2.0", "evil", sender=HOSTILE).replace(
        b"CSeq", b"X-Long: " + b"y" * 65_000 + b"\r\nCSeq", 1
    )
    packets = [
        *CALL, *OTHER[:2],
        Packet(3.0, PROXY, BOB, second),
        Packet(3.1, PROXY, BOB, third),
        Packet(80.0, ALICE, PROXY, hostile[:1000]),
    ]  # fmt: skip
    (tmp_path / "legs.pcap").write_bytes(pcap(sorted(packets, key=lambda packet: packet.seconds)))
    (tmp_path / "hostile.pcap").write_bytes(pcap([Packet(80.0, ALICE, PROXY, hostile[:60_000])]))
    (tmp_path / "agent.toml").write_text(
        '[legs]\nsuffixes = ["_b2b-1"]\n[aliases]\n"10.0.0.1" = "alice-phone"\n"10.0.0.2:5060" = "proxy"\n'
    )
    return str(tmp_path / "legs.pcap")


@pytest.fixture
def table(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    assert run("db", "create", "--db", url).status == 0
    assert run("replay", DEMO, "--db", url).status == 0
    return url


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        ((), 7),
        (("--failed",), 1),
        (("--where", "method = INVITE"), 4),
        (("--where", "user = carol and state = cancelled"), 1),
        (("--where-message", "status = 486"), 1),
        (("--limit", "2"), 2),
        (("--limit", "1", "--where", "state = registered"), 1),
        (("--until", "2026-11-23 00:23:40"), 3),
        (("--since", "2026-11-23 00:23:42"), 1),
        (("--last", "1s"), 1),
        (("--until", "2026-11-23 02:23:40", "--zone", "Asia/Jerusalem"), 3),
    ],
)
def test_calls_of_a_file_and_of_the_table(table: str, arguments: tuple[str, ...], want: int) -> None:
    ended = run("calls", DEMO, *arguments, "--format", "json")
    assert (ended.status, ended.err) == (0, "")
    of_file = [json.loads(line) for line in ended.out.splitlines()]
    assert len(of_file) == want
    if "--last" not in arguments:
        of_table = [
            json.loads(line) for line in run("calls", "--db", table, *arguments, "--format", "json").out.splitlines()
        ]
        for one in (*of_file, *of_table):
            for name in ("first_ns", "last_ns", "answered_ns", "ended_ns", "setup_seconds", "duration_seconds"):
                one[name] = one[name] and round(one[name], -3 if name.endswith("_ns") else 5)
        assert of_table == of_file


def test_columns_and_csv() -> None:
    ended = run(
        "calls",
        DEMO,
        "--format",
        "csv",
        "--columns",
        "from,to,state,reason,setup,codecs,hosts,call-id",
        "--sort",
        "setup",
    )
    rows = list(csv.reader(ended.out.splitlines()))
    assert rows[0] == ["from", "to", "state", "reason", "setup", "codecs", "hosts", "call-id"]
    assert rows[-1][:4] == ["alice", "frank", "completed", "OK"]
    assert float(rows[-1][4]) == pytest.approx(0.70461, abs=0.001)
    assert (rows[-2][6], len(rows)) == ("198.51.100.20 192.0.2.10 203.0.113.32", 8)


def test_legs_are_linked(legs: str, tmp_path: Path) -> None:
    ended = run(
        "calls", legs, "--columns", "call-id,legs", "--format", "csv", "--where", "call_id = a@b*", folder=tmp_path
    )
    assert ended.out.splitlines()[1:] == ["a@b,second"] or "a@b,second" in ended.out
    options = ("--file", legs, "--legs", "--config", str(tmp_path / "agent.toml"))
    drawn = run("flow", "a@b", *options, "--time", "absolute")
    assert drawn.status == 0
    assert [line[:3] for line in drawn.out.splitlines() if line[:1] == "["] == ["[1]", "[2]", "[3]"]
    assert "alice-phone" in drawn.out
    assert "22:13:23.000" in drawn.out


@pytest.mark.parametrize("form", ["text", "mermaid", "html", "svg", "json"])
def test_ladders_in_each_form(legs: str, form: str) -> None:
    ended = run("flow", "a@b", "--file", legs, "--format", form, "--raw")
    assert (ended.status, ended.err) == (0, "")
    if form == "svg":
        assert ElementTree.fromstring(ended.out).tag.endswith("svg")
    elif form == "json":
        assert [one["label"] for one in json.loads(ended.out)["messages"]][:3] == ["INVITE"] * 3
    elif form == "html":
        assert "script" not in ended.out
        assert ended.out.count("<tr>") == len(CALL) + 1
    assert ended.out.count("INVITE") >= 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("calls", "FILE"),
        ("calls", "FILE", "--format", "csv"),
        ("calls", "FILE", "--format", "json"),
        ("flow", "evil", "--file", "FILE", "--raw"),
        ("flow", "evil", "--file", "FILE", "--format", "svg"),
        ("flow", "evil", "--file", "FILE", "--format", "html", "--raw"),
        ("flow", "evil", "--file", "FILE", "--format", "mermaid"),
        ("flow", "evil", "--file", "FILE", "--format", "json"),
        ("show", "evil", "--file", "FILE"),
        ("diff", "evil", "1", "1", "--file", "FILE"),
        ("stats", "FILE"),
        ("stats", "FILE", "--json"),
        ("decode", "FILE", "--where", "header:X-Long"),
    ],
)
def test_nothing_controls_the_terminal_or_the_page(legs: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = str(tmp_path / "hostile.pcap")
    ended = run(*(file if one == "FILE" else one for one in arguments))
    assert ended.status == 0
    assert all(line.isprintable() for line in ended.out.split("\n"))
    assert "<script>" not in ended.out or "html" not in arguments
    assert max(map(len, ended.out.split("\n"))) < 20_000


def test_colours_are_only_those_of_states() -> None:
    plain, coloured = run("calls", DEMO).out, run("calls", DEMO, "--color", "always").out
    assert "\x1b[31m" in coloured
    assert coloured.replace("\x1b[31m", "").replace("\x1b[35m", "").replace("\x1b[0m", "") == plain


def test_show_and_diff(table: str) -> None:
    for source in (("--file", DEMO), ("--db", table)):
        shown = run("show", ANSWERED, "1", *source)
        assert shown.out.startswith(
            "--- 1  2026-11-23 00:23:39.916911 UTC  198.51.100.20 -> 192.0.2.10\nINVITE sip:bob@"
        )
        assert "\nm=audio 6000 RTP/AVP" in shown.out
        filtered = run("show", BUSY, *source, "--where-message", "status = 486")
        assert filtered.out.count("--- ") == 2
        explained = run("show", ANSWERED, "1", "--sdp", *source)
        assert "audio to port 6000 over RTP/AVP: PCMU" in explained.out
        different = run("diff", ANSWERED, "1", "3", *source).out.splitlines()
        assert any(line.startswith("+ Record-Route:") or line.startswith("+ Via:") for line in different)
    assert run("show", ANSWERED, "99", "--file", DEMO).err == "capture-agent: show: no message 99: there are 13\n"
    assert run("diff", ANSWERED, "0", "1", "--file", DEMO).status == 2


def test_stats_of_calls(table: str) -> None:
    figures = json.loads(run("stats", DEMO, "--json").out)
    assert figures["requests_by_method"]["INVITE"] == 9
    assert figures["failures_by_answer"] == {"486 Busy here": 1} or "486" in next(iter(figures["failures_by_answer"]))
    assert figures["retransmissions"] == {"INVITE": 3}
    text = run("stats", DEMO).out
    assert "requests by method" in text
    assert run("stats", "--db", table).out == text


@pytest.mark.parametrize("source", ["file", "table"])
def test_save(table: str, tmp_path: Path, source: str) -> None:
    where = ("--file", DEMO) if source == "file" else ("--db", table)
    ended = run("save", "busy.pcapng", "--where", "state in (busy, cancelled)", *where, folder=tmp_path)
    assert (ended.status, ended.err) == (0, "busy.pcapng: 20 messages of 2 calls\n")
    listed = run("calls", str(tmp_path / "busy.pcapng"), "--format", "csv", "--columns", "call-id").out.split()
    assert set(listed[1:]) == {CANCELLED, BUSY}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("calls", DEMO, "--where", "statu = 1"), "--where: column 1: unknown field 'statu', did you mean status?"),
        (("decode", DEMO, "--where", "status ="), "--where: column 9: got the end, expected a field or a value"),
        (("replay", DEMO, "--where", "status ="), "--where: column 9: got the end, expected a field or a value"),
        (("calls", DEMO, "--db", "sqlite:///a.db"), "got both --db and FILE, expected one of them"),
        (("calls", DEMO, "--last", "10x"), "--last: value '10x', expected a time such as 90s, 10m, 2h or 3d"),
        (
            ("calls", DEMO, "--since", "noon"),
            "--since: value 'noon', expected a time such as '2026-11-25 21:09' or 21:09",
        ),
        (
            ("calls", DEMO, "--zone", "Mars"),
            "--zone: value 'Mars', expected utc, local or a name such as Europe/Berlin",
        ),
        (("calls", DEMO, "--format", "xml"), "--format: value 'xml', expected table, csv, json"),
        (("calls", DEMO, "--color", "red"), "--color: value 'red', expected auto, always or never"),
        (
            ("flow", "a", "--legs", "--file", "-"),
            "--legs reads a file twice, and standard input (-) can be read only once",
        ),
        (("save", "a.pcap", "--file", DEMO), "no call: give CALL-ID, or --where CALL-FILTER"),
        (
            ("stats", DEMO, "--prometheus"),
            "--prometheus and --control are for a running agent, FILE and --db for calls",
        ),
    ],
)
def test_wrong_usage_of_views(arguments: tuple[str, ...], error: str) -> None:
    ended = run(*arguments)
    assert (ended.status, ended.err) == (2, f"capture-agent: {arguments[0]}: {error}\n")


def test_only_wanted_messages_are_replayed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'some.db'}"
    run("db", "create", "--db", url)
    ended = run("replay", DEMO, "--db", url, "--where", "method = REGISTER")
    assert (ended.status, "55 not wanted" in ended.err) == (0, True), ended.err
    assert run("calls", "--db", url, "--format", "csv", "--columns", "method").out == "method\nREGISTER\n"


def test_a_rule_with_a_filter(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rule.db'}"
    run("db", "create", "--db", url)
    (tmp_path / "rule.toml").write_text("[[rule]]\nwhere = 'status = 4xx and method != REGISTER'\n")
    assert run("replay", DEMO, "--db", url, "--config", str(tmp_path / "rule.toml")).status == 0
    found = run("calls", "--db", url, "--format", "csv", "--columns", "status").out.split()
    assert sorted(found[1:]) == ["486", "487"]
    (tmp_path / "rule.toml").write_text("[[rule]]\nwhere = 'status = 4yy'\n")
    ended = run("replay", DEMO, "--db", url, "--config", str(tmp_path / "rule.toml"))
    assert (ended.status, "2: rule.where" in ended.err, "filter of messages" in ended.err) == (2, True, True), ended.err
