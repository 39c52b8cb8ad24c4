"""How a call, a registration or another exchange ended. Pure: messages in, status and state out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Methods sent within a call that an INVITE has opened.
WITHIN_A_CALL = frozenset({"ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO"})
GONE = ("408", "481")  # RFC 3261 12.2.1.2: the dialog has ended nevertheless


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A message of a Call-ID. In a response, `method` is its request's."""

    method: str
    status: str  # '' for a request
    hop: tuple[str, str]  # source and destination
    cseq: int = -1  # and `branch`: only if `outcome` needs them
    branch: bytes = b""


def answer(statuses: Iterable[str]) -> str:
    """The first success decides; otherwise the last final response, as a challenge precedes the real answer."""
    status = ""
    for new in statuses:
        if new.startswith("2"):
            return new
        if not (new.startswith("1") and status and not status.startswith("1")):
            status = new
    return status


def subject(messages: Sequence[Exchanged]) -> str:
    """The method that a Call-ID is about: its first message's, or INVITE if that message is part of a call."""
    first = messages[0].method
    return "INVITE" if first in WITHIN_A_CALL and any(one.method == "INVITE" for one in messages) else first


def is_decided(messages: Iterable[Exchanged], method: str) -> bool:
    """An answered call stays answered, whatever a later INVITE in it is answered with."""
    return method == "INVITE" and any(one.method == method and one.status.startswith("2") for one in messages)


def outcome(messages: Sequence[Exchanged], method: str) -> tuple[str, str]:
    """Status and state. Messages are sorted by time.

    trying, ringing, up, ended, cancelled, redirected, failed; done: an exchange other than a call succeeded.
    """
    own = [one for one in messages if one.method == method]
    status = answer(one.status for one in (own if is_decided(own, method) else last_transaction(own)) if one.status)
    if method in WITHIN_A_CALL or method == "INVITE":
        if (status[:1] in ("", "1", "2") or method != "INVITE") and has_ended(messages):
            return status, "ended"
        if status.startswith("2") or method != "INVITE":
            return status, "up"
    return status, state_of(status)


def state_of(status: str) -> str:
    if status in ("", "100"):
        return "trying"
    if status == "487":
        return "cancelled"
    return {"1": "ringing", "2": "done", "3": "redirected"}.get(status[:1], "failed")


def has_ended(messages: Iterable[Exchanged]) -> bool:
    """Whether a BYE was sent and not refused. A challenged BYE ends nothing (RFC 3261 15.1.2)."""
    ended = False
    for one in messages:
        if one.method != "BYE" or one.status.startswith("1"):
            continue
        if one.status.startswith("2") or one.status in GONE:
            return True
        ended = not one.status
    return ended


def last_transaction(own: Sequence[Exchanged]) -> list[Exchanged]:
    """The last transaction among messages of one method: from the last request that was not forwarded or repeated."""
    begun = 0
    cseq: int | None = None
    known: set[int] = set()
    seen: set[tuple[int, tuple[str, str], bytes]] = set()
    hops: set[tuple[str, str]] = set()  # that the current request has passed
    for at, one in enumerate(own):
        if one.cseq in known:
            key = (one.cseq, one.hop, one.branch)
            if one.status or key in seen:
                continue
            seen.add(key)
            if one.cseq == cseq and one.hop not in hops:
                hops.add(one.hop)
                continue
        begun, cseq, hops = at, one.cseq, {one.hop}
        known.add(one.cseq)
        seen.add((one.cseq, one.hop, one.branch))
    return [one for one in own[begun:] if one.cseq == cseq]
