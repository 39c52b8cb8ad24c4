"""Rules and messages: which rule matches, and what it starts."""

from __future__ import annotations

import pytest
from policy_samples import CARRIER, CLIENT, HOMER, SERVER, TABLE, Calls, captured, policy, settings, shown, sip

from capture_agent.config.endpoints import parse_local
from capture_agent.correlate.correlator import Correlator
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.frames import Interface
from capture_agent.records.traced import TracedMessage

INVITE = sip("INVITE")
RINGING = sip("SIP/2.0 180 Ringing", "1 INVITE", "b")
OK = sip("SIP/2.0 200 OK", "1 INVITE", "b")
BUSY = sip("SIP/2.0 486 Busy Here", "1 INVITE", "b")
OPTIONS_OK = sip("SIP/2.0 200 OK", "1 OPTIONS", "b")
BYE = sip("BYE", "2 BYE", "b")
PAI = sip("INVITE", p_asserted_identity='"A, \\"<x>" <sip:+4930@carrier.example>, <tel:+4931;x=1>')


@pytest.mark.parametrize(
    ("rule", "matches", "others"),
    [
        pytest.param("", [INVITE, OK, BYE], [], id="no matcher: everything"),
        pytest.param('method = "INVITE"', [INVITE, RINGING, BUSY], [BYE, OPTIONS_OK], id="method, and its responses"),
        pytest.param('method = ["bye", "OPTIONS"]', [BYE, OPTIONS_OK], [INVITE, OK], id="a list, in any case"),
        pytest.param("status = 486", [BUSY], [OK, INVITE], id="a status"),
        pytest.param('status = ["1xx", "400-486"]', [RINGING, BUSY], [OK, INVITE], id="statuses"),
        pytest.param('status = "487-499"', [], [BUSY], id="of the class, but not it"),
        pytest.param('status = "200-300"\nmethod = "INVITE"', [OK], [OPTIONS_OK, BUSY], id="status and method"),
        pytest.param('kind = "request"', [INVITE, BYE], [OK], id="requests"),
        pytest.param('kind = "response"', [OK, RINGING], [INVITE], id="responses"),
        pytest.param('kind = "initial"', [INVITE], [BYE, OK], id="initial"),
        pytest.param('kind = "in-dialog"', [BYE], [INVITE, OK], id="in-dialog"),
        pytest.param('kind = ["initial", "response"]', [INVITE, OK], [BYE], id="kinds"),
        pytest.param('from_user = "alice"', [INVITE], [sip("INVITE", from_="<sip:ALICE@h>")], id="users have a case"),
        pytest.param('from_user = "al*"', [INVITE], [sip("INVITE", from_="sip:bal@h")], id="prefix"),
        pytest.param('from_user = "*ce"', [INVITE], [sip("INVITE", from_="sip:cez@h")], id="suffix"),
        pytest.param('from_user = "a*i*e"', [INVITE], [sip("INVITE", from_="sip:aeie2@h")], id="in the middle"),
        pytest.param('from_user = "al*ice"', [INVITE], [sip("INVITE", from_="sip:alce@h")], id="parts may touch"),
        pytest.param('from_user = "ali*ice"', [], [INVITE], id="parts do not overlap"),
        pytest.param('from_user = "/^[a-b]l/"', [INVITE], [sip("INVITE", from_="sip:cl@h")], id="regex"),
        pytest.param('from_user = "*"', [INVITE], [sip("INVITE", from_="<sip:h>")], id="any user"),
        pytest.param('from_uri = "SIP:alice@Example.COM"', [INVITE], [sip("INVITE", from_="sip:al@h")], id="URI"),
        pytest.param('to_uri = "*@example.com"', [INVITE, OK], [sip("INVITE", to="sip:b@h")], id="To URI"),
        pytest.param('to_user = "bob"', [INVITE], [sip("INVITE", to="<sip:al:bob@h>")], id="a password is no user"),
        pytest.param('to_user = "+4930"', [sip("INVITE", to="<tel:+4930;phone-context=x>")], [INVITE], id="tel"),
        pytest.param('request_user = "bob"', [INVITE], [sip("INVITE sip:al@b SIP/2.0"), OK], id="request user"),
        pytest.param('request_uri = "sip:bob@*"', [INVITE], [sip("INVITE sips:bob@b SIP/2.0"), OK], id="request URI"),
        pytest.param('request_host = "b"', [sip("INVITE sip:al@b:5060;x SIP/2.0"), sip("INVITE sip:B SIP/2.0")], [INVITE, OK],
                     id="request host"),
        pytest.param('from_host = "*.example.com"', [sip("INVITE", from_="<sip:a@w.Example.com:1>")], [INVITE], id="From host"),
        pytest.param('to_host = "[::1]"', [sip("INVITE", to="<sip:a@[::1]:5>")], [INVITE], id="To host, IPv6"),
        pytest.param('to_host = "*"', [INVITE], [sip("INVITE", to="<tel:+49>")], id="tel has no host"),
        pytest.param('pai_host = "carrier.example"', [PAI], [INVITE], id="P-Asserted-Identity host"),
        pytest.param('pai_user = "+4931"', [PAI], [INVITE], id="the second identity"),
        pytest.param('pai_uri = "sip:+4930@carrier.example"', [PAI], [INVITE], id="behind a quoted name"),
        pytest.param('header = "X-Account"', [sip("BYE", x_account="1")], [BYE], id="a header is there"),
        pytest.param('header = "x-account: AB*"', [sip("BYE", x_Account="abc")], [sip("BYE", x_account="b")], id="glob"),
        pytest.param('header = "X-A: /^[0-9]+$/"', [sip("BYE", x_a="12")], [sip("BYE", x_a="12a")], id="header regex"),
        pytest.param('header = ["X-A: 1", "X-A: 2", "X-B"]',
                     [sip("BYE", x_a="2", x_b=""), sip("BYE", x_a="1", x_b="y")],
                     [sip("BYE", x_a="3", x_b=""), sip("BYE", x_a="2"), sip("BYE", x_b=""), BYE], id="one for each name"),
        pytest.param('header = ["X-A", "X-A: 2"]', [sip("BYE", x_a="3")], [BYE], id="any text and one text"),
        pytest.param('header = ["Subject: hi", "s: ho"]', [sip("BYE", s="ho")], [sip("BYE", s="x")], id="two names of one"),
        pytest.param('header = "Subject: hi"', [sip("BYE", s="hi"), sip("BYE", subject="Hi")], [BYE], id="compact"),
        pytest.param('header = "To: *bob*"', [INVITE], [sip("INVITE", to="<sip:al@h>")], id="a routine header"),
        pytest.param('header = "X-A: a b"', [sip("BYE", x_a="a\r\n  b")], [sip("BYE", x_a="ab")], id="folded"),
        pytest.param('transport = "udp"', [INVITE], [], id="transport"),
        pytest.param('transport = ["tcp", "tls"]', [], [INVITE], id="other transports"),
        pytest.param('method = "INVITE"\nfrom_user = "bob"', [], [INVITE], id="all matchers must hold"),
    ],
)  # fmt: skip
def test_messages(rule: str, matches: list[bytes], others: list[bytes]) -> None:
    traced = [one.message.raw for one in policy(f"[[rule]]\n{rule}").decide(list(map(captured, matches + others)))]
    assert traced == matches


