"""Messages held back until a rule decides: released in order and with their original times, or counted; never too many."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import Calls, captured, policy, sip

from capture_agent.policy import lookback
from capture_agent.policy.lookback import copied
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage

FAILED = '[[rule]]\nmethod = "INVITE"\nstatus = ["4xx", "5xx", "6xx"]\n'
OTHER_FAILURES = '[[rule]]\nstatus = "6xx"\ntrace = "dialog"\nlookback = 60\n'
FAILED_CALLS = f'{FAILED}trace = "dialog"\nlookback = 60\n'
FAILED_REQUESTS = f'{FAILED}trace = "transaction"\nlookback = 60\n'


def steps(calls: Calls, call_id: str, start: float, status: int, after: float = 10.0) -> list[CapturedMessage]:
    """INVITE, 100, the final response, ACK."""
    raws = (
        sip("INVITE", call_id=call_id),
        sip("SIP/2.0 100 Trying", "1 INVITE", call_id=call_id),
        sip(f"SIP/2.0 {status} X", "1 INVITE", "b", call_id),
        sip("ACK", "1 ACK", "b", call_id),
    )
    times = (start, start + 0.1, start + after, start + after + 0.1)
    own = status < 300
    return [
        calls.observe(captured(raw, time=time), own=own and raw is raws[3])
        for raw, time in zip(raws, times, strict=True)
    ]


def one_by_one(judge: Policy, messages: list[CapturedMessage]) -> list[TracedMessage]:
    """In batches of one message; the books balance after each."""
    traced = []
    for number, message in enumerate(sorted(messages, key=lambda message: message.time_ns), start=1):
        traced += judge.decide([message])
        assert judge.traced + judge.not_traced + judge.waiting + judge.crowded_out == number
    return traced


def seen(traced: list[TracedMessage]) -> list[tuple[str, float]]:
    return [
        (one.message.sip.start_line.decode().split()[one.message.sip.status > 0], one.message.time_ns / 1e9)
        for one in traced
    ]


def test_a_failed_call_from_its_beginning() -> None:
    calls = Calls()
    judge = policy(FAILED_CALLS)
    messages = steps(calls, "good", 0, 200) + steps(calls, "bad", 1, 486)
    traced = one_by_one(judge, messages)
    assert seen(traced) == [("INVITE", 1), ("100", 1.1), ("486", 11), ("ACK", 11.1)]
    assert {one.message.sip.call_id for one in traced} == {b"bad"}
    assert len({one.trace for one in traced}) == 1
    assert (judge.traced, judge.waiting) == (4, 4)
    judge.close()
    assert (judge.traced, judge.not_traced, judge.waiting) == (4, 4, 0)


def test_released_messages_are_unchanged() -> None:
    calls = Calls()
    messages = steps(calls, "bad", 1, 486)
    traced = policy(FAILED_CALLS).decide(messages)
    for one, message in zip(traced, messages, strict=True):
        assert one.message.raw == message.raw
        fields = ("source", "destination", "source_port", "destination_port", "time_ns", "transport", "payload")
        assert [getattr(one.message.datagram, name) for name in fields] == [
            getattr(message.datagram, name) for name in fields
        ]
        assert one.message.transaction is message.transaction
        assert one.message.dialog is message.dialog


def test_a_copy_keeps_no_batch() -> None:
    message = captured(sip("INVITE"))
    copy = copied(message)
    assert copy.raw == message.raw
    assert len(copy.datagram.data) == 8 + len(message.raw)


@pytest.mark.parametrize(
    ("toml", "after", "want"),
    [
        pytest.param(FAILED_CALLS, 59.9, ["INVITE", "100", "486", "ACK"], id="in time"),
        pytest.param(FAILED_CALLS, 60.05, ["100", "486", "ACK"], id="one too old"),
        pytest.param(FAILED_CALLS, 61, ["486", "ACK"], id="all too old"),
        pytest.param(FAILED_REQUESTS, 10, ["INVITE", "100", "486", "ACK"], id="the transaction"),
        pytest.param(FAILED_CALLS.replace("60", "5"), 10, ["486", "ACK"], id="a shorter look back"),
        pytest.param(FAILED + 'trace = "dialog"', 10, ["486", "ACK"], id="none"),
        pytest.param(
            FAILED_CALLS.replace("60", "5") + '[[rule]]\nstatus = 299\ntrace = "dialog"\nlookback = 60', 10,
            ["486", "ACK"], id="held for another rule",
        ),
    ],
)  # fmt: skip
def test_how_far(toml: str, after: float, want: list[str]) -> None:
    judge = policy(toml)
    traced = one_by_one(judge, steps(Calls(), "c", 0, 486, after))
    assert [name for name, _ in seen(traced)] == want


def test_a_transaction_alone() -> None:
    """A successful call, with a re-INVITE that fails."""
    calls = Calls()
    raws = [sip("INVITE"), sip("SIP/2.0 200 OK", "1 INVITE", "b"), sip("INVITE", "2 INVITE", "b"),
            sip("SIP/2.0 100 X", "2 INVITE", "b"), sip("SIP/2.0 488 X", "2 INVITE", "b")]  # fmt: skip
    messages = [calls.observe(captured(raw, time=n)) for n, raw in enumerate(raws)]
    judge = policy(FAILED_REQUESTS)
    assert seen(one_by_one(judge, messages)) == [("INVITE", 2), ("100", 3), ("488", 4)]
    assert judge.waiting == 2


def test_only_what_may_be_traced_is_held() -> None:
    calls = Calls()
    judge = policy(FAILED_REQUESTS)
    judge.decide([calls.observe(captured(sip("OPTIONS"))), captured(sip("INVITE"))])
    assert (judge.waiting, judge.not_traced) == (0, 2)
    judge.decide([calls.observe(captured(sip("CANCEL", "1 CANCEL")))])
    assert judge.waiting == 1


def test_nothing_is_held_of_what_a_rule_leaves_out_or_while_tracing_is_off() -> None:
    judge = policy(
        '[[rule]]\nrequest_user = "bob"\ntrace = "none"\n[[rule]]\nstatus = 486\ntrace = "dialog"\nlookback = 9'
    )
    message = Calls().observe(captured(sip("INVITE")))
    judge.decide([message])
    assert judge.waiting == 0
    judge = policy(f"[trace]\non = false\n{FAILED_CALLS}")
    judge.decide([message])
    assert judge.waiting == 0


@pytest.mark.parametrize(
    ("limits", "waiting"),
    [("lookback_messages = 3", 3), ("lookback_mib = 1", None)],
)
def test_the_oldest_give_way(limits: str, waiting: int | None) -> None:
    calls = Calls()
    judge = policy(f"[trace]\n{limits}\n{FAILED_CALLS}")
    messages = [calls.observe(captured(sip("INVITE", call_id=f"c{n}", x="y" * 30_000), time=n)) for n in range(50)]
    one_by_one(judge, messages)
    assert judge.crowded_out == 50 - judge.waiting > 0
    if waiting is not None:
        assert judge.waiting == waiting
    else:
        assert judge.waiting * 30_000 < 1 << 20 < (judge.waiting + 1) * 35_000
    last = sip("SIP/2.0 500 X", "1 INVITE", "b", "c49")
    assert len(judge.decide([calls.observe(captured(last, time=51))])) == 2
    gone = sip("SIP/2.0 500 X", "1 INVITE", "b", "c0")
    assert len(judge.decide([calls.observe(captured(gone, time=51))])) == 1


def test_a_clock_that_jumps_back_holds_nothing_for_ever() -> None:
    calls = Calls()
    judge = policy(FAILED_CALLS)
    for n, time in enumerate((1000, 10, 11, 1001, 1062, 2000, 2001, 2100)):
        judge.decide([calls.observe(captured(sip("INVITE", call_id=f"c{n}"), time=time))])
    assert judge.waiting == 3


@pytest.mark.parametrize("odd", [0, 1500, 4_102_444_800, 4_294_967_296 + 1000])
@pytest.mark.parametrize("times", [1, 5, 30])
def test_packets_of_another_time_end_no_looking_back(odd: float, times: int) -> None:
    """1970, half an hour later, 2100, and times that wrap in 2106: before all others, and among them."""
    calls = Calls()
    judge = policy(FAILED_CALLS)
    odd_ones = [calls.observe(captured(sip("OPTIONS", call_id=f"o{n}"), time=odd)) for n in range(times)]
    failed = [step for n in range(30) for step in steps(calls, f"c{n}", 1_000 + n, 486, 20)]
    half = len(failed) // 2
    failed.sort(key=lambda message: message.time_ns)
    traced = judge.decide(odd_ones)
    for message in [*failed[:half], *(odd_ones if times < 9 else []), *failed[half:]]:
        traced += judge.decide([message])
    assert len([one for one in traced if one.message.sip.call_id != b"o"]) == len(failed)


TO_TWO = """
[trace]
match = "all"
[[hep]]
name = "a"
uri = "hep:192.0.2.1"
[[hep]]
name = "b"
uri = "hep:192.0.2.2"
[[rule]]
name = "sample"
{sampled}
trace = "dialog"
sinks = ["a"]
[[rule]]
name = "failed"
method = "INVITE"
status = ["4xx", "5xx", "6xx"]
trace = "dialog"
lookback = 60
sinks = ["a", "b"]
"""


@pytest.mark.parametrize(("sampled", "to_a"), [('method = "INVITE"', 8), ("sample = 0.0000001", 4)])
def test_every_failed_call_whole_to_both_whatever_another_rule_traced(sampled: str, to_a: int) -> None:
    """A sample of the calls to one collector, every failed call from its beginning to both, and nothing twice."""
    calls = Calls()
    judge = policy(TO_TWO.format(sampled=sampled))
    traced = one_by_one(judge, steps(calls, "good", 0, 200) + steps(calls, "bad", 1, 486))
    got = {bit: [(one.message.sip.call_id, one.message.time_ns) for one in traced if one.sinks & bit] for bit in (1, 2)}
    assert [call_id for call_id, _ in got[2]] == [b"bad"] * 4
    assert [len(got[1]), len(set(got[1])), len(set(got[2]))] == [to_a, to_a, 4]
    assert sorted(got[2], key=lambda one: one[1]) == got[2]
    judge.close()
    assert judge.traced + judge.not_traced == 8


def test_two_rules_that_look_back_each_to_its_own() -> None:
    toml = TO_TWO.format(sampled='method = "INVITE"\nstatus = 100\nlookback = 60')
    traced = one_by_one(policy(toml), steps(Calls(), "bad", 1, 486))
    assert [len([one for one in traced if one.sinks & bit]) for bit in (1, 2)] == [4, 4]


def looks(monkeypatch: pytest.MonkeyPatch, rules: str, held: int, failures: int) -> int:
    """How often held messages are examined while this many of one dialog's requests fail."""
    count = 0

    class Counted(lookback.HeldMessage):
        __slots__ = ()

        def __getattribute__(self, name: str) -> Any:
            nonlocal count
            count += 1
            return super().__getattribute__(name)

    monkeypatch.setattr(lookback, "HeldMessage", Counted)
    calls = Calls()
    judge = policy(rules)
    calls.observe(captured(sip("INVITE")))  # the dialog that all belong to
    judge.decide([calls.observe(captured(sip("INFO", f"{n} INFO", "b"), time=1)) for n in range(1, held + 1)])
    count = 0
    for n in range(1, failures + 1):
        judge.decide([calls.observe(captured(sip("SIP/2.0 500 X", f"{n} INFO", "b"), time=2))])
    return count


