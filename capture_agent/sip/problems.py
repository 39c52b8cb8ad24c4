"""Kinds of payloads that are not SIP, and faults of SIP messages. Each name is a metric label."""

from enum import IntEnum, IntFlag


class Stranger(IntEnum):
    """The kind of a payload that is not a SIP message: counted, never traced."""

    NONE = 0  # it is SIP
    EMPTY = 1
    KEEPALIVE = 2  # RFC 5626 3.5.1 CRLF, or the NUL bytes that some phones send
    STUN = 3  # RFC 5389, 3489
    RTP = 4
    RTCP = 5
    HTTP = 6
    SIP_VERSION = 7  # a SIP start line with a version other than 2.0
    OTHER = 8
    START_LINE = 9  # version 2.0, but neither a request nor a status line: for example, its method is not a token
    HEP = 10  # HEP 1, 2 or 3, from another capture agent


class Problem(IntFlag):
    """A fault of a SIP message. The message is still traced: it is the evidence."""

    TRUNCATED = 1 << 0  # the capture's snap length cut it
    BAD_START_LINE = 1 << 1  # method, URI or status code are not what RFC 3261 25.1 allows
    NO_HEADER_END = 1 << 2  # no empty line after the headers
    BAD_HEADER = 1 << 3  # a line without a colon, or a name that is not a token
    NO_VIA = 1 << 4
    NO_FROM = 1 << 5  # missing, empty or without an address
    NO_TO = 1 << 6
    NO_CALL_ID = 1 << 7
    NO_CSEQ = 1 << 8
    BAD_CSEQ = 1 << 9  # not a number below 2**32, or no method
    CSEQ_METHOD = 1 << 10  # RFC 3261 8.1.1.5: not the method of the request
    BAD_CONTENT_LENGTH = 1 << 11  # not a number
    BODY_SHORT = 1 << 12  # fewer bytes in the datagram than Content-Length says
    BODY_LONG = 1 << 13  # more bytes: RFC 3261 18.3 cuts the body, the rest is still evidence
    REPEATED_HEADER = 1 << 14  # a header that is allowed only once has a second, different value