V6 = ("2001:db8::5 5060", "2001:db8:1::5 5061")


@pytest.mark.parametrize(
    ("rule", "message", "want"),
    [
        ('source = "198.51.100.7"', captured(INVITE), True),
        ('source = "198.51.100.0/24"', captured(INVITE), True),
        ('source = "198.51.100.4/30"', captured(INVITE), True),
        ('source = "198.51.100.8/29"', captured(INVITE), False),
        ('source = "192.0.2.1"', captured(INVITE), False),
        ('source = "0.0.0.0/0"', captured(INVITE), True),
        ('source = "0.0.0.0/0"', captured(INVITE, *V6), False),
        ('source = "2001:db8::/47"', captured(INVITE, *V6), True),
        ('destination = "2001:db8::/48"', captured(INVITE, *V6), False),
        ('destination = ["10.0.0.0/8", "192.0.0.0/16"]', captured(INVITE), True),
        ('destination = "192.0.2.1:5060"', captured(INVITE), True),
        ('destination = "192.0.2.1:5061"', captured(INVITE), False),
        ('address = "192.0.2.1"', captured(INVITE), True),
        ('address = "192.0.2.1"', captured(INVITE, SERVER, "10.0.0.1 1"), True),
        ('address = "192.0.2.2"', captured(INVITE), False),
        ("source_port = 5062", captured(INVITE), True),
        ("source_port = 5060", captured(INVITE), False),
        ('destination_port = "5060-5061"', captured(INVITE), True),
        ("destination_port = 5062", captured(INVITE), False),
        ("port = [1, 5062]", captured(INVITE), True),
        ("port = 5059", captured(INVITE), False),
        ("vlan = 7", captured(INVITE, vlan=7), True),
        ('vlan = "8-9"', captured(INVITE, vlan=7), False),
        ("vlan = 0", captured(INVITE), False),
        ('interface = ["eth0", "eth1"]', captured(INVITE, interface=Interface("eth1", 1)), True),
        ('interface = "eth0"', captured(INVITE, interface=Interface("eth1", 1)), False),
        ('interface = "eth0"', captured(INVITE), False),
        ('direction = "in"', captured(INVITE), True),
        ('direction = "out"', captured(INVITE), False),
        ('direction = ["in", "out"]', captured(INVITE), True),
        ('transport = "ws"', captured(INVITE, transport="ws"), True),
        (r'source = "/^198\\.51\\./"', captured(INVITE), True),
        (r'source = "/^192\\./"', captured(INVITE), False),
        (r'destination = ["10.0.0.1", "/\\.2\\.1$/"]', captured(INVITE), True),
        (r'address = "/^2001:DB8/"', captured(INVITE, *V6), False),
        (r'address = "/(?i)^2001:DB8:1:/"', captured(INVITE, *V6), True),
    ],
)  # fmt: skip
def test_packets(rule: str, message: CapturedMessage, want: bool) -> None:
    judge = policy(f"[[rule]]\n{rule}")
    assert len(judge.decide([message])) == want
    assert (judge.traced, judge.not_traced) == (want, not want)


