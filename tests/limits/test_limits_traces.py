"""Data of rules and hooks in traced calls, with the input that costs most per byte of its bound."""

from __future__ import annotations

import pytest
from measuring import documented, held_mib, main

from capture_agent import config
from capture_agent.config.rule_options import parse_template
from capture_agent.correlate.correlator import Correlator
from capture_agent.hooks import Message
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.pipeline import Pipeline
from capture_agent.policy.hooks import Hooks
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

CALLS_MIB = 64  # a sixteenth of the default: what is measured is in proportion
AT_ONCE = 64

LONGEST = "\N{TELEPHONE RECEIVER}".encode() + b"u" * 505  # four bytes of memory for each of its letters


def message(raw: bytes, time_ns: int) -> CapturedMessage:
    data = bytes(8) + raw
    sip = scan(data, 8, len(data))
    assert sip is not None
    return CapturedMessage(Datagram(data, 8, len(data), 0, 4, 5060, 5060, time_ns), sip)


def rules(sinks: int, users: int, constant: bool = False, mode: str = "dialog") -> Policy:
    """One per sink, with an id and this many users."""
    templates = tuple(parse_template(f"{{header:X-User-{n}}}") for n in range(users))
    correlation_id = parse_template("constant" if constant else "{header:X-ID}")
    made = tuple(
        (config.Rule(name=f"r{n}", method=("INVITE",), trace=mode, correlation_id=correlation_id, users=templates), 1 << n)  # type: ignore[arg-type]
        for n in range(sinks)
    )  # fmt: skip
    return Policy(settings=Settings(config.TraceSection(match="all"), made))


def traced(policy: Policy, users: int = 0, letter: bytes = LONGEST, per_call: int = 1) -> Pipeline:
    """Calls in which every INVITE starts everything, until their bound in bytes."""
    pipeline = Pipeline(policy=policy, correlator=Correlator(mib=CALLS_MIB))
    assert pipeline.correlator is not None
    headers = b"".join(b"X-User-%d: %s\r\n" % (n, letter) for n in range(users))
    text = b"INVITE sip:b SIP/2.0\r\nCall-ID: %d\r\nCSeq: %d INVITE\r\nFrom: <sip:a>;tag=%d\r\nX-ID: %0512d\r\n%s\r\n"
    n = 0
    while not pipeline.correlator.table.calls.evicted:
        batch = [
            message(text % ((n + at) // per_call, n + at, n + at, n + at, headers), n + at) for at in range(AT_ONCE)
        ]
        pipeline.trace(batch)
        n += AT_ONCE
    return pipeline


def one_rule() -> Pipeline:
    return traced(rules(1, 0))


def several_rules() -> Pipeline:
    return traced(rules(8, 3), users=3)


def many_dialogs() -> Pipeline:
    return traced(rules(3, 0), per_call=16)


def transactions() -> Pipeline:
    return traced(rules(3, 1, mode="transaction"), users=1, letter=b"u", per_call=32)


def constant_rules() -> Pipeline:
    return traced(rules(16, 0, constant=True))


def by_hooks() -> Pipeline:
    names = "abcdefgh"

    def traces(one: Message) -> None:
        for name in names:
            one.trace(name, mode="dialog", correlation_id=f"{one.call_id:0>500}", users=[LONGEST.decode()[:200]])

    guards = [Guard("traces", traces, Limits(), "traced")]
    return traced(Policy(hooks=Hooks(guards, SinkNames(dict(enumerate(names)), defaults=1))))


CASES = {
    "calls traced with an id": one_rule,
    "calls traced by several rules with users": several_rules,
    "calls with many traced dialogs": many_dialogs,
    "calls with traced transactions": transactions,
    "calls traced by rules without templates": constant_rules,
    "calls traced by hooks": by_hooks,
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_input_holds_no_more_than_is_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


@pytest.mark.parametrize("mode", ["dialog", "transaction"])
def test_what_traces_take_is_given_back(mode: str) -> None:
    pipeline = traced(rules(3, 1, mode=mode), users=1)
    assert pipeline.correlator is not None
    table = pipeline.correlator.table
    assert table.held_bytes <= (CALLS_MIB << 20) + AT_ONCE * 16_384
    full = table.held_bytes
    pipeline.correlator.table.clean(10**18, 10**9)
    assert full > CALLS_MIB << 19
    assert table.held_bytes == 0


if __name__ == "__main__":
    main(CASES)
