"""A message's details: its text in parts by grammar, its session description explained, what differs from another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from capture_agent.sip.headers import text
from capture_agent.sip.message import SipMessage

LONGEST_LINE = 4000  # characters of a line that are shown
MOST_BODY = 65_536  # bytes
MOST_LINES = 400  # compared: the time grows with its square

Kind = Literal["start", "name", "value", "body"]
Sign = Literal[" ", "-", "+"]


@dataclass(frozen=True, slots=True)
class MessagePart:
    """Text of one kind; line ends are \\n. A NUL or an escape sequence is still in it: show it with `printable`."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of a difference: in both, in the first alone, in the second alone."""

    sign: Sign
    line: str


def parts_of(sip: SipMessage) -> Iterator[MessagePart]:
    """The whole message, in order: start line, header names, their values, the body. Long lines are cut with a note."""
    data, at, end = sip.data, sip.start, sip.body_start
    head = [line.removesuffix(b"\r") for line in data[at:end].split(b"\n")]
    for number, line in enumerate(head):
        if number == len(head) - 1 and not line:
            continue
        if number == 0:
            yield MessagePart("start", shown(line) + "\n")
            continue
        name, colon, value = line.partition(b":")
        if colon and not line.startswith((b" ", b"\t")):
            yield MessagePart("name", shown(name) + ":")
            yield MessagePart("value", shown(value) + "\n")
        else:
            yield MessagePart("value", shown(line) + "\n")
    body = data[end : sip.end]
    for line in body[:MOST_BODY].split(b"\n") if body else ():
        yield MessagePart("body", shown(line.removesuffix(b"\r")) + "\n")
    if len(body) > MOST_BODY:
        yield MessagePart("body", f"({len(body) - MOST_BODY} more bytes)\n")


def shown(line: bytes) -> str:
    found = text(line[: 4 * LONGEST_LINE])
    if len(line) <= LONGEST_LINE or len(found) <= LONGEST_LINE:
        return found
    return f"{found[:LONGEST_LINE]}.. ({len(line)} bytes)"


def lines_of_message(sip: SipMessage) -> list[str]:
    return "".join(part.text for part in parts_of(sip)).removesuffix("\n").split("\n")


def difference(one: SipMessage, other: SipMessage) -> list[Compared]:
    """Line by line; the first MOST_LINES of each."""
    before, after = lines_of_message(one)[:MOST_LINES], lines_of_message(other)[:MOST_LINES]
    found: list[Compared] = []
    for kind, start, end, first, last in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [Compared(" ", line) for line in before[start:end]]
        else:
            found += [Compared("-", line) for line in before[start:end]]
            found += [Compared("+", line) for line in after[first:last]]
    return found