def call(**more: bytes) -> list[CapturedMessage]:
    """INVITE, 180, 486 and ACK, a new INVITE, 200, ACK and BYE with 200, and an OPTIONS of another."""
    calls = Calls()
    steps = [
        (INVITE, False),
        (RINGING, False),
        (BUSY, False),
        (sip("ACK", "1 ACK", "b"), False),
        (sip("INVITE", "2 INVITE"), False),
        (sip("SIP/2.0 200 OK", "2 INVITE", "b"), False),
        (sip("ACK", "2 ACK", "b"), True),
        (sip("BYE", "3 BYE", "b"), False),
        (sip("SIP/2.0 200 OK", "3 BYE", "b"), False),
        (sip("OPTIONS", call_id="c2"), False),
    ]
    return [calls.observe(captured(raw, time=n), own) for n, (raw, own) in enumerate(steps)]


FIRST = ["INVITE", "180", "486", "ACK"]
SECOND = ["INVITE", "200"]
END = ["ACK", "BYE", "200"]


@pytest.mark.parametrize(
    ("toml", "want"),
    [
        pytest.param('[trace]\nmode = "message"', [], id="no rules"),
        pytest.param('[trace]\nmode = "dialog"', [("mode dialog", "dialog", 1)], id="mode dialog"),
        pytest.param('[[rule]]\nmethod = "INVITE"\nkind = "request"\ntrace = "transaction"',
                     [("rule 1", "transaction", 2)], id="what begins a transaction"),
        pytest.param('[[rule]]\nname = "no options"\nmethod = "OPTIONS"\ntrace = "none"\n[[rule]]\ntrace = "message"',
                     [("no options", "none", 1), ("rule 2", "message", 9)], id="none excludes"),
        pytest.param('[trace]\nmatch = "all"\n[[rule]]\nmethod = "BYE"\n[[rule]]\nstatus = 486\nsinks = "carrier"',
                     [("rule 1", "message", 2), ("rule 2", "message", 1)], id="all that match"),
        pytest.param('[trace]\non = false\n[[rule]]\nmethod = "BYE"', [("rule 1", "message", 0)], id="off"),
    ],
)  # fmt: skip
def test_decisions_are_counted_by_rule_and_mode(toml: str, want: list[tuple[str, str, int]]) -> None:
    judge = policy(toml)
    judge.decide(call())
    assert list(judge.decisions()) == want


