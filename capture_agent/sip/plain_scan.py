"""The scan of the plain build: scans ordinary messages with patterns in one step, and leaves all others to scan.py.

tests/builds compares both over damaged messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from capture_agent.sip.message import SipMessage, new_message
from capture_agent.sip.patterns import BLANK, ROUTINE_HEADERS, has_line_without_name, headers_end
from capture_agent.sip.problems import Problem

Scan = Callable[[bytes, int, int], SipMessage | None]
ReadHeaders = Callable[[SipMessage, bytes, int, int], bool]
ReadValue = Callable[[SipMessage, bytes, int, int, int, int], int]
WalkHeaders = Callable[[SipMessage, bytes, int, int], int]

# Whole start lines without anything unusual.
REQUEST = re.compile(rb"([-.!%*_+`'~0-9A-Za-z]++) ([^ \t\r\n]++) SIP/2\.0\r?\n")
RESPONSE = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) [^\n]*+\n")
CSEQ_VALUE = re.compile(rb"([0-9]{1,9}) ([^ \t\r\n].*)", re.DOTALL)
FEW_DIGITS = 10  # so few digits are certainly less than 2**31

NO_HEADER_END = int(Problem.NO_HEADER_END)
BAD_HEADER = int(Problem.BAD_HEADER)
VIA, FROM, TO = int(Problem.NO_VIA), int(Problem.NO_FROM), int(Problem.NO_TO)
CALL_ID, CSEQ, LENGTH = int(Problem.NO_CALL_ID), int(Problem.NO_CSEQ), int(Problem.BAD_CONTENT_LENGTH)

# Header names, in the usual spelling and in lower case, and the flag of each.
FLAGS = {
    b"Via": VIA, b"From": FROM, b"To": TO, b"Call-ID": CALL_ID, b"CSeq": CSEQ, b"Content-Length": LENGTH,
    b"via": VIA, b"from": FROM, b"to": TO, b"call-id": CALL_ID, b"cseq": CSEQ, b"content-length": LENGTH,
    b"v": VIA, b"f": FROM, b"t": TO, b"i": CALL_ID, b"l": LENGTH,
}  # fmt: skip


def scanner(otherwise: Scan, read_headers: ReadHeaders) -> Scan:
    """scan.scan for usual start lines; `otherwise` scans the others."""

    def scan(data: bytes, start: int, end: int) -> SipMessage | None:
        if not 0 <= start <= end <= len(data):
            return otherwise(data, start, end)
        line = REQUEST.match(data, start, end) or RESPONSE.match(data, start, end)
        if line is None:
            return otherwise(data, start, end)
        message: SipMessage = new_message()
        message.is_request = is_request = line.re is REQUEST
        if is_request:
            message.status = 0
            message.method_start = start
            message.uri_start, message.uri_end = line.span(2)
            message.method_end = message.uri_start - 1
        else:
            message.status = int(line[1])
            message.method_start = message.method_end = message.uri_start = message.uri_end = -1
        message.problems = 0
        message._headers = None
        message.data = data
        message.start = start
        message.end = end
        message.headers_start = first = line.end()
        read_headers(message, data, first, end)
        return message

    return scan


def header_walker(read_value: ReadValue) -> WalkHeaders:
    """scan.walk_headers by patterns; `read_value` reads unusual and repeated values."""

    def walk_headers(message: SipMessage, data: bytes, start: int, end: int) -> int:
        seen = 0
        stop, body_start = headers_end(data, start, end)
        if body_start < 0:
            message.problems |= NO_HEADER_END
        else:
            message.body_start = body_start
        if stop < start:
            return seen
        if has_line_without_name(data, start, stop):
            message.problems |= BAD_HEADER
        # All in one loop: a call per header would cost as much as its work.
        for header in ROUTINE_HEADERS.finditer(data, start - 1, stop):
            name, value = header.groups()
            first = header.start(2)
            if value and value[-1] <= 0x20:
                value = value.rstrip(BLANK)
            last = first + len(value)
            flag = FLAGS.get(name) or FLAGS[name.lower()]
            if flag == VIA:
                if not seen & VIA:
                    message.via_start = first
                    message.via_end = last
            elif seen & flag or not value or value[0] == 0x3B:  # repeated, empty, or only parameters
                flag = read_value(message, data, first, last, flag, seen)
            elif flag == FROM:
                message.from_start = first
                message.from_end = last
            elif flag == TO:
                message.to_start = first
                message.to_end = last
            elif flag == CALL_ID:
                message.call_id_start = first
                message.call_id_end = last
            elif flag == LENGTH and value.isdigit() and len(value) < FEW_DIGITS:
                message.content_length = int(value)
            elif flag == CSEQ and (usual := CSEQ_VALUE.fullmatch(value)):
                message.cseq = int(usual[1])
                message.cseq_method_start = first + usual.start(2)
                message.cseq_method_end = last
            else:
                flag = read_value(message, data, first, last, flag, seen)
            seen |= flag
        return seen

    return walk_headers
