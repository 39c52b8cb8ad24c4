"""Reading of messages by hooks, and their verbs, with arbitrary messages."""

from __future__ import annotations

from random import Random

from capture_agent.hooks import HookError, Message, SeenMessage
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.policy.hooks import Hooks
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan

PARTS = {**vars(SeenMessage), **vars(Message)}
READ = [name for name, part in PARTS.items() if not name.startswith("_") and not callable(part)]
ADDRESSES = bytes(range(32))


def run_hooks(sample: int, data: bytes, draw: Random) -> None:
    sip = scan(data, 0, len(data))
    if sip is None:
        return
    buffer = data + ADDRESSES
    size = draw.choice((4, 16))
    datagram = Datagram(buffer, 0, len(data), len(data), size, 5060, 5061, draw.getrandbits(60))
    captured = CapturedMessage(datagram, sip)
    hooks = Hooks([Guard("hook", read_and_say, Limits(), "")] * 2, SinkNames(dict(enumerate(["a", "b"])), 0b11))
    decided = hooks.apply(captured, Direction.IN, (TracedMessage(captured, Direction.IN, Trace(0b11)),))
    assert hooks.guards[0].failed == {}
    assert {traced.sinks for traced in decided} == {0b10, 0b01}
    assert decided[0].trace.correlation_id == (captured.sip.call_id or b"") or b"\\" in decided[0].trace.correlation_id


def read_and_say(message: Message) -> None:
    for name in READ:
        getattr(message, name)
    for name, value in message.headers:
        assert value in message.header_values(name)
    try:
        message.trace("b", users=message.from_user or "x", correlation_id=message.call_id)
        message.hlog(message.reason)
    except HookError:  # NUL, or too long
        message.trace("b", correlation_id="\\")
