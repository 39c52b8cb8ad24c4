"""How a call, a registration or another exchange ended. Pure: its messages in, status and state out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Methods that are sent in a call that an INVITE has opened.
WITHIN_A_CALL = frozenset({"ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO"})
GONE = ("408", "481")  # RFC 3261 12.2.1.2: the dialog has ended all the same


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One message of a Call-ID. Of a response `method` is that of its request."""

    method: str
    status: str  # '' for a request
    hop: tuple[str, str]  # from where to where
    cseq: int = -1  # with `branch` only where `outcome` needs them
    branch: bytes = b""


def answer(statuses: Iterable[str]) -> str:
    """The first success decides; else the last final response: a challenge comes before what follows it."""
    status = ""
    for new in statuses:
        if new.startswith("2"):
            return new
        if not (new.startswith("1") and status and not status.startswith("1")):
            status = new
    return status


def subject(messages: Sequence[Exchanged]) -> str:
    """The method that a Call-ID is about: of its first message, or INVITE if that one is part of a call."""
    first = messages[0].method
    return "INVITE" if first in WITHIN_A_CALL and any(one.method == "INVITE" for one in messages) else first


def is_decided(messages: Iterable[Exchanged], method: str) -> bool:
    """A call that was answered stays so, whatever a later INVITE in it is answered."""
    return method == "INVITE" and any(one.method == method and one.status.startswith("2") for one in messages)


def outcome(messages: Sequence[Exchanged], method: str) -> tuple[str, str]:
    """Status and state. Messages in the order of time.

    trying, ringing, up, ended, cancelled, redirected, failed; done: what is not a call was answered with success.
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
    """Has a BYE been sent that was not refused? One that is challenged ends nothing (RFC 3261 15.1.2)."""
    ended = False
    for one in messages:
        if one.method != "BYE" or one.status.startswith("1"):
            continue
        if one.status.startswith("2") or one.status in GONE:
            return True
        ended = not one.status
    return ended


def last_transaction(own: Sequence[Exchanged]) -> list[Exchanged]:
    """Of messages of one method: those since the last one that is neither forwarded nor sent again nor an answer."""
    begun = 0
    cseq: int | None = None
    known: set[int] = set()
    seen: set[tuple[int, tuple[str, str], bytes]] = set()
    hops: set[tuple[str, str]] = set()  # that the request of now has passed
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
