"""The changes that a new message makes. Hot: compiled with updating.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.correlate import transitions as changes
from capture_agent.correlate.marks import expires_now, is_terminated
from capture_agent.correlate.tags import Tags
from capture_agent.correlate.transitions import DialogEvent, TransactionEvent
from capture_agent.correlate.vias import is_spiral
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.sip import methods
from capture_agent.sip.message import SipMessage
from capture_agent.sip.methods import Method

INVITE = cython.declare(cython.int, Method.INVITE)
ACK = cython.declare(cython.int, Method.ACK)
CANCEL = cython.declare(cython.int, Method.CANCEL)
BYE = cython.declare(cython.int, Method.BYE)
SUBSCRIBE = cython.declare(cython.int, Method.SUBSCRIBE)
NOTIFY = cython.declare(cython.int, Method.NOTIFY)
REQUEST = cython.declare(cython.int, TransactionEvent.REQUEST)
PROVISIONAL = cython.declare(cython.int, TransactionEvent.PROVISIONAL)
SUCCESS = cython.declare(cython.int, TransactionEvent.SUCCESS)
FAILURE = cython.declare(cython.int, TransactionEvent.FAILURE)
SEEN_ACK = cython.declare(cython.int, TransactionEvent.ACK)
INITIAL = cython.declare(cython.int, DialogEvent.INITIAL)
ACCEPTED = cython.declare(cython.int, DialogEvent.ACCEPTED)
REFUSED = cython.declare(cython.int, DialogEvent.REFUSED)
DIALOG_ACK = cython.declare(cython.int, DialogEvent.ACK)
NOTIFIED = cython.declare(cython.int, DialogEvent.NOTIFIED)
END = cython.declare(cython.int, DialogEvent.END)
NAMES = cython.declare(tuple, methods.NAMES)
STATES = cython.declare(cython.int, changes.STATES)
NEXT = cython.declare(bytes, changes.flat(changes.TRANSACTION))
DIALOG_NEXT = cython.declare(bytes, changes.flat(changes.DIALOG))


def note_request(
    transaction: Transaction, kind: cython.int, message: CapturedMessage, hop: cython.ulonglong, tags: Tags
) -> cython.bint:
    dialog: Dialog | None = transaction.dialog
    if kind != transaction._kind:  # ACK or CANCEL for an INVITE
        if kind == ACK:
            transaction.state = NEXT[SEEN_ACK * STATES + transaction.state]
        return True
    first: cython.bint = transaction._first_hop == 0
    if transaction.add_hop(hop):
        transaction._open += 1
        if not first:
            transaction.state = NEXT[REQUEST * STATES + transaction.state]
            if kind == INVITE and not transaction.spiral:
                transaction.spiral = is_spiral(message.sip, message.datagram)
    if dialog is None:
        return True
    if transaction._initial:
        change(dialog, INITIAL)
    if kind == ACK:
        if not dialog.joined:  # otherwise the INVITE was missed, and the ACK may be for a failure
            change(dialog, DIALOG_ACK)
    elif kind in (SUBSCRIBE, NOTIFY):
        note_subscription(transaction, kind, dialog, message.sip)
    return True


@cython.cfunc
def note_subscription(transaction: Transaction, kind: cython.int, dialog: Dialog, sip: SipMessage) -> cython.bint:
    if dialog.method == NAMES[INVITE]:
        return True  # RFC 5057: a subscription that shares a call's dialog does not end it
    transaction._ends = is_terminated(sip) if kind == NOTIFY else expires_now(sip)
    if kind == NOTIFY:
        change(dialog, NOTIFIED)
    return True


def note_response(transaction: Transaction, kind: cython.int, sip: SipMessage, tags: Tags) -> cython.bint:
    dialog: Dialog | None = transaction.dialog
    status: cython.int = sip.status
    seen: cython.int = PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE
    if status < 100 or kind != transaction._kind:  # malformed, or for a CANCEL
        return True
    if seen == FAILURE:
        transaction._open -= 1
        if kind == INVITE and transaction._open > 0:
            return True  # other branches may still succeed
    transaction.state = NEXT[seen * STATES + transaction.state]
    if dialog is None:
        return True
    if transaction._initial:
        if seen == SUCCESS and not dialog.confirming_cseq and transaction.cseq > 0:
            dialog.confirming_cseq = cython.cast(cython.uint, transaction.cseq)
        note_answer(dialog, kind, seen, status, tags)
    elif seen == SUCCESS and kind == INVITE:
        change(dialog, ACCEPTED)
    # A refused or unanswered request ends nothing, nor does 481 or 408: otherwise a party could escape its trace.
    if seen == SUCCESS:
        if kind == BYE:
            hang_up(dialog, tags)
        elif transaction._ends:
            change(dialog, END)
    return True


@cython.cfunc
def note_answer(dialog: Dialog, kind: cython.int, seen: cython.int, status: cython.int, tags: Tags) -> cython.bint:
    """A response to a request that creates dialogs: one per To tag."""
    place: cython.int = 0
    one: cython.uint = 1
    if seen == FAILURE:
        return change(dialog, REFUSED)
    if status != 100 and tags.in_to:
        place = dialog.callee(tags.in_to)
        if place < 0:
            place = dialog.add_callee(tags.in_to, tags.text_in_to())
    if seen == SUCCESS:
        if place >= 0:
            dialog._answered |= one << place
        change(dialog, ACCEPTED if kind == INVITE else NOTIFIED)
    return True


@cython.cfunc
def hang_up(dialog: Dialog, tags: Tags) -> cython.bint:
    """A successful BYE ends the dialog with the callee whose tag it has; the last one ends the whole dialog.

    A BYE without a callee's tag belongs to another dialog, or is forged. RFC 2543 peers omit tags.
    """
    one: cython.uint = 1
    tag: cython.ulonglong = tags.in_to if tags.in_from == dialog._caller else tags.in_from
    place: cython.int = dialog.callee(tag)
    if place < 0 and tag and dialog._callee:
        return True
    if place >= 0:
        dialog._answered &= ~(one << place)
        if dialog._answered:
            return True
    return change(dialog, END)


@cython.cfunc
@cython.inline
def change(dialog: Dialog, seen: cython.int) -> cython.bint:
    dialog.state = DIALOG_NEXT[seen * STATES + dialog.state]
    return True
