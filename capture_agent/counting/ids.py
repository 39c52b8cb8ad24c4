"""Call-ID, tags and branch of a message as numbers. Hot: compiled with ids.pxd, or plain Python.

The numbers are hashes that nobody can construct a collision of (hashing.py).
"""

from __future__ import annotations

import cython

from capture_agent import hashing
from capture_agent.hashing import number_of
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.lookup import header_at, value_stop
from capture_agent.sip.message import SipMessage
from capture_agent.sip.parameters import branch_at, tag_at, value_end

if not cython.compiled:
    from capture_agent.sip.lookup import MOST_VALUES

TEXT = cython.declare(cython.int, hashing.TEXT)
LONGEST = cython.declare(cython.Py_ssize_t, 255)  # bytes that count
LONGEST_TAG = cython.declare(cython.Py_ssize_t, 128)  # as the correlator has it


@cython.cfunc
def tag_number(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.ulonglong:
    at: cython.Py_ssize_t = tag_at(data, start, end)
    if at < 0:
        return 0
    end = min(value_end(data, at, end), at + LONGEST_TAG)
    return number_of(data, at, end, TEXT, 0) | 1 if at < end else 0


def call_of(sip: SipMessage, number: cython.ulonglong) -> cython.ulonglong:
    """Of the Call-ID and a number that is hashed with it: a peer may have chosen that as well."""
    return number_of(sip.data, sip.call_id_start, min(sip.call_id_end, sip.call_id_start + LONGEST), TEXT, number)


def branch_of(sip: SipMessage) -> cython.ulonglong:
    """Of the top Via: which hop it is. 1: it has none (RFC 2543)."""
    at: cython.Py_ssize_t = branch_at(sip.data, sip.via_start, sip.via_end)
    if at < 0:
        return 1
    return number_of(sip.data, at, min(value_end(sip.data, at, sip.via_end), at + LONGEST), TEXT, 0) | 1


def from_tag_of(message: CapturedMessage) -> cython.ulonglong:
    """0: there is none. The correlator knows it, of what has a transaction."""
    sip: SipMessage = message.sip
    if message.transaction is not None:
        return message.transaction._from
    return tag_number(sip.data, sip.from_start, sip.from_end)


def to_tag_of(sip: SipMessage) -> cython.ulonglong:
    """0: there is none."""
    return tag_number(sip.data, sip.to_start, sip.to_end)


def depth_of(sip: SipMessage) -> cython.int:
    """How many Vias a request has, as far as they are looked at: so many hops it has come."""
    depth: cython.int = 0
    lines: cython.int = 0
    stop: cython.Py_ssize_t
    at: cython.Py_ssize_t = header_at(sip, sip.headers_start, b"via", b"v")
    while at >= 0 and lines < MOST_VALUES:
        stop = value_stop(sip, at)
        lines += 1
        depth += 1 + commas_in(sip.data, at, stop)
        at = header_at(sip, stop + 1, b"via", b"v")
    return depth


@cython.cfunc
def commas_in(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    commas: cython.int = 0
    if not cython.compiled:
        return data.count(b",", at, end)
    while at < end:
        commas += data[at] == 0x2C
        at += 1
    return commas
