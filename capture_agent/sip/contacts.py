"""Registrations in headers: who, and for how long. Hot: compiled with contacts.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.hashing import TEXT, number_of
from capture_agent.sip.lookup import address, header_at, value_stop
from capture_agent.sip.message import SipMessage

if not cython.compiled:
    from capture_agent.sip.lookup import MOST_VALUES

DEFAULT_EXPIRES = cython.declare(cython.longlong, 3600)  # RFC 3261 10.2.1.1
UNSAID = cython.declare(cython.longlong, -2)
TEXT_LANE = cython.declare(cython.int, TEXT)
LONGEST = cython.declare(cython.Py_ssize_t, 4096)  # bytes of a header that are looked at
LONGEST_AOR = cython.declare(cython.Py_ssize_t, 512)
EXPIRES = cython.declare(bytes, b"expires")
MOST = cython.declare(cython.longlong, 0xFFFFFFFF)


def longest(value: bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t, otherwise: cython.longlong) -> cython.longlong:
    """Seconds: the largest `expires` of the contacts in value[i:end], `otherwise` for one that has none.

    -1: there is no contact. UNSAID as `otherwise` is what it gives if a contact has none. What a quote or a bracket
    does not close goes to the end.
    """
    best: cython.longlong = -1
    found: cython.longlong = -1
    some: cython.bint = False
    c: cython.int
    end = min(end, len(value))
    while i < end:
        c = value[i]
        if c == 0x22:
            i += 1
            while i < end and value[i] != 0x22:
                i += 2 if value[i] == 0x5C else 1
        elif c == 0x3C:
            some = True
            i += 1
            while i < end and value[i] != 0x3E:
                i += 1
        elif c == 0x2C:
            if some and found < 0 and otherwise == UNSAID:
                return UNSAID
            if some:
                best = max(best, found if found >= 0 else otherwise)
            found = -1
            some = False
        elif c == 0x3B:
            found = max(found, expires_at(value, i + 1, end))
        elif c > 0x20:
            some = True
        i += 1
    if some and found < 0 and otherwise == UNSAID:
        return UNSAID
    if some:
        best = max(best, found if found >= 0 else otherwise)
    return best


@cython.cfunc
@cython.exceptval(-2)
def expires_at(value: bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.longlong:
    """The number in `expires=N` that begins here, or -1."""
    n: cython.Py_ssize_t
    signs: cython.int = 0
    while i < end and value[i] <= 0x20:
        i += 1
    if end - i < 9:
        return -1
    for n in range(7):
        if value[i + n] | 0x20 != EXPIRES[n]:
            return -1
    i += 7
    while i < end and (value[i] <= 0x20 or (value[i] == 0x3D and not signs)):
        signs += value[i] == 0x3D
        i += 1
    if not signs:
        return -1
    return number_at(value, i, end, -1)


def aor_of(sip: SipMessage) -> cython.ulonglong:
    """A number for the address-of-record of a REGISTER: the URI in To, without parameters (RFC 3261 10.2)."""
    uri: bytes = address(sip.to_value or b"")
    i: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t = min(len(uri), LONGEST_AOR)
    while i < end and uri[i] != 0x3B and uri[i] != 0x3F:
        i += 1
    uri = uri.lower()
    return number_of(uri, 0, i, TEXT_LANE, 0)


def asked_seconds(sip: SipMessage) -> cython.longlong:
    """How long a REGISTER wants its bindings to last; 0: it removes them, or binds nothing."""
    return max(of_all(sip, DEFAULT_EXPIRES), 0)


def unbinds(sip: SipMessage) -> cython.bint:
    """Whether a REGISTER removes all bindings that it names (RFC 3261 10.2.2)."""
    return of_all(sip, DEFAULT_EXPIRES) == 0


def granted_seconds(sip: SipMessage, asked: cython.longlong) -> cython.longlong:
    """How long what a 2xx to a REGISTER lists will last: the longest of its contacts (RFC 3261 10.3).

    Registrars that list none have granted what Expires says, or what was asked for.
    """
    found: cython.longlong = of_all(sip, asked or DEFAULT_EXPIRES)
    return min(asked, expires_of(sip, asked)) if found < 0 else found


@cython.cfunc
@cython.exceptval(-3)
def of_all(sip: SipMessage, otherwise: cython.longlong) -> cython.longlong:
    """Of all contacts; -1: there is none. What has no parameter lasts as Expires says."""
    best: cython.longlong = -1
    found: cython.longlong
    stop: cython.Py_ssize_t
    last: cython.Py_ssize_t
    lines: cython.int = 0
    asked: cython.bint = False
    at: cython.Py_ssize_t = header_at(sip, sip.headers_start, b"contact", b"m")
    while at >= 0 and lines < MOST_VALUES:
        stop = value_stop(sip, at)
        last = min(stop, at + LONGEST)
        lines += 1
        found = longest(sip.data, at, last, otherwise if asked else UNSAID)
        if found == UNSAID:
            otherwise = expires_of(sip, otherwise)
            asked = True
            found = longest(sip.data, at, last, otherwise)
        best = max(best, found)
        at = header_at(sip, stop + 1, b"contact", b"m")
    return best


@cython.cfunc
@cython.exceptval(-3)
def expires_of(sip: SipMessage, otherwise: cython.longlong) -> cython.longlong:
    at: cython.Py_ssize_t = header_at(sip, sip.headers_start, b"expires", b"")
    if at < 0:
        return otherwise
    stop: cython.Py_ssize_t = value_stop(sip, at)
    while at < stop and sip.data[at] <= 0x20:
        at += 1
    return number_at(sip.data, at, stop, otherwise)


@cython.cfunc
@cython.exceptval(-3)
def number_at(
    value: bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t, otherwise: cython.longlong
) -> cython.longlong:
    """The digits that begin here; more than 32 bits are the most that they hold."""
    number: cython.longlong = 0
    first: cython.Py_ssize_t = i
    while i < end and 0x30 <= value[i] <= 0x39 and i - first < 11:
        number = number * 10 + value[i] - 0x30
        i += 1
    return min(number, MOST) if i > first else otherwise