@pytest.mark.parametrize(
    ("toml", "want"),
    [
        pytest.param('[trace]\nmode = "message"', [*FIRST, *SECOND, *END, "OPTIONS"], id="mode message"),
        pytest.param('[trace]\nmode = "transaction"', [*FIRST, *SECOND, *END, "OPTIONS"], id="mode transaction"),
        pytest.param('[trace]\nmode = "dialog"', [*FIRST, *SECOND, *END], id="mode dialog"),
        pytest.param('[[rule]]\nmethod = "INVITE"\nkind = "request"', ["INVITE", "INVITE"], id="messages"),
        pytest.param('[[rule]]\nmethod = "INVITE"\nkind = "request"\ntrace = "transaction"', [*FIRST, *SECOND],
                     id="transactions: responses, and the ACK for a failure"),
        pytest.param('[[rule]]\nstatus = 486\ntrace = "transaction"', ["486", "ACK"], id="from a response on"),
        pytest.param('[[rule]]\nstatus = 486\ntrace = "dialog"', ["486", "ACK", *SECOND, *END], id="the dialog"),
        pytest.param('[[rule]]\nmethod = "OPTIONS"\ntrace = "dialog"', ["OPTIONS"], id="no dialog: the transaction"),
        pytest.param('[[rule]]\nmethod = "INVITE"\ntrace = "none"\n[[rule]]\ntrace = "message"',
                     ["ACK", *END, "OPTIONS"], id="none, then the rest"),
        pytest.param('[[rule]]\nstatus = 180\ntrace = "dialog"\n[[rule]]\nmethod = "BYE"\ntrace = "none"',
                     ["180", "486", "ACK", *SECOND, *END], id="a dialog that is traced is no matter for rules"),
        pytest.param('[trace]\ndialog_acks = false\n[[rule]]\nmethod = "INVITE"\ntrace = "dialog"',
                     [*FIRST, *SECOND, "BYE", "200"], id="without the ACK for a 2xx"),
    ],
)  # fmt: skip
def test_modes(toml: str, want: list[str]) -> None:
    judge = policy(toml)
    messages = call()
    assert [line.split()[0] for line in shown(judge.decide(messages))] == want
    assert judge.traced + judge.not_traced == len(messages)


@pytest.mark.parametrize(
    ("toml", "want"),
    [
        pytest.param(
            '[[rule]]\nmethod = "INVITE"\nsinks = "carrier"\n[[rule]]',
            [f"INVITE {CARRIER}", f"180 {CARRIER}", f"BYE {HOMER}"],
            id="the first that matches; without sinks: those with default",
        ),
        pytest.param(
            '[trace]\nmatch = "all"\n[[rule]]\nmethod = "INVITE"\nsinks = ["carrier", "homer"]\n[[rule]]',
            [f"INVITE {CARRIER | HOMER}", f"180 {CARRIER | HOMER}", f"BYE {HOMER}"],
            id="all: but each sink once",
        ),
        pytest.param(
            '[trace]\nmatch = "all"\n[[rule]]\n[[rule]]\nmethod = "INVITE"\nsinks = ["carrier", "homer"]',
            [f"INVITE {HOMER}", f"INVITE {CARRIER}", f"180 {HOMER}", f"180 {CARRIER}", f"BYE {HOMER}"],
            id="all: the first that names a sink wins",
        ),
        pytest.param(
            '[trace]\nmatch = "all"\n[[rule]]\nmethod = "INVITE"\ntrace = "dialog"\nsinks = "table"\n[[rule]]',
            [f"INVITE {TABLE}", f"INVITE {HOMER}", f"180 {TABLE}", f"180 {HOMER}", f"BYE {TABLE}", f"BYE {HOMER}"],
            id="all: the dialog's, and the message's own",
        ),
        pytest.param(
            '[trace]\nmatch = "all"\n[[rule]]\nstatus = 180\ntrace = "none"\n[[rule]]',
            [f"INVITE {HOMER}", f"BYE {HOMER}"],
            id="all: none ends the search",
        ),
        pytest.param(
            '[[rule]]\nsinks = ["hep:10.0.0.2:9060", "sip:10.9.9.9", "table"]\nmethod = "BYE"',
            [f"BYE {CARRIER | 4 | 8}"],  # the new one is the third: HEP, SIP, SQL
            id="by URI: one that there is, and a new one",
        ),
    ],
)
def test_sinks(toml: str, want: list[str]) -> None:
    calls = Calls()
    messages = [calls.observe(captured(raw)) for raw in (INVITE, RINGING, BYE)]
    assert shown(policy(toml).decide(messages)) == want


