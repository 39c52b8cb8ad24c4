"""The ladder diagram, line by line."""

from datetime import UTC

import pytest
from cli_samples import INVITE
from sink_samples import TIME_NS, traced

from capture_agent.cli.flow import title
from capture_agent.config.endpoints import LocalAddress, parse_local
from capture_agent.history.stored_messages import endpoint_of
from capture_agent.records.captured import CapturedMessage
from capture_agent.view.aliases import Aliases
from capture_agent.view.ladder import ladder_of
from capture_agent.view.ladder_text import BOX, Step, draw, steps
from capture_agent.view.text import width

pytestmark = pytest.mark.once

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


ACK = b"ACK sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\nCall-ID: a@b\r\nCSeq: 1 ACK\r\n\r\n"


def step(seconds: float, source: str, destination: str, label: str, marks: str = "") -> Step:
    return Step(f"{seconds:.3f}", source, destination, label, marks)


def seen(seconds: float, source: str, destination: str, raw: bytes, ports: tuple[int, int] = (1, 2)) -> CapturedMessage:
    one = traced(raw, source, destination, ports, time_ns=TIME_NS + round(seconds * 1e9)).message
    assert isinstance(one, CapturedMessage)
    return one


def lines(*made: Step, width: int = 80) -> list[str]:
    return list(draw(made, width))


def test_words_stand_in_the_arrows() -> None:
    assert lines(
        step(0, A, B, "INVITE", " (SDP)"),
        step(0.5, A, B, "INVITE", " (SDP) again"),
        step(1, B, A, "200 OK"),
    ) == [
        "          10.0.0.1                10.0.0.2",
        "     0.000    |---- INVITE (SDP) ---->|",
        "     0.500    |- INVITE (SDP) again ->|",
        "     1.000    |<------- 200 OK -------|",
    ]


def test_an_arrow_passes_the_hosts_between() -> None:
    assert lines(step(0, A, B, "INVITE"), step(1, B, C, "INVITE"), step(61, C, A, "BYE")) == [
        "          10.0.0.1    10.0.0.2    10.0.0.3",
        "     0.000    |- INVITE ->|           |",
        "     1.000    |           |- INVITE ->|",
        "    61.000    |<-------- BYE ---------|",
    ]


def test_a_narrow_terminal_has_the_text_to_the_right() -> None:
    drawn = lines(*(step(n, f"2001:db8::{n}", f"2001:db8::{n + 1}", "SUBSCRIBE") for n in range(5)), width=70)
    assert drawn[:6] == [f"{f'({n})':>10}  2001:db8::{n - 1}" for n in range(1, 7)]
    assert drawn[-1].endswith("|  SUBSCRIBE")
    assert max(map(len, drawn)) <= 70


def test_a_host_that_talks_to_itself() -> None:
    assert lines(step(0, A, A, "ACK"))[-1] == "     0.000    | <- ACK (to itself)"


def test_nothing_gives_nothing() -> None:
    assert lines() == []


def test_terminal_strokes() -> None:
    assert BOX.down in "".join(draw([step(0, A, B, "ACK")], strokes=BOX))


def test_words_are_escaped() -> None:
    drawn = lines(step(0, A, B, "200 \x1b[31mOK\u202e"))
    assert all(line.isprintable() for line in drawn)
    assert r"200 \x1b[31mOK\u202e" in drawn[-1]


def test_ports_tell_apart_what_one_host_holds() -> None:
    ladder = ladder_of([seen(1, "::1", "::1", ACK, (5060, 5061))])
    (one,) = steps(ladder)
    assert (one.source, one.destination, one.label) == ("[::1]:5060", "[::1]:5061", "ACK")


def test_order_is_by_time_and_repetitions_are_marked() -> None:
    ladder = ladder_of([seen(5, A, B, ACK), seen(4, A, B, ACK), seen(4.5, B, A, ACK)])
    assert [(one.time, one.marks) for one in steps(ladder)] == [("0.000", ""), ("0.500", ""), ("1.000", " again")]
    assert [one.time for one in steps(ladder, "delta")] == ["+0.000", "+0.500", "+0.500"]