@pytest.mark.parametrize("other", [pytest.param("", id="alone"), pytest.param(OTHER_FAILURES, id="another rule")])
def test_the_work_for_a_failure_is_that_for_its_own_messages(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    rules = other + FAILED_REQUESTS.replace('method = "INVITE"\n', "")
    few, many = (looks(monkeypatch, rules, held, failures=20) for held in (20, 2000))
    assert 0 < many <= few + 20  # a look at the oldest of all each time


def test_what_a_failure_costs_does_not_grow_with_the_dialog() -> None:
    """Each response releases its own transaction, however many others of its dialog are held."""
    calls = Calls()
    judge = policy(FAILED_REQUESTS.replace('method = "INVITE"\n', ""))
    calls.observe(captured(sip("INVITE")))  # the dialog that all belong to
    messages = [calls.observe(captured(sip("INFO", f"{n} INFO", "b"), time=1)) for n in range(1, 3000)]
    judge.decide(messages)
    assert judge.waiting == 2999
    for n in range(1, 3000):
        answer = calls.observe(captured(sip("SIP/2.0 500 X", f"{n} INFO", "b"), time=2))
        assert len(judge.decide([answer])) == 2
    assert judge.waiting == 0


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([100, 180, 200, 486]), st.floats(0, 300)), max_size=60),
    st.integers(1, 8),
    st.integers(1, 6),
)
def test_the_books_balance_and_no_message_goes_out_twice(
    events: list[tuple[int, int, float]], most: int, batch: int
) -> None:
    calls = Calls()
    judge = policy(f"[trace]\nlookback_messages = {most}\n{FAILED_CALLS}")
    messages = [
        calls.observe(captured(sip(f"SIP/2.0 {status} X", "1 INVITE", "b", f"c{call}"), time=time))
        for call, status, time in events
    ]
    numbers = {id(message): n for n, message in enumerate(messages)}
    assert len(numbers) == len(messages)
    out = 0
    for at in range(0, len(messages), batch):
        out += len(judge.decide(messages[at : at + batch]))
        assert judge.traced == out
        given = min(at + batch, len(messages))
        assert judge.traced + judge.not_traced + judge.waiting + judge.crowded_out == given
        assert judge.waiting <= most
    judge.close()
    assert judge.traced + judge.not_traced + judge.crowded_out == len(messages)
