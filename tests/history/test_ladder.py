"""The ladder diagram, line by line."""

import pytest
from cli_samples import INVITE

from capture_agent.history.ladder import BOX, Step, draw
from capture_agent.history.readable import ShownMessage, endpoint_of, steps, title
from capture_agent.history.text import width

pytestmark = pytest.mark.once

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def lines(*made: Step, width: int = 80) -> list[str]:
    return list(draw(made, width))


def test_words_stand_in_the_arrows() -> None:
    assert lines(
        Step(0, A, B, "INVITE", has_sdp=True),
        Step(0.5, A, B, "INVITE", has_sdp=True, repeated=True),
        Step(1, B, A, "200 OK"),
    ) == [
        "          10.0.0.1                10.0.0.2",
        "     0.000    |---- INVITE (SDP) ---->|",
        "     0.500    |- INVITE (SDP) again ->|",
        "     1.000    |<------- 200 OK -------|",
    ]


def test_an_arrow_passes_the_hosts_between() -> None:
    assert lines(Step(0, A, B, "INVITE"), Step(1, B, C, "INVITE"), Step(61, C, A, "BYE")) == [
        "          10.0.0.1    10.0.0.2    10.0.0.3",
        "     0.000    |- INVITE ->|           |",
        "     1.000    |           |- INVITE ->|",
        "    61.000    |<-------- BYE ---------|",
    ]


def test_a_narrow_terminal_has_the_text_to_the_right() -> None:
    drawn = lines(*(Step(n, f"2001:db8::{n}", f"2001:db8::{n + 1}", "SUBSCRIBE") for n in range(5)), width=70)
    assert drawn[:6] == [f"{f'({n})':>10}  2001:db8::{n - 1}" for n in range(1, 7)]
    assert drawn[-1].endswith("|  SUBSCRIBE")
    assert max(map(len, drawn)) <= 70


def test_a_host_that_talks_to_itself() -> None:
    assert lines(Step(0, A, A, "ACK"))[-1] == "     0.000    | <- ACK (to itself)"


def test_nothing_gives_nothing() -> None:
    assert lines() == []


def test_terminal_strokes() -> None:
    assert BOX.down in "".join(draw([Step(0, A, B, "ACK")], strokes=BOX))


def test_words_are_escaped() -> None:
    drawn = lines(Step(0, A, B, "200 \x1b[31mOK\u202e"))
    assert all(line.isprintable() for line in drawn)
    assert r"200 \x1b[31mOK\u202e" in drawn[-1]


def test_ports_tell_apart_what_one_host_holds() -> None:
    seen = [ShownMessage(1.0, ("::1", "5060"), ("::1", "5061"), b"ACK sip:a SIP/2.0\r\n\r\n")]
    (step,) = steps(seen)
    assert (step.source, step.destination, step.label) == ("[::1]:5060", "[::1]:5061", "ACK")


def test_order_is_by_time_and_repetitions_are_marked() -> None:
    raw = b"ACK sip:a SIP/2.0\r\n\r\n"
    seen = [
        ShownMessage(5.0, (A, "1"), (B, "2"), raw),
        ShownMessage(4.0, (A, "1"), (B, "2"), raw),
        ShownMessage(4.5, (B, "2"), (A, "1"), raw),
    ]
    assert [(step.seconds, step.repeated) for step in steps(seen)] == [(0.0, False), (0.5, False), (1.0, True)]


@pytest.mark.parametrize(
    ("stored", "endpoint"),
    [
        ("udp:10.0.0.1:5060", ("10.0.0.1", "5060")),
        ("tcp:[2001:db8::1]:5061", ("2001:db8::1", "5061")),
        ("udp:2001:db8::1:5061", ("2001:db8::1", "5061")),  # as siptrace's script path writes it
    ],
)
def test_endpoints_of_the_table(stored: str, endpoint: tuple[str, str]) -> None:
    assert endpoint_of(stored) == endpoint


def test_long_reasons_are_shortened() -> None:
    reason = "500 " + "very long reason " * 30
    drawn = lines(Step(0, A, B, "INVITE"), Step(1, B, A, reason), Step(2, B, A, "200 OK"))
    assert max(map(len, drawn)) <= 80
    assert "500 very long reason very long" in drawn[2]
    assert drawn[1].index(">|") == drawn[2].index("-|")


def test_cjk_and_combining_signs_keep_the_lines_straight() -> None:
    drawn = lines(Step(0, A, B, "INVITE"), Step(1, B, A, "200 \u65e5\u672c\u8a9e"), Step(2, B, A, "200 e\u0301e\u0301"))
    assert {width(line) for line in drawn[1:]} == {width(drawn[1])}


def test_many_hosts_are_a_list() -> None:
    hosts = [f"10.0.{n // 250}.{n % 250}" for n in range(3000)]
    drawn = lines(*(Step(n, A, host, "M" * 1000) for n, host in enumerate(hosts)))
    assert drawn[0].startswith("3000 hosts, more than the 20 ")
    assert len(drawn) == 3001
    assert max(map(len, drawn)) < 120


def test_one_long_label_costs_itself_alone() -> None:
    drawn = lines(Step(0, A, B, "M" * 60_000), *(Step(n, A, B, "INVITE") for n in range(5000)), width=100_000)
    assert sum(map(len, drawn)) < 5002 * 200


@pytest.mark.parametrize(
    ("columns", "want"),
    [
        (80, ["2023-11-14 22:13:20 UTC  alice -> bob  udp, tcp  Call-ID a@b"]),
        (50, ["2023-11-14 22:13:20 UTC  alice -> bob  udp, tcp", "Call-ID a@b"]),
    ],
)
def test_the_title(columns: int, want: list[str]) -> None:
    seen = [
        ShownMessage(1_700_000_000.0 + n, (A, "5060"), (B, "5060"), INVITE, transport)
        for n, transport in enumerate(("udp", "tcp"))
    ]
    assert list(title(seen, columns)) == want