def test_aliases_name_participants() -> None:
    named = {"10.0.0.1": "sbc", "10.0.0.0/24": "lan", "10.0.0.3:2": "media"}
    places = {parse_local(place): name for place, name in named.items()}
    aliases = Aliases({place: name for place, name in places.items() if isinstance(place, LocalAddress)})
    ladder = ladder_of([seen(0, A, B, ACK), seen(1, A, C, ACK), seen(2, "192.0.2.1", "10.0.0.4", ACK)], aliases)
    assert [one.label for one in ladder.participants] == ["sbc", "lan", "media", "192.0.2.1", "lan"]
    assert [one.destination for one in steps(ladder)] == ["lan 10.0.0.2", "media", "lan 10.0.0.4"]


def test_media_of_offer_and_answer() -> None:
    sdp = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 8 97\r\na=rtpmap:97 iLBC/8000\r\n"
    kind = b"Content-Type: application/sdp\r\n\r\n"
    offer = ACK.replace(b"ACK", b"INVITE").replace(b"\r\n\r\n", b"\r\n" + kind) + sdp
    answer = offer.replace(b"INVITE sip:a SIP/2.0", b"SIP/2.0 200 OK").replace(
        b"4000 RTP/AVP 0 8 97", b"6000 RTP/AVP 8"
    )
    ladder = ladder_of([seen(0, A, B, offer), seen(1, B, A, answer)])
    assert [str(one) for one in ladder.media] == ["audio: 192.0.2.1:4000 <-> 192.0.2.1:6000 PCMA"]
    assert [str(one) for one in ladder.arrows[0].media] == ["audio 192.0.2.1:4000 PCMU, PCMA, iLBC"]
    assert [one.has_sdp for one in ladder.arrows] == [True, True]


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
    drawn = lines(step(0, A, B, "INVITE"), step(1, B, A, reason), step(2, B, A, "200 OK"))
    assert max(map(len, drawn)) <= 80
    assert "500 very long reason very long" in drawn[2]
    assert drawn[1].index(">|") == drawn[2].index("-|")


def test_cjk_and_combining_signs_keep_the_lines_straight() -> None:
    drawn = lines(step(0, A, B, "INVITE"), step(1, B, A, "200 \u65e5\u672c\u8a9e"), step(2, B, A, "200 e\u0301e\u0301"))
    assert {width(line) for line in drawn[1:]} == {width(drawn[1])}


@pytest.mark.parametrize("columns", range(64, 121))
def test_a_long_label_leaves_room_for_the_marks_behind_it(columns: int) -> None:
    names = [f"192.0.2.{n}" for n in range(100, 104)]
    made = [step(0, names[n], names[n + 1], "100 trying -- your call is important to us", " [1]") for n in range(3)]
    drawn = lines(*made, width=columns)
    assert max(map(width, drawn)) <= columns
    assert all(line.rstrip(" -<>|").endswith(" [1]") for line in drawn[-3:])


def test_many_hosts_are_a_list() -> None:
    hosts = [f"10.0.{n // 250}.{n % 250}" for n in range(3000)]
    drawn = lines(*(step(n, A, host, "M" * 1000) for n, host in enumerate(hosts)))
    assert drawn[0].startswith("3000 hosts, more than the 20 ")
    assert len(drawn) == 3001
    assert max(map(len, drawn)) < 120


def test_one_long_label_costs_itself_alone() -> None:
    drawn = lines(step(0, A, B, "M" * 60_000), *(step(n, A, B, "INVITE") for n in range(5000)), width=100_000)
    assert sum(map(len, drawn)) < 5002 * 200


@pytest.mark.parametrize(
    ("columns", "want"),
    [
        (80, ["2023-11-14 22:13:20 UTC  alice -> bob  udp, tcp  Call-ID a@b"]),
        (50, ["2023-11-14 22:13:20 UTC  alice -> bob  udp, tcp", "Call-ID a@b"]),
    ],
)
def test_the_title(columns: int, want: list[str]) -> None:
    messages = [
        traced(INVITE, A, B, (5060, 5060), time_ns=1_700_000_000_000_000_000 + n, transport=transport).message
        for n, transport in enumerate(("udp", "tcp"))
    ]
    ladder = ladder_of(one for one in messages if isinstance(one, CapturedMessage))
    assert list(title(ladder, columns, UTC)) == want
