"""sip_trace() and sip_trace_mode() in modes m, t and d, converted: compared with the real module's output.

Each case is a recording of the module (shared/siptrace/vectors). Its wire.pcap is replayed with the converted
kamailio.cfg to real sockets and a real SQLite table. HEP packets, duplicates and rows must be the module's own, byte
for byte except for the clock, and except for the module's faults (docs/siptrace.md), which each case names:

    misses      messages that we trace and the module does not
    doubles     messages that the module emits once more than we do
    without_id  how many of its HEP packets lack the correlation id that all of ours have
    untagged    how many rows of messages that it created itself lack the To tag
    unbracketed how many of its rows have an IPv6 address without brackets
    leaked      how many of its HEP packets have x-headers
    spelt       an address in its rows, and the same in ours

`200 INVITE out` is a response to INVITE that the server sent; `row` after it marks a row of the table, with its user.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import test_convert_effect
import test_siptrace_vectors as vectors
from conversion import converted

import hep
from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.convert import convert
from capture_agent.packet.decoder import PacketDecoder
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sip.scan import scan
from capture_agent.sources.capture_file import CaptureFile

Counts = Mapping[str, int]
Row = tuple[object, ...]  # the table, and vectors.COLUMNS
MESSAGE, FROM, TO, USER, TO_TAG = (
    1 + vectors.COLUMNS.index(name) for name in ("msg", "fromip", "toip", "traced_user", "totag")
)
TIME = re.compile(rb"X-Siptrace-Time: \d+ \d+")
METHOD = re.compile(rb"X-Siptrace-Method:[^\r]*")
X_HEADERS = re.compile(rb"\r\nX-Siptrace-[^\r]*")
BARE_IPV6 = re.compile(r"^(\w+):([0-9a-f:]*:[0-9a-f:]*):(\d+)$")


def total(*counts: Counts) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()))  # type: ignore[arg-type]


def rows(counts: Counts) -> dict[str, int]:
    """The same messages in the table."""
    return {f"{message} row": count for message, count in counts.items()}


def users(counts: Counts, *names: str) -> dict[str, int]:
    """The same for rows of these users."""
    return total(*({f"{message} row {name}": count for message, count in counts.items()} for name in names))


# The relayed ACK for a 2xx belongs to no transaction of tm.
RELAYED_ACKS = {"ACK out": 5}
# Outgoing retransmissions: tm's timers send them, and tm itself answers with its last response.
SENT_AGAIN = {"100 INVITE out": 1, "INVITE out": 1, "200 INVITE out": 1}
BYE_SENT_AGAIN = {"BYE out": 1, "200 BYE out": 1}
# Incoming retransmissions of the dialog: tm absorbs them before the dialog sees them.
BYE_COMES_AGAIN = {"BYE in": 2}
# A script's function traces no message whose From it cannot parse.
WITHOUT_FROM = {"OPTIONS in": 1}
# Before trace_dialog_ack existed, the ACK that confirms a dialog belonged to nothing.
CONFIRMING_ACKS = {"ACK in": 3}
# A development snapshot, whose tm loses the CANCELled branch of a traced fork and sends CANCEL again.
LOSING_BRANCH = {"487 INVITE in": 1, "487 INVITE out": 1, "200 INVITE in": 1}
# The messages of a call that the server creates itself: their rows lack the To tag.
MADE_HERE = {"200 CANCEL out": 1, "403 INVITE out": 1, "486 INVITE out": 1, "200 OPTIONS out": 1}
# Kamailio sees a message to itself twice, out and in; on the wire it is one packet.
LOOPED = {"INVITE looped": 1, "100 INVITE looped": 1, "180 INVITE looped": 1, "200 INVITE looped": 1}
# In the dialog it traces only one of the passes.
SECOND_PASS = {"ACK looped": 1, "ACK out": 1, "BYE out": 1, "200 BYE in": 1}
CALL = {
    "INVITE in": 2, "100 INVITE out": 2, "INVITE out": 2, "100 INVITE in": 1, "180 INVITE in": 1, "180 INVITE out": 1,
    "200 INVITE in": 2, "200 INVITE out": 2, "ACK in": 2, "ACK out": 2, "BYE in": 1, "BYE out": 1, "200 BYE in": 1,
    "200 BYE out": 1,
}  # fmt: skip
OPTIONS = {"OPTIONS in": 1, "OPTIONS out": 1, "200 OPTIONS in": 1, "200 OPTIONS out": 1}
TRANSACTIONS = total(RELAYED_ACKS, SENT_AGAIN, BYE_SENT_AGAIN)
TRANSACTIONS_OF_HEAD = total(TRANSACTIONS, LOSING_BRANCH, {"CANCEL out": 3, "200 CANCEL in": 4})
DIALOGS = total(RELAYED_ACKS, SENT_AGAIN, BYE_SENT_AGAIN, BYE_COMES_AGAIN, CONFIRMING_ACKS)
DIALOGS_OF_HEAD = total(
    RELAYED_ACKS, SENT_AGAIN, LOSING_BRANCH, {"CANCEL out": 2, "200 CANCEL in": 3}, {"BYE in": 1}
)  # fmt: skip
# Of a dialog that is seen again it registers its callbacks again: the retransmitted ACK has three copies, a 200 two.
DOUBLED_IN_DIALOGS = {"ACK in": 2, "200 BYE in": 1}


@dataclass(frozen=True)
class Differences:
    misses: Counts = field(default_factory=dict)
    doubles: Counts = field(default_factory=dict)
    without_id: int = 0
    untagged: Counts = field(default_factory=dict)
    unbracketed: int = 0
    leaked: int = 0


@dataclass(frozen=True)
class Case(Differences):
    correlation_id: str = ""  # of all that we send
    spelt: Mapping[str, str] = field(default_factory=dict)


CASES = {
    "5.6.3/30-trace-m-hep3": Case(
        # The ACK that sl absorbs goes out without one.
        WITHOUT_FROM, without_id=1, correlation_id="corr-{call_id}",
    ),
    "5.6.3/31-trace-t-hep3": Case(
        total(TRANSACTIONS, WITHOUT_FROM), without_id=84, correlation_id="corr-{call_id}",
    ),
    "head/31-trace-t-hep3": Case(
        total(TRANSACTIONS_OF_HEAD, WITHOUT_FROM), without_id=80, correlation_id="corr-{call_id}",
    ),
    "5.6.3/32-trace-m-db": Case(),
    "5.6.3/33-trace-t-db": Case(rows(TRANSACTIONS), untagged=total(MADE_HERE, {"ACK out": 3})),
    "head/33-trace-t-db": Case(rows(TRANSACTIONS_OF_HEAD), untagged=total(MADE_HERE, {"ACK out": 2})),
    "5.6.3/33b-trace-t-ipv6-db": Case(
        total({"ACK out": 2}, rows({"ACK out": 2})), unbracketed=40,
        untagged={"200 CANCEL out": 1, "403 INVITE out": 1, "ACK out": 1},
    ),
    "head/33b-trace-t-ipv6-db": Case(
        total({"ACK out": 2}, rows({"ACK out": 2})), unbracketed=40,
        untagged={"200 CANCEL out": 1, "403 INVITE out": 1, "ACK out": 1},
    ),
    # The script does not trace requests in dialogs; CANCEL, and the ACK for a failure, belong to traced ones.
    "5.6.3/34-trace-t-initial-only": Case(
        total(SENT_AGAIN, WITHOUT_FROM), without_id=68, correlation_id="corr-{call_id}",
    ),
    "5.6.3/37-trace-flag-default": Case(total(TRANSACTIONS, WITHOUT_FROM)),
    "5.6.3/38-trace-noflag-default": Case(),
    "5.6.3/39b-trace-m-onsend-ipv6-db": Case(unbracketed=2),
    "5.6.3/40-trace-d-hep3": Case(DIALOGS, without_id=65, correlation_id="corr-{call_id}"),
    "head/40-trace-d-hep3": Case(
        DIALOGS_OF_HEAD, DOUBLED_IN_DIALOGS, without_id=64, correlation_id="corr-{call_id}",
    ),
    # The received CANCEL goes to duplicate_uri, which is not set, instead of the address of sip_trace().
    "5.6.3/41-trace-d-db": Case(
        total(DIALOGS, rows(DIALOGS), {"CANCEL in": 1}), untagged={"200 CANCEL out": 1, "ACK out": 3},
    ),
    "head/41-trace-d-db": Case(
        total(DIALOGS_OF_HEAD, rows(DIALOGS_OF_HEAD), {"CANCEL in": 1}),
        total(DOUBLED_IN_DIALOGS, rows(DOUBLED_IN_DIALOGS)), untagged={"200 CANCEL out": 1, "ACK out": 2},
    ),
    # This version refuses sip_trace_mode("d").
    "5.6.3/42-trace-mode-d-bug": Case(rows(CALL)),
    # Without the dialog module only the INVITE.
    "5.6.3/43-trace-d-nodialog": Case(
        total(CALL, {"INVITE in": -1}), correlation_id="corr-{call_id}",
    ),
    # An ACK that sl absorbs has no users.
    "5.6.3/46-trace-t-users": Case(
        total(rows({"ACK out": 2}), users({"ACK out": 2, "ACK in": 1}, "sip:alice@kamref", "sip:bob@kamref")),
        untagged={"403 INVITE out": 3},
    ),
    "5.6.3/48-trace-table-avp": Case(),
    "5.6.3/49-table-param": Case(),
    "5.6.3/50-dup-sip-trace-t": Case(total(TRANSACTIONS, WITHOUT_FROM)),
    "5.6.3/51-dup-sip-xhw": Case(total(TRANSACTIONS, WITHOUT_FROM)),
    "5.6.3/52-dup-db-noaddr": Case(),
    "5.6.3/54-xhw-hep": Case(leaked=1),
    # As documented, without a protocol, trace_local_ip loses every HEP packet.
    "5.6.3/58-localip-bad": Case(OPTIONS, spelt={"10.1.1.1:5064": "udp:10.1.1.1:5064"}),
    "5.6.3/69-trace-t-hep-default-dst": Case(total(TRANSACTIONS, WITHOUT_FROM)),
    "5.6.3/70-spiral-d": Case(
        total(SECOND_PASS, {"ACK in": 1}), LOOPED, without_id=17, correlation_id="corr-{call_id}",
    ),
    "head/70-spiral-d": Case(
        # With trace_dialog_spiral it traces messages of the dialog twice.
        SECOND_PASS, total(LOOPED, {"ACK in": 1, "BYE in": 1, "BYE looped": 1, "200 BYE looped": 1, "200 BYE out": 1}),
        without_id=20, correlation_id="corr-{call_id}",
    ),
    "head/79-spiral-0": Case(SECOND_PASS, LOOPED, without_id=17, correlation_id="corr-{call_id}"),
    "5.6.3/72-xheaders-read": Case(),
    # It takes some of the x-headers, and makes up the rest.
    "5.6.3/81-xheaders-read-ok": Case(doubles=total({"OPTIONS in": 1}, rows({"OPTIONS in": 1}))),
    "head/81-xheaders-read-ok": Case(),
    "5.6.3/82-xheaders-read-hep": Case(doubles={"OPTIONS in": 1}),
    "head/82-xheaders-read-hep": Case(),
    "5.6.3/87-dbmode2": Case(),
    "5.6.3/89-reply-route-m": Case(correlation_id="rc-{call_id}"),
    "5.6.3/90-onsend-m": Case(
        # onsend_route does not run for messages that the server creates itself.
        {"100 INVITE out": 4, "CANCEL out": 1, "200 CANCEL out": 1, "ACK out": 2, "403 INVITE out": 1},
        # trace_sl_acks: an ACK that sl absorbs, although nothing of that call is to be traced.
        {"ACK in": 1}, without_id=1, correlation_id="os-{call_id}",
    ),
    "5.6.3/94-avp-three-users-hep": Case(),
    # Once for trace_mode and once for the script.
    "5.6.3/96-mode1-plus-script": Case(doubles=OPTIONS),
    "5.6.3/a3-t-traceoff-db": Case(),
    # HEP 2 goes nowhere without a duplicate_uri.
    "5.6.3/a4-hep2-addr-nodup": Case({"OPTIONS in": 1}),
    "5.6.3/a7-hep3-addr-nodup": Case(),
    "5.6.3/b1-slack-evroute": Case(),
    "5.6.3/b3-mode-string": Case(),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_script(shared: Path, tmp_path: Path, name: str) -> None:
    case, want = shared / "siptrace" / "vectors" / name, CASES[name]
    ours = by_us(case, tmp_path)
    found = Comparison(case, want.spelt, by_the_module(case), ours).differences()
    assert found == Differences(
        {message: count for message, count in want.misses.items() if count},
        want.doubles, want.without_id, want.untagged, want.unbracketed, want.leaked,
    )  # fmt: skip
    for packet in ours.packets:
        assert correlation_of(packet) == want.correlation_id.replace("{call_id}", call_id_of(packet))


def by_us(case: Path, folder: Path) -> vectors.Emitted:
    database = folder / "trace.db"
    with vectors.receiver() as (hep_port, heps), vectors.receiver() as (sip_port, sips):
        config = converted(case, folder, hep_port, sip_port, database)
        for table in tables_of(case) if config.sql else ():
            create_tables(config.sql[0].url, table)
        agent = Agent(config, lossless=True)
        replay(agent, [case / "wire.pcap"])
        books = agent.close()
    assert books.balanced
    assert agent.routes.failure is None
    found = [(table, *row) for table in tables_of(case) if config.sql for row in vectors.rows_of_ours(database, table)]
    return vectors.Emitted(Counter(map(vectors.without_clock, heps + sips)), Counter(found))


def by_the_module(case: Path) -> vectors.Emitted:
    packets = [packet for name in ("hep", "dup") for packet in payloads_of(case / f"{name}.pcap")]
    found = [(table, *row) for table in tables_of(case) for row in vectors.rows_of_the_module(case, table)]
    return vectors.Emitted(Counter(map(vectors.without_clock, packets)), Counter(found))


def payloads_of(capture: Path) -> list[bytes]:
    return vectors.payloads(capture) if capture.exists() else []


def tables_of(case: Path) -> list[str]:
    file = case / "rows.json"
    if not file.exists():
        return []
    recorded = json.loads(file.read_text())
    return sorted(recorded) if isinstance(recorded, dict) else ["sip_trace"]


@dataclass
class Comparison:
    case: Path
    spelt: Mapping[str, str]
    module: vectors.Emitted
    ours: vectors.Emitted

    def __post_init__(self) -> None:
        settings = vectors.Settings.read(self.case / "kamailio.cfg")
        self._local = {
            (host.strip("[]"), int(port)) for host, _, port in (at.rpartition(":") for at in settings.listens)
        }
        self._ways = dict(self._ways_on_the_wire())

    def _ways_on_the_wire(self) -> Iterator[tuple[bytes, str]]:
        """The direction of each message, by its bytes without x-headers."""
        packets = PacketDecoder()
        with CaptureFile(self.case / "wire.pcap") as file:
            for frames in file.batches():
                for packet in packets.decode(frames):
                    sent = (packet.source_text, packet.source_port) in self._local
                    received = (packet.destination_text, packet.destination_port) in self._local
                    yield headless(packet.payload), "looped" if sent and received else "out" if sent else "in"

    def differences(self) -> Differences:
        packets, our_packets = Counter(self.module.packets), Counter(self.ours.packets)
        leaked = sum(count for packet, count in packets.items() if leaks(packet))
        without_id = 0
        if any(map(correlation_of, our_packets)):
            without_id = sum(count for packet, count in packets.items() if not correlation_of(packet))
        packets, our_packets = comparable(packets), comparable(our_packets)

        found, our_rows = self._spelt_as_ours(), self.ours.rows
        unbracketed = found.total() - (found & bracketed(found)).total()
        found = bracketed(found)
        tagless = untagged(found - our_rows, our_rows - found)
        found, our_rows = found - tagless, our_rows - tagged(our_rows - found, tagless)
        return Differences(
            total(self.labels(our_packets - packets), self.row_labels(our_rows - found)),
            total(self.labels(packets - our_packets), self.row_labels(found - our_rows)),
            without_id,
            self.labels(tagless),
            unbracketed,
            leaked,
        )

    def _spelt_as_ours(self) -> Counter[Row]:
        return Counter(
            tuple(self.spelt.get(str(value), value) if at in (FROM, TO) else value for at, value in enumerate(row))
            for row in self.module.rows.elements()
        )

    def labels(self, counts: Counter[bytes] | Counter[Row]) -> dict[str, int]:
        found: Counter[str] = Counter()
        for one, count in counts.items():
            message = one[MESSAGE] if isinstance(one, tuple) else message_in(one)
            assert isinstance(message, bytes)
            found[self.label(message)] += count
        return dict(found)

    def row_labels(self, counts: Counter[Row]) -> dict[str, int]:
        found: Counter[str] = Counter()
        for row, count in counts.items():
            assert isinstance(row[MESSAGE], bytes)
            found[f"{self.label(row[MESSAGE])} row {row[USER]}".strip()] += count
        return dict(found)

    def label(self, message: bytes) -> str:
        sip = scan(message, 0, len(message))
        assert sip is not None
        what = sip.method if sip.method is not None else b"%d %s" % (sip.status, sip.cseq_method or b"")
        return f"{what.decode()} {self._ways[headless(message)]}"


def headless(message: bytes) -> bytes:
    return X_HEADERS.sub(b"", message)


def comparable(packets: Counter[bytes]) -> Counter[bytes]:
    """Without correlation ids, without x-headers in HEP, and without the time of those in duplicates.

    To remove these they are decoded and encoded, which alone must not change any byte.
    """
    found: Counter[bytes] = Counter()
    for packet, count in packets.items():
        if packet[:4] == b"HEP3":
            decoded = hep.decode(packet)
            assert hep.encode(decoded) == packet
            assert decoded.payload is not None
            payload = headless(decoded.payload) if leaks(packet) else decoded.payload
            found[hep.encode(replace(decoded, correlation_id=None, payload=payload))] += count
        else:
            found[TIME.sub(b"X-Siptrace-Time:", packet)] += count
    return found


def leaks(packet: bytes) -> bool:
    return packet[:4] == b"HEP3" and X_HEADERS.search(packet) is not None


def bracketed(found: Counter[Row]) -> Counter[Row]:
    return Counter(
        tuple(BARE_IPV6.sub(r"\1:[\2]:\3", str(value)) if at in (FROM, TO) else value for at, value in enumerate(row))
        for row in found.elements()
    )


def without_tag(row: Row) -> Row:
    return (*row[:TO_TAG], "", *row[TO_TAG + 1 :])


def untagged(theirs: Counter[Row], ours: Counter[Row]) -> Counter[Row]:
    """The rows that are also in ours, but there with a To tag."""
    blank = Counter(without_tag(row) for row in ours.elements() if row[TO_TAG])
    return Counter({row: count for row, count in theirs.items() if not row[TO_TAG]}) & blank


def tagged(ours: Counter[Row], tagless: Counter[Row]) -> Counter[Row]:
    """Our rows that correspond to these."""
    left = Counter(tagless)
    found: Counter[Row] = Counter()
    for row in ours.elements():
        if row[TO_TAG] and left[without_tag(row)]:
            left[without_tag(row)] -= 1
            found[row] += 1
    return found


def message_in(packet: bytes) -> bytes:
    if packet[:4] == b"HEP3" or packet[:1] == b"\2":
        payload = hep.decode(packet).payload
        assert payload is not None
        return payload
    return packet


def correlation_of(packet: bytes) -> str:
    return (hep.decode(packet).correlation_id or b"").decode() if packet[:4] == b"HEP3" else ""


def call_id_of(packet: bytes) -> str:
    sip = scan(message_in(packet), 0, len(message_in(packet)))
    assert sip is not None
    return (sip.call_id or b"").decode()


# With these siptrace does not start, or crashes, or traces nothing: the comment for each.
NOTHING = "nothing is traced: found neither a trace_mode nor a call that is understood"
REFUSED = {
    "5.6.3/55-hlog": "hlog(): not about a message, so no rule",
    "5.6.3/57-sip-trace-msg": "sip_trace_msg(): not about a message, so no rule",
    "5.6.3/60-bad-dupuri": "'notauri': no SIP URI",
    "5.6.3/61-bad-hepver": "hep_version: value 4, expected 1, 2 or 3",
    "5.6.3/62-bad-flag": "trace_flag: value 99, expected 0 to 31",
    "5.6.3/64-init1-nomode": "trace_init_mode: 1 without a trace_mode traces nothing",
    "5.6.3/65-bad-avp": "traced_user_avp: value '$var(x)' is not an AVP",
    "5.6.3/66-bad-dbmissing": NOTHING,  # the table is looked at when the agent starts
    "5.6.3/67-badaddr-arg": "'not a uri': no SIP URI",
    "5.6.3/68-badmode-arg": "sip_trace(): mode 'x', expected m, t or d: using message mode",
    "5.6.3/75-hlog-ipv6": "hlog(): not about a message, so no rule",
    "5.6.3/90-onsend-m": "trace_sl_acks: ACKs absorbed by sl are traced by the rules, not always",
    "5.6.3/92-hlog-nodup": "hlog(): not about a message, so no rule",
    "5.6.3/a8-noaddr-nodup": "sip_trace(): no destination",
    "head/57-sip-trace-msg": "sip_trace_msg(): not about a message, so no rule",
    "head/76-sip-trace-msg-protos": "sip_trace_msg(): not about a message, so no rule",
    "head/92-hlog-nodup": "hlog(): not about a message, so no rule",
}


@pytest.mark.parametrize("name", REFUSED)
def test_notes_of_recorded_cases(shared: Path, tmp_path: Path, name: str) -> None:
    toml = convert(shared / "siptrace" / "vectors" / name / "kamailio.cfg")
    comments = [line for line in toml.splitlines() if line.startswith("# *")]
    assert any(REFUSED[name] in line for line in comments)
    if name not in ("5.6.3/68-badmode-arg", "5.6.3/90-onsend-m"):
        assert NOTHING in toml
        assert "\non = false\n" in toml


NO_METHOD = "5.6.3/14-mode4-dup-xhw-evrt"


def test_x_headers_of_trace_mode(shared: Path, tmp_path: Path) -> None:
    """If an event route writes them, siptrace's have the time 0 and no method; ours have both."""
    case = shared / "siptrace" / "vectors" / NO_METHOD
    module, ours = by_the_module(case), by_us(case, tmp_path)
    assert all(b"\r\nX-Siptrace-Time: 0 0\r\nX-Siptrace-Method: \r\n" in packet for packet in module.packets)
    for packet in ours.packets:
        sip = scan(packet, 0, len(packet))
        assert sip is not None
        assert sip.header("X-Siptrace-Method") == sip.cseq_method
        assert int((sip.header("X-Siptrace-Time") or b"").split()[0]) > 1_700_000_000
    assert without_method(ours.packets) == without_method(module.packets)


def without_method(packets: Counter[bytes]) -> Counter[bytes]:
    return Counter(METHOD.sub(b"X-Siptrace-Method:", packet) for packet in comparable(packets).elements())


# What hlog() and sip_trace_msg() send is in tests/hep (hep_golden.json) and tests/cli/test_cli_events.py.
ELSEWHERE = {
    "5.6.3/22-mode1-off-at-start": "tests/control/test_commands.py: RPC while it runs",
}


def test_every_recording_has_a_test(shared: Path) -> None:
    folder = shared / "siptrace" / "vectors"
    recorded = {f"{case.parts[-2]}/{case.name}" for case in folder.glob("*/[0-9a-z][0-9]*") if case.is_dir()}
    core = {f"5.6.3/{name}" for name in vectors.CASES} | {f"head/{name}" for name in vectors.HEAD_CASES}
    assert recorded == core | {NO_METHOD} | set(CASES) | set(REFUSED) | set(ELSEWHERE) | set(
        test_convert_effect.EVENT_ROUTES
    )
