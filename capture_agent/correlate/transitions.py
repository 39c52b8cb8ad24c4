"""Tables of state changes by message: a pair that is not listed changes nothing.

The agent misses packets, and sees some from both sides: an observer must tolerate that.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from capture_agent.records.dialog import DialogState, TransactionState
from capture_agent.sip.methods import Method

State = TypeVar("State", bound=IntEnum)
Event = TypeVar("Event", bound=IntEnum)

STATES = 8  # columns in the flat tables; more than any of them needs


class TransactionEvent(IntEnum):
    """Events of a transaction. Only new messages: retransmissions change nothing."""

    REQUEST = 0  # the request on another branch
    PROVISIONAL = 1
    SUCCESS = 2
    FAILURE = 3  # the last open branch has failed
    ACK = 4


class DialogEvent(IntEnum):
    """Events of a dialog."""

    INITIAL = 0  # a request that creates one; also again, for instance after a challenge
    ACCEPTED = 1  # 2xx to an INVITE
    REFUSED = 2  # 3xx to 6xx on all branches
    ACK = 3  # ACK for a 2xx
    NOTIFIED = 4  # or 2xx to a SUBSCRIBE or REFER
    END = 5  # 2xx to the last BYE, or to the end of a subscription


_T, _D = TransactionState, DialogState

TRANSACTION = {
    (_T.CALLING, TransactionEvent.PROVISIONAL): _T.PROCEEDING,
    (_T.CALLING, TransactionEvent.SUCCESS): _T.ACCEPTED,
    (_T.CALLING, TransactionEvent.FAILURE): _T.COMPLETED,
    (_T.CALLING, TransactionEvent.ACK): _T.CONFIRMED,  # the response was missed
    (_T.PROCEEDING, TransactionEvent.SUCCESS): _T.ACCEPTED,
    (_T.PROCEEDING, TransactionEvent.FAILURE): _T.COMPLETED,
    (_T.COMPLETED, TransactionEvent.ACK): _T.CONFIRMED,
    (_T.COMPLETED, TransactionEvent.SUCCESS): _T.ACCEPTED,  # from a fork whose request was missed
    (_T.CONFIRMED, TransactionEvent.SUCCESS): _T.ACCEPTED,
    (_T.COMPLETED, TransactionEvent.REQUEST): _T.CALLING,  # a proxy tries the next target
    (_T.CONFIRMED, TransactionEvent.REQUEST): _T.CALLING,
    (_T.TRYING, TransactionEvent.SUCCESS): _T.ANSWERED,
    (_T.TRYING, TransactionEvent.FAILURE): _T.ANSWERED,
    (_T.ANSWERED, TransactionEvent.REQUEST): _T.TRYING,
}
DIALOG = {
    (_D.EARLY, DialogEvent.ACCEPTED): _D.CONFIRMED,
    (_D.EARLY, DialogEvent.ACK): _D.CONFIRMED,
    (_D.EARLY, DialogEvent.NOTIFIED): _D.CONFIRMED,  # RFC 6665 4.1.3: it may come before the response
    (_D.EARLY, DialogEvent.REFUSED): _D.ENDED,
    (_D.ENDED, DialogEvent.ACCEPTED): _D.CONFIRMED,  # from a fork whose request was missed; or the dialog had not ended
    (_D.CONFIRMED, DialogEvent.END): _D.ENDED,
    (_D.ENDED, DialogEvent.INITIAL): _D.EARLY,  # with credentials for the challenge
}


def flat(table: Mapping[tuple[State, Event], State]) -> bytes:
    """The next state at [event * STATES + state]: a single look-up for compiled code."""
    events = 1 + max(seen for _, seen in table)
    return bytes(
        next((new for (old, seen), new in table.items() if (old, seen) == (state, event)), state)
        for event in range(events)
        for state in range(STATES)
    )


# The role of each method in dialogs.
FORMS = 1  # without a To tag it creates a dialog (RFC 3261 12.1, RFC 6665, RFC 3515)
WITHIN = 2  # always inside a dialog; RFC 2543 peers may omit the tags
JOINS = 4  # with a To tag it shows a dialog whose beginning was missed
EARLY = 8  # that dialog may still be early
DIALOGS = {
    Method.OTHER: JOINS,
    Method.INVITE: FORMS | JOINS,
    Method.ACK: WITHIN | JOINS | EARLY,  # perhaps for a failure
    Method.CANCEL: 0,
    Method.BYE: WITHIN | JOINS,
    Method.SUBSCRIBE: FORMS | JOINS,
    Method.NOTIFY: WITHIN | JOINS,
    Method.REFER: FORMS | JOINS,
    Method.REGISTER: 0,
    Method.OPTIONS: JOINS,
    Method.MESSAGE: JOINS,
    Method.INFO: WITHIN | JOINS,
    Method.UPDATE: WITHIN | JOINS | EARLY,
    Method.PRACK: WITHIN | JOINS | EARLY,
    Method.PUBLISH: 0,
}
