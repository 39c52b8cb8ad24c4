"""What became of a call, a registration or another exchange: a word for its state, from what was seen of it."""

from __future__ import annotations

# Methods sent within a call that an INVITE has opened.
WITHIN_A_CALL = frozenset((b"ACK", b"BYE", b"CANCEL", b"PRACK", b"UPDATE", b"INFO"))
GONE = (408, 481)  # RFC 3261 12.2.1.2: the dialog has ended nevertheless
CANCELLED = 487
CHALLENGES = (401, 407)
REDIRECTIONS = range(300, 400)
FAILURES = range(400, 700)

CALL_STATES = (
    "calling", "ringing", "in call", "completed", "cancelled", "busy", "no answer", "rejected", "redirected", "failed",
)  # fmt: skip
OTHER_STATES = ("waiting", "registered", "unregistered", "subscribed", "done", "rejected", "redirected", "failed")
STATES = tuple(dict.fromkeys((*CALL_STATES, *OTHER_STATES)))

REFUSALS = {
    401: "rejected",
    403: "rejected",
    407: "rejected",
    408: "no answer",
    480: "no answer",
    486: "busy",
    CANCELLED: "cancelled",
    600: "busy",
    603: "rejected",
    607: "rejected",
    608: "rejected",
}
SUCCESSES = {b"REGISTER": "registered", b"SUBSCRIBE": "subscribed"}


def is_call(method: bytes) -> bool:
    return method == b"INVITE" or method in WITHIN_A_CALL


def state_of(method: bytes, status: int, ended: bool, unregisters: bool = False) -> str:
    """`status`: of its answer, 0 for none; `ended`: a BYE was sent and not refused. Documented in docs/look.md."""
    if is_call(method):
        if ended and (status < 300 or method != b"INVITE"):
            return "completed"
        if 200 <= status < 300 or method != b"INVITE":
            return "in call"
        if status < 200:
            return "ringing" if status > 100 else "calling"
    elif status < 200:
        return "waiting"
    elif status < 300:
        return "unregistered" if unregisters else SUCCESSES.get(method, "done")
    if status in REDIRECTIONS:
        return "redirected"
    found = REFUSALS.get(status, "failed")
    return found if is_call(method) or found == "rejected" else "failed"


def is_failure(status: int) -> bool:
    """A final status from 400, other than that of a call which its caller gave up."""
    return status in FAILURES and status != CANCELLED
