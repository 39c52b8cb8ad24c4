"""Marks of messages, as numbers. Hot: compiled with marks.pxd, or plain Python."""

from __future__ import annotations

import re

import cython

from capture_agent import hashing
from capture_agent.correlate import timers as limits
from capture_agent.hashing import number_of, number_of_words
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.message import SipMessage

TEXT = cython.declare(cython.int, hashing.TEXT)
WITHIN = cython.declare(cython.int, hashing.WITHIN)
LAST = cython.declare(cython.int, hashing.LAST)
WORDS = cython.declare(cython.int, hashing.WORDS)

MOST_OF_CALL_ID = cython.declare(cython.int, limits.MOST_OF_CALL_ID)


def cut(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> bytes:
    """data[start:end]; b"" if out of bounds."""
    if not cython.compiled:
        return data[start:end]
    if start < 0 or end > len(data) or start >= end:
        return b""
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + start, end - start)  # type: ignore[name-defined, no-any-return]  # noqa: F821 - cimported


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def find(
    text: cython.p_uchar, byte: cython.uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """The index of `byte` in text[start:end], or -1. The caller checks bounds. Compiled only."""
    hit: cython.p_uchar
    if start >= end:
        return -1
    hit = cython.cast(cython.p_uchar, memchr(text + start, byte, end - start))  # type: ignore[name-defined]  # noqa: F821
    return -1 if hit == cython.NULL else hit - text


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def number_in(
    data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, lane: cython.int, number: cython.ulonglong
) -> cython.ulonglong:
    """hashing.number_of, copied here: a call to it would cost as much as the number."""
    if not cython.compiled:
        return number_of(data, start, end, lane, number)
    return keyed_part(data, start, end, KEYS + lane, number)  # type: ignore[name-defined, no-any-return]  # noqa: F821 - cimported


def call_key(sip: SipMessage) -> cython.ulonglong:
    """A number for its Call-ID, cut to the length that counts."""
    end: cython.Py_ssize_t = min(sip.call_id_end, sip.call_id_start + MOST_OF_CALL_ID)
    return number_in(sip.data, sip.call_id_start, end, TEXT, 0)


def tag_key(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.ulonglong:
    """A number for the tag data[start:end]; 0 for none."""
    return 0 if start >= end else number_in(data, start, end, TEXT, 0) | 1


def hop_of(sip: SipMessage) -> cython.ulonglong:
    """For a request: its top Via and URI, which no two branches share, not even with RFC 2543 peers. Never 0.

    RFC 3261 17.1.1.3: an ACK for a failure has the INVITE's, and so does a CANCEL (9.1).
    """
    via: cython.ulonglong = number_in(sip.data, sip.via_start, sip.via_end, TEXT, 0)
    return number_in(sip.data, sip.uri_start, sip.uri_end, WITHIN, via) | 1


def mark_of(
    message: CapturedMessage,
    kind: cython.int,
    hop: cython.ulonglong,
    to_tag: cython.ulonglong,
) -> cython.ulonglong:
    """A number for everything that a retransmission shares only with its original.

    The hop (0 for a response: then its top Via), both endpoints, the key of the To tag, method, status, and length.
    """
    sip: SipMessage = message.sip
    datagram: Datagram = message.datagram
    at: cython.Py_ssize_t = datagram.address_at
    end: cython.Py_ssize_t = -1 if at > len(datagram.data) else at + 2 * datagram.address_size  # the sum may overflow
    ports: cython.ulonglong = cython.cast(cython.ulonglong, datagram.source_port) << 16 | datagram.destination_port
    shape: cython.ulonglong = cython.cast(cython.ulonglong, sip.end - sip.start) << 16 | sip.status << 4 | kind
    if not hop:
        hop = number_in(sip.data, sip.via_start, sip.via_end, TEXT, 0)
    if cython.compiled:
        mark: cython.ulonglong = keyed_words(hop, to_tag, ports, shape, KEYS + WORDS)  # type: ignore[name-defined]  # noqa: F821
    else:
        mark = number_of_words(hop, to_tag, ports, shape)
    return number_in(datagram.data, at, end, LAST, mark)


def value_of(sip: SipMessage, name: bytes) -> cython.Py_ssize_t:
    """The offset in sip.data of the value of the first header with this lower-case name, or -1."""
    data: bytes = sip.data
    end: cython.Py_ssize_t = sip.body_start
    at: cython.Py_ssize_t = sip.headers_start
    after: cython.Py_ssize_t
    if not cython.compiled:
        match = re.compile(rb"(?:^|(?<=\n))" + name + rb"[ \t]*:\s*", re.I).search(data, at, end)
        return match.end() if match else -1
    if at < 0 or end > len(data):
        return -1
    text: cython.p_uchar = data
    model: cython.p_uchar = name
    while at < end:
        if (text[at] | 0x20) == model[0]:
            after = at + len(name)
            if after < end and strncasecmp(PyBytes_AS_STRING(data) + at, PyBytes_AS_STRING(name), len(name)) == 0:  # type: ignore[name-defined]  # noqa: F821
                while after < end and (text[after] == 0x20 or text[after] == 0x09):
                    after += 1
                if after < end and text[after] == 0x3A:
                    return skip_white(data, after + 1, end)
        at = find(text, 0x0A, at, end) + 1
        if at == 0:
            return -1
    return -1


@cython.cfunc
@cython.exceptval(-2)
def skip_white(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while at < end and data[at] <= 0x20 and data[at] in (0x20, 0x09, 0x0D, 0x0A, 0x0B, 0x0C):
        at += 1
    return at


def is_terminated(sip: SipMessage) -> cython.bint:
    """Whether a NOTIFY ends the subscription (RFC 6665 4.1.3)."""
    at: cython.Py_ssize_t = value_of(sip, b"subscription-state")
    return at >= 0 and cut(sip.data, at, at + 10).lower() == b"terminated"


def expires_now(sip: SipMessage) -> cython.bint:
    """Whether a SUBSCRIBE ends the subscription (RFC 6665 4.1.2.3)."""
    at: cython.Py_ssize_t = value_of(sip, b"expires")
    first: cython.Py_ssize_t = at
    if at < 0:
        return False
    while at < sip.body_start and sip.data[at] == 0x30:
        at += 1
    return first < at < sip.body_start and sip.data[at] <= 0x20