def test_what_a_dialog_trace_says_is_the_same_for_all_of_it() -> None:
    judge = policy(
        '[[rule]]\nname = "watched"\nmethod = "INVITE"\nkind = "request"\ntrace = "dialog"\ntable = "special"\n'
        'correlation_id = "{call_id}-abc"\nusers = ["{from_user}", "{header:X-Account}", "{to_user}", "alice"]\n'
    )
    traced = judge.decide(call())
    assert len(traced) == 9
    [trace] = {one.trace for one in traced}
    assert (trace.rule, trace.correlation_id, trace.users, trace.table, trace.plain_row) == (
        "watched",
        b"c1-abc",
        ("alice", "bob"),
        "special",
        True,
    )


@pytest.mark.parametrize(
    ("template", "want"),
    [
        ("{call_id}-abc", b"c1-abc"),
        ("{method} {cseq} {from_tag} {to_tag}", b"INVITE 1 a "),
        ("{from_user} {from_uri} {to_user} {to_uri}", b"alice sip:alice@example.com bob sip:bob@example.com"),
        ("{request_user} {request_uri}", b"bob sip:bob@example.com"),
        ("{request_host} {from_host} {to_host} {pai_host}", b"example.com example.com example.com carrier.example"),
        ("{pai_user} {pai_uri}", b"+4930 sip:+4930@carrier.example"),
        ("{source}:{source_port}>{destination}:{destination_port}", b"198.51.100.7:5062>192.0.2.1:5060"),
        ("{transport}{interface}{vlan}", b"udp"),
        ("{{{header:call-id}}}", b"{c1}"),
        ("{header:X-None}", b""),
        ("\u00e4", "\u00e4".encode()),
    ],
)
def test_templates(template: str, want: bytes) -> None:
    [traced] = policy(f'[[rule]]\ncorrelation_id = "{template}"').decide([captured(PAI)])
    assert traced.trace.correlation_id == want


def test_what_a_peer_fills_in_is_bounded() -> None:
    message = captured(sip("INVITE", call_id="c" * 5000, x_a="u" * 50_000))
    [traced] = policy('[[rule]]\ncorrelation_id = "{call_id}"\nusers = "{header:X-A}"').decide([message])
    assert (traced.trace.correlation_id, traced.trace.users) == (b"c" * 512, ("u" * 512,))


OFF = "[trace]\non = false\n"
USERS = '[[rule]]\nmethod = "INVITE"\nusers = "alice"\ntrace = "dialog"\n'


@pytest.mark.parametrize(
    ("toml", "want"),
    [
        pytest.param(OFF, [], id="nothing"),
        pytest.param(f'{OFF}mode = "dialog"', [], id="no dialog"),
        pytest.param(f"{OFF}[[rule]]", [], id="no rule"),
        pytest.param(f"{OFF}{USERS}[[rule]]", ["INVITE", "180", "BYE"], id="but traced users"),
        pytest.param(f'{OFF}[[rule]]\nmethod = "INVITE"\n{USERS}', [], id="the first that matches has none"),
    ],
)
def test_tracing_is_off(toml: str, want: list[str]) -> None:
    calls = Calls()
    judge = policy(toml)
    traced = judge.decide([calls.observe(captured(raw)) for raw in (INVITE, RINGING, BYE)])
    assert [line.split()[0] for line in shown(traced)] == want
    assert all(not one.trace.plain_row and one.trace.users == ("alice",) for one in traced)
    assert (judge.traced, judge.not_traced) == (len(want), 3 - len(want))


def test_it_is_switched_while_it_runs() -> None:
    """Like siptrace.status. A traced dialog continues afterwards."""
    calls = Calls()
    judge = policy('[trace]\nmode = "dialog"')
    rows = []
    for on, raw in ((True, INVITE), (False, RINGING), (True, OK), (False, sip("INVITE", call_id="c2")),
                    (True, sip("SIP/2.0 200 OK", "1 INVITE", "b", "c2")), (True, BYE)):  # fmt: skip
        judge.on = on
        rows.append(len(judge.decide([calls.observe(captured(raw))])))
    assert rows == [1, 0, 1, 0, 0, 1]


