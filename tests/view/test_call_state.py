"""Status, state and durations of calls and of other exchanges."""

from __future__ import annotations

import pytest
from sink_samples import TIME_NS, traced

from capture_agent.records.captured import CapturedMessage
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook

SECOND = 1_000_000_000
END = "\r\n"


def exchange(text: str) -> list[CapturedMessage]:
    """`INVITE.1` is a request with CSeq 1, `180.INVITE.1` an answer; `>` before it: at the proxy's other side;
    `/x` after it: with that branch; `+x`: with that contact. A second between two messages."""
    messages = []
    for second, word in enumerate(text.split()):
        branched, _, contact = word.lstrip(">").partition("+")
        bare, _, branch = branched.partition("/")
        *status, method, cseq = bare.split(".")
        hop = ("192.0.2.2", "192.0.2.3") if word.startswith(">") else ("192.0.2.1", "192.0.2.2")
        start = f"SIP/2.0 {status[0]} X" if status else f"{method} sip:b@b SIP/2.0"
        raw = (
            f"{start}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{branch}\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\n"
            f"Call-ID: c\r\nCSeq: {cseq} {method}\r\n{contact and f'Contact: {contact}{END}'}\r\n"
        )
        one = traced(raw.encode(), *(hop[::-1] if status else hop), time_ns=TIME_NS + second * SECOND).message
        assert isinstance(one, CapturedMessage)
        messages.append(one)
    return messages


def call_of(messages: list[CapturedMessage]) -> SipCall:
    book = CallBook()
    book.add(messages)
    [call] = book
    return call


