"""The legs of a call through a B2BUA carry one correlation id."""

from __future__ import annotations

import pytest
from policy_samples import captured, policy, sip

from capture_agent.policy import legs as module

A, B, NIL = "a" * 32, "b" * 32, "0" * 32


def ids(toml: str, raws: list[bytes]) -> list[str]:
    return [one.trace.correlation_id.decode() for one in policy(toml).decide([captured(raw) for raw in raws])]


FIRST = sip("INVITE", call_id="one")
FIRST_OK = sip("SIP/2.0 200 OK", "1 INVITE", "t", "one")
OTHER_OK = sip("SIP/2.0 200 OK", "1 INVITE", "t", "two")


@pytest.mark.parametrize(
    ("legs", "raws", "want"),
    [
        pytest.param("", [FIRST], [""], id="off: Homer's own logic is left alone"),
        pytest.param('call_id_in = "X-CID"', [FIRST, sip("INVITE", call_id="two", x_cid="one"), OTHER_OK, FIRST_OK],
                     ["one"] * 4, id="X-CID"),
        pytest.param('call_id_in = ["X-None", "X-Call-ID"]',
                     [sip("INVITE", call_id="two", x_call_id="one"), FIRST, OTHER_OK], ["one"] * 3,
                     id="the second leg is seen first"),
        pytest.param('call_id_in = "X-CID"',
                     [FIRST, sip("INVITE", call_id="two", x_cid="one"), sip("INVITE", call_id="three", x_cid="two")],
                     ["one"] * 3, id="three legs in a chain"),
        pytest.param('call_id_in = "X-CID"', [sip("INVITE", call_id="one", x_cid="one")], ["one"], id="itself"),
        pytest.param('id_in = "P-Charging-Vector"',
                     [sip("INVITE", call_id="one", p_charging_vector="icid-value=abc-1;icid-generated-at=h"),
                      sip("INVITE", call_id="two", p_charging_vector='orig-ioi=x;ICID-value="abc-1"'),
                      FIRST_OK, OTHER_OK, sip("INVITE", call_id="three")],
                     ["abc-1"] * 4 + [""], id="icid-value, quoted or not"),
        pytest.param('id_in = "Session-ID"',
                     [sip("INVITE", call_id="one", session_id=f"{A};remote={NIL}"),
                      sip("SIP/2.0 200 OK", "1 INVITE", "t", "one", session_id=f"{B};remote={A}"),
                      sip("ACK", "1 ACK", "t", "one", session_id=f"{A};remote={B}"),
                      sip("INVITE", call_id="two", session_id=f"{A};remote={NIL}"),
                      sip("INVITE", call_id="three", session_id=f"{B};remote={NIL}"),
                      sip("BYE", call_id="four", session_id=f"{NIL};remote={NIL}")],
                     [A] * 5 + [""], id="Session-ID from both ends"),
        pytest.param('suffixes = ["_b2b-1", "-b2b_1"]',
                     [FIRST, sip("INVITE", call_id="one_b2b-1"), sip("INVITE", call_id="one_b2b-1-b2b_1"),
                      sip("INVITE", call_id="_b2b-1"), FIRST_OK],
                     ["one", "one", "one", "_b2b-1", "one"], id="a Call-ID that is another's with a suffix"),
        pytest.param('suffixes = "-b2b_1"', [sip("INVITE", call_id="two-b2b_1"), sip("INVITE", call_id="two")],
                     ["two", "two"], id="the leg with the suffix is seen first"),
        pytest.param('id_in = "X-Leg"', [sip("INVITE", x_leg="q")], ["q"], id="any header's whole value"),
        pytest.param("id_in = 'X-Leg: /id=([^;]+)/'",
                     [sip("INVITE", call_id="1", x_leg="v;id=q7;z"), sip("INVITE", call_id="2", x_leg="id=;x")],
                     ["q7", ""], id="a group of a regular expression"),
        pytest.param('call_id_in = "X-CID"\nid_in = "X-Leg"',
                     [sip("INVITE", call_id="one", x_leg="q"), sip("INVITE", call_id="two", x_cid="one"), OTHER_OK],
                     ["q"] * 3, id="both kinds"),
    ],
)  # fmt: skip
def test_ids(legs: str, raws: list[bytes], want: list[str]) -> None:
    assert ids(f"[legs]\n{legs}", raws) == want


def test_a_rule_that_gives_an_id_wins() -> None:
    toml = '[legs]\ncall_id_in = "X-CID"\n[[rule]]\nmethod = "BYE"\ncorrelation_id = "own"\n[[rule]]'
    assert ids(toml, [sip("INVITE", call_id="one"), sip("BYE", call_id="one")]) == ["one", "own"]


def test_what_else_a_trace_says_is_kept_and_the_new_one_shared() -> None:
    toml = '[legs]\ncall_id_in = "X-CID"\n[[rule]]\nusers = "u"\ntable = "t"\nname = "n"\nsinks = "table"'
    traced = policy(toml).decide([captured(FIRST), captured(FIRST_OK)])
    trace = traced[0].trace
    assert traced[1].trace is trace
    assert (trace.users, trace.table, trace.rule, trace.sinks, trace.correlation_id) == (("u",), "t", "n", 4, b"one")


def test_headers_are_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    late = [*[FIRST_OK] * module.LOOKS, sip("BYE", call_id="one", x_leg="q")]
    assert ids('[legs]\nid_in = "X-Leg"', late)[-1] == ""
    assert ids('[legs]\nid_in = "X-Leg"', late[1:])[-1] == "q"


def test_the_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = policy('[legs]\nid_in = "Session-ID"\nremembered = 100')
    judge.decide(
        [captured(sip("INVITE", call_id=f"c{n}", session_id=f"{n:032x};remote={NIL}"), time=n) for n in range(1, 300)]
    )
    assert (judge.legs_remembered, judge.legs_forgotten) == (100, 199)
    judge.decide([captured(sip("INVITE", call_id="new"), time=n * 1800) for n in range(1, 28)])
    judge.decide([captured(sip("INVITE", call_id="newer"), time=28 * 1800)])
    assert judge.legs_remembered == 2


@pytest.mark.parametrize("value", ["icid-value=", 'icid-value="', "", "icid-value", "x" * 9000, 'icid-value="' * 300])
def test_strange_values(value: str) -> None:
    [found] = ids('[legs]\nid_in = ["P-Charging-Vector", "Session-ID"]', [sip("INVITE", p_charging_vector=value)])
    assert len(found) <= module.LONGEST