def test_users_have_plain_rows_again_when_tracing_is_on_again() -> None:
    calls = Calls()
    judge = policy(OFF + USERS)
    first = judge.decide([calls.observe(captured(INVITE))])
    judge.on = True
    second = judge.decide([calls.observe(captured(RINGING))])
    assert [one.trace.plain_row for one in (*first, *second)] == [False, True]


def test_a_message_without_transaction_or_dialog_is_traced_alone() -> None:
    judge = policy('[[rule]]\nmethod = "INVITE"\ntrace = "dialog"')
    assert [len(judge.decide([captured(raw)])) for raw in (INVITE, RINGING, BYE)] == [1, 1, 0]


def test_a_trace_that_a_hook_has_set_is_joined_by_rules_where_all_match() -> None:
    message = captured(INVITE)
    message.dialog, message.transaction = Dialog(b"c1", b"a", b"INVITE"), Transaction(b"INVITE", 1, b"a")
    trace = policy("[[rule]]\nsinks = 'table'").decide([captured(INVITE)])[0].trace
    message.dialog.traces = message.transaction.traces = (trace,)
    assert shown(policy("[[rule]]").decide([message])) == [f"INVITE {TABLE}"]
    assert shown(policy('[trace]\nmatch = "all"\n[[rule]]\nname = "own"').decide([message])) == [
        f"INVITE {TABLE}",
        f"INVITE {HOMER}",
    ]


def traced_lines(traced: list[TracedMessage]) -> list[bytes]:
    return [one.message.sip.start_line for one in traced]


def test_damaged_messages_match_what_they_have() -> None:
    raw = b"SIP/2.0 999 x\r\n\r\n"
    judge = policy(
        '[[rule]]\nstatus = "6xx"\n[[rule]]\nmethod = "INVITE"\n[[rule]]\nheader = "X"\n[[rule]]\nsinks = "table"'
    )
    assert shown(judge.decide([captured(raw), captured(b"SIP/2.0 x y\r\n\r\n"), captured(b"A b SIP/2.0\r\n\r\n")])) == [
        f"999 {TABLE}",
        f"0 {TABLE}",
        f"A {TABLE}",
    ]


def through(via: str, raw: bytes, back: bool = False) -> CapturedMessage:
    """With another top Via, as on the next hop; `back`: from the server."""
    way = (SERVER, CLIENT) if back else (CLIENT, SERVER)
    return captured(raw.replace(b"branch=z9hG4bK1", f"branch=z9hG4bK{via}".encode()), *way)


ACK = sip("ACK", "1 ACK", "b")
REJECTED = [through("1", INVITE), through("1", sip("SIP/2.0 403 No", "1 INVITE", "b"), True), through("1", ACK)]
RELAYED = [
    through("1", INVITE),
    through("2", INVITE, back=True),
    through("2", BUSY),
    through("2", ACK, back=True),
    through("1", BUSY, back=True),
    through("1", ACK),
]
ANSWERED = [through("1", INVITE), through("1", OK, back=True), through("3", ACK)]


@pytest.mark.parametrize("mode", ["message", "transaction", "dialog"])
@pytest.mark.parametrize(
    ("messages", "left_out"),
    [
        pytest.param(REJECTED, 1, id="the server itself has rejected it"),
        pytest.param(RELAYED, 0, id="somebody behind it"),
        pytest.param(ANSWERED, 0, id="no failure"),
    ],
)
def test_acks_for_failures_of_the_server_itself(messages: list[CapturedMessage], left_out: int, mode: str) -> None:
    for acks, want in ((True, len(messages)), (False, len(messages) - left_out)):
        judge = Policy([address for address in [parse_local("192.0.2.1")] if address != "auto"], settings(
            f'[trace]\nmode = "{mode}"\nlocal_failure_acks = {str(acks).lower()}\n'
        ))  # fmt: skip
        fresh = [CapturedMessage(message.datagram, message.sip) for message in messages]
        Correlator().observe(fresh)
        assert len(judge.decide(fresh)) == want
        assert judge.traced + judge.not_traced == len(messages)
