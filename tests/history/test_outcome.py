"""Status and state of calls and of other exchanges."""

from __future__ import annotations

import pytest

from capture_agent.history.outcome import Exchanged, answer, outcome, subject

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("statuses", "want"),
    [
        ([], ""),
        (["100", "180"], "180"),
        (["180", "486"], "486"),
        (["486", "100"], "486"),
        (["401", "200"], "200"),
        (["200", "481"], "200"),
        (["401", "407"], "407"),
    ],
)
def test_how_a_transaction_was_answered(statuses: list[str], want: str) -> None:
    assert answer(statuses) == want


def exchange(text: str) -> list[Exchanged]:
    """`INVITE.1` is a request with CSeq 1, `180.INVITE.1` an answer; `>` before it: at the proxy's other side;
    `/x` after it: with that branch."""
    messages = []
    for word in text.split():
        bare, _, branch = word.lstrip(">").partition("/")
        *status, method, cseq = bare.split(".")
        hop = ("proxy", "bob") if word.startswith(">") else ("alice", "proxy")
        hop = hop[::-1] if status else hop
        messages.append(Exchanged(method, "".join(status), hop, int(cseq), branch.encode()))
    return messages


@pytest.mark.parametrize(
    ("messages", "want"),
    [
        pytest.param("INVITE.1", ("", "trying"), id="no answer"),
        pytest.param("INVITE.1 100.INVITE.1", ("100", "trying"), id="100"),
        pytest.param("INVITE.1 100.INVITE.1 183.INVITE.1", ("183", "ringing"), id="early media"),
        pytest.param("INVITE.1 200.INVITE.1 ACK.1", ("200", "up"), id="up"),
        pytest.param("INVITE.1 200.INVITE.1 ACK.1 BYE.2", ("200", "ended"), id="a BYE without an answer"),
        pytest.param("INVITE.1 200.INVITE.1 BYE.2 200.BYE.2", ("200", "ended"), id="ended"),
        pytest.param("INVITE.1 200.INVITE.1 BYE.2 407.BYE.2", ("200", "up"), id="a BYE refused"),
        pytest.param("INVITE.1 200.INVITE.1 BYE.2 >BYE.2 >500.BYE.2 500.BYE.2", ("200", "up"), id="a BYE that failed"),
        pytest.param(
            "INVITE.1 200.INVITE.1 BYE.2 407.BYE.2 BYE.3 200.BYE.3", ("200", "ended"), id="then with a password"
        ),
        pytest.param("INVITE.1 200.INVITE.1 BYE.2 481.BYE.2", ("200", "ended"), id="481 to a BYE"),
        pytest.param("INVITE.1 200.INVITE.1 INVITE.2 488.INVITE.2", ("200", "up"), id="re-INVITE refused"),
        pytest.param("INVITE.1 401.INVITE.1 ACK.1 INVITE.2", ("", "trying"), id="second try not answered"),
        pytest.param("INVITE.1 401.INVITE.1 ACK.1 INVITE.2 180.INVITE.2", ("180", "ringing"), id="second try rings"),
        pytest.param("INVITE.1 486.INVITE.1 ACK.1", ("486", "failed"), id="busy"),
        pytest.param("INVITE.1 302.INVITE.1 ACK.1", ("302", "redirected"), id="redirected"),
        pytest.param("INVITE.1 180.INVITE.1 CANCEL.1 200.CANCEL.1 487.INVITE.1", ("487", "cancelled"), id="cancelled"),
        pytest.param("INVITE.1 >INVITE.1 >486.INVITE.1 486.INVITE.1 INVITE.1", ("486", "failed"), id="sent again"),
        pytest.param(
            "INVITE.1 >INVITE.1/a >503.INVITE.1 >INVITE.1/b >180.INVITE.1", ("180", "ringing"), id="next branch"
        ),
        pytest.param("200.INVITE.1 ACK.1", ("200", "up"), id="its beginning was not seen"),
        pytest.param("ACK.1 INVITE.2 200.INVITE.2", ("200", "up"), id="an ACK seen first"),
        pytest.param("BYE.2 200.BYE.2", ("200", "ended"), id="a BYE alone"),
        pytest.param("UPDATE.2 200.UPDATE.2", ("200", "up"), id="an UPDATE alone"),
        pytest.param("REGISTER.1 401.REGISTER.1 REGISTER.2 200.REGISTER.2", ("200", "done"), id="registered"),
        pytest.param("REGISTER.1 200.REGISTER.1 REGISTER.2 403.REGISTER.2", ("403", "failed"), id="refresh fails"),
        pytest.param("REGISTER.1 200.REGISTER.1 REGISTER.2", ("", "trying"), id="refresh without an answer"),
        pytest.param(
            "REGISTER.1 200.REGISTER.1 REGISTER.1 200.REGISTER.1", ("200", "done"), id="sent again, answered again"
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
        pytest.param("200.REGISTER.1 403.REGISTER.2", ("403", "failed"), id="answers alone"),
        pytest.param("MESSAGE.1 202.MESSAGE.1", ("202", "done"), id="accepted"),
        pytest.param("SUBSCRIBE.1 200.SUBSCRIBE.1 NOTIFY.1 481.NOTIFY.1", ("200", "done"), id="of its own method"),
    ],
)
def test_what_became_of_it(messages: str, want: tuple[str, str]) -> None:
    exchanged = exchange(messages)
    assert outcome(exchanged, subject(exchanged)) == want


@pytest.mark.parametrize(
    ("messages", "want"),
    [("INVITE.1 BYE.2", "INVITE"), ("BYE.2 INVITE.1", "INVITE"), ("BYE.2", "BYE"), ("REFER.1 INVITE.2", "REFER")],
)
def test_what_a_call_id_is_about(messages: str, want: str) -> None:
    assert subject(exchange(messages)) == want
