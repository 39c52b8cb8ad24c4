"""The Q.850 cause of a message. Hot: compiled with causes.pxd, or plain Python."""

from __future__ import annotations

import re

import cython

from capture_agent.sip.lookup import header_values
from capture_agent.sip.message import SipMessage

QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
Q850 = re.compile(rb"(?:^|,)[ \t]*Q\.850[ \t]*((?:;[^,;]*+)*)", re.I)
CAUSE = re.compile(rb";[ \t]*cause[ \t]*=[ \t]*(\d{1,3})(?!\d)", re.I)
# What nearly all of them begin with: one search instead of three.
PLAIN = re.compile(rb"Q\.850[ \t]*;[ \t]*cause[ \t]*=[ \t]*(\d{1,3})(?!\d)", re.I)


def cause_of(sip: SipMessage) -> cython.int:
    """The Q.850 cause that a Reason header gives (RFC 3326), 1 to 127; 0: none does."""
    for value in header_values(sip, b"reason", b""):  # few messages have one
        if (plain := PLAIN.match(value)) and 1 <= int(plain[1]) <= 127:
            return int(plain[1])
        for found in Q850.finditer(QUOTED.sub(b"", value)):
            if (cause := CAUSE.search(found[1])) and 1 <= int(cause[1]) <= 127:
                return int(cause[1])
    return 0