@pytest.mark.parametrize(
    ("messages", "want"),
    [
        pytest.param("INVITE.1", ("", "calling"), id="no answer"),
        pytest.param("INVITE.1 100.INVITE.1", ("100", "calling"), id="100"),
        pytest.param("INVITE.1 100.INVITE.1 183.INVITE.1", ("183", "ringing"), id="early media"),
        pytest.param("INVITE.1 200.INVITE.1 ACK.1", ("200", "in call"), id="in call"),
        pytest.param("INVITE.1 200.INVITE.1 ACK.1 BYE.2", ("200", "completed"), id="a BYE without an answer"),
        pytest.param("INVITE.1 200.INVITE.1 BYE.2 200.BYE.2", ("200", "completed"), id="completed"),
        pytest.param("INVITE.1 200.INVITE.1 BYE.2 407.BYE.2", ("200", "in call"), id="a BYE refused"),
        pytest.param(
            "INVITE.1 200.INVITE.1 BYE.2 >BYE.2 >500.BYE.2 500.BYE.2", ("200", "in call"), id="a BYE that failed"
        ),
        pytest.param(
            "INVITE.1 200.INVITE.1 BYE.2 407.BYE.2 BYE.3 200.BYE.3", ("200", "completed"), id="then with a password"
        ),
        pytest.param("INVITE.1 200.INVITE.1 BYE.2 481.BYE.2", ("200", "completed"), id="481 to a BYE"),
        pytest.param("INVITE.1 200.INVITE.1 INVITE.2 488.INVITE.2", ("200", "in call"), id="re-INVITE refused"),
        pytest.param("INVITE.1 401.INVITE.1 ACK.1 INVITE.2", ("", "calling"), id="second try not answered"),
        pytest.param("INVITE.1 401.INVITE.1 ACK.1 INVITE.2 180.INVITE.2", ("180", "ringing"), id="second try rings"),
        pytest.param("INVITE.1 486.INVITE.1 ACK.1", ("486", "busy"), id="busy"),
        pytest.param("INVITE.1 302.INVITE.1 ACK.1", ("302", "redirected"), id="redirected"),
        pytest.param("INVITE.1 180.INVITE.1 CANCEL.1 200.CANCEL.1 487.INVITE.1", ("487", "cancelled"), id="cancelled"),
        pytest.param("INVITE.1 >INVITE.1 >486.INVITE.1 486.INVITE.1 INVITE.1", ("486", "busy"), id="sent again"),
        pytest.param(
            "INVITE.1 >INVITE.1/a >503.INVITE.1 >INVITE.1/b >180.INVITE.1", ("180", "ringing"), id="next branch"
        ),
        pytest.param("200.INVITE.1 ACK.1", ("200", "in call"), id="its beginning was not seen"),
        pytest.param("ACK.1 INVITE.2 200.INVITE.2", ("200", "in call"), id="an ACK seen first"),
        pytest.param("BYE.2 200.BYE.2", ("200", "completed"), id="a BYE alone"),
        pytest.param("UPDATE.2 200.UPDATE.2", ("200", "in call"), id="an UPDATE alone"),
        pytest.param("REGISTER.1 401.REGISTER.1 REGISTER.2 200.REGISTER.2", ("200", "registered"), id="registered"),
        pytest.param("REGISTER.1+<sip:a@a>;expires=0;q=0.5 200.REGISTER.1", ("200", "unregistered"), id="unregistered"),
        pytest.param("REGISTER.1 200.REGISTER.1 REGISTER.2 403.REGISTER.2", ("403", "rejected"), id="refresh fails"),
        pytest.param("REGISTER.1 200.REGISTER.1 REGISTER.2", ("", "waiting"), id="refresh without an answer"),
        pytest.param(
            "REGISTER.1 200.REGISTER.1 REGISTER.1 200.REGISTER.1",
            ("200", "registered"),
            id="sent again, answered again",
        ),
        pytest.param(
            "REGISTER.1/a 200.REGISTER.1/a REGISTER.1/b 503.REGISTER.1/b", ("503", "failed"), id="CSeq does not grow"
        ),
        pytest.param("OPTIONS.1 >OPTIONS.1 >404.OPTIONS.1 404.OPTIONS.1", ("404", "failed"), id="two hops"),
        pytest.param(
            "OPTIONS.1 >OPTIONS.1 200.OPTIONS.1 OPTIONS.2 503.OPTIONS.2 >OPTIONS.1",
            ("503", "failed"),
            id="an old one late",
        ),
        pytest.param("200.REGISTER.1 403.REGISTER.2", ("403", "rejected"), id="answers alone"),
        pytest.param("MESSAGE.1 202.MESSAGE.1", ("202", "done"), id="accepted"),
        pytest.param(
            "SUBSCRIBE.1 200.SUBSCRIBE.1 NOTIFY.1 481.NOTIFY.1", ("200", "subscribed"), id="of its own method"
        ),
    ],
)
def test_what_became_of_it(messages: str, want: tuple[str, str]) -> None:
    call = call_of(exchange(messages))
    assert (str(call.status or ""), call.state) == want


@pytest.mark.parametrize(
    ("messages", "want"),
    [
        ("", (None, None, False)),
        ("100.INVITE.1 180.INVITE.1", (2.0, None, False)),
        ("180.INVITE.1 200.INVITE.1 ACK.1 BYE.2 200.BYE.2", (1.0, 2.0, False)),
        ("401.INVITE.1 ACK.1 INVITE.2 180.INVITE.2 200.INVITE.2 ACK.2", (1.0, 1.0, False)),
        ("401.INVITE.1 ACK.1", (None, None, True)),
        ("100.INVITE.1 486.INVITE.1 ACK.1", (2.0, None, True)),
        ("180.INVITE.1 CANCEL.1 487.INVITE.1", (1.0, None, False)),
    ],
)
def test_durations_and_failures(messages: str, want: tuple[float | None, float | None, bool]) -> None:
    """Set-up delay, seconds of the call, whether it failed."""
    call = call_of(exchange("INVITE.1 " + messages))
    assert (call.setup_seconds, call.seconds, call.failed) == want


@pytest.mark.parametrize(
    ("messages", "want"),
    [("INVITE.1 BYE.2", "INVITE"), ("BYE.2 INVITE.1", "INVITE"), ("BYE.2", "BYE"), ("REFER.1 INVITE.2", "REFER")],
)
def test_what_a_call_id_is_about(messages: str, want: str) -> None:
    assert call_of(exchange(messages)).method.decode() == want
