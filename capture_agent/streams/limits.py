"""All limits of the tables here, and the reasons why a segment is left out."""

from enum import IntEnum

SECOND_NS = 1_000_000_000

# Of one message. A HEP packet takes 65,535 bytes, and so does a UDP datagram: real SIP is not longer.
MAX_METHOD = 64
MAX_LINE = 8_192  # of a start line
MAX_HEADERS = 65_536
MAX_BODY = 1_048_576
MAX_UPGRADE = 16_384  # header section of an HTTP request or response that may open a WebSocket

# What start_line() returns; more bytes may follow.
NO, YES, PERHAPS = 0, 1, -1
# What measure() returns instead of a size.
UNKNOWN = 0  # the header section has not ended yet
NOT_SIP = -1
TOO_LONG = -2
REFUSED = -16  # less the size of the header section: its Content-Length is absurd

# Of one direction of a connection.
SEEK_LIMIT = 65_536  # bytes without a start line, before only the first bytes of each segment are looked at
FOREIGN_SEARCH = 16_384  # bytes that are not SIP, in which SIP is looked for
MAX_HELD_BYTES = 1_048_576  # out of order
MAX_HELD = 1_024
# RFC 6298: retransmissions come 1, 3 and 7 s after the original segment; Linux starts at 0.2 s.
PATIENCE_NS = 10 * SECOND_NS
# The largest window is 1 GiB (RFC 7323 2.3), but SIP's are small, and a new connection whose SYN was not seen
# must not pass for a very late or very early segment of the old one.
WINDOW = 16_777_216
# RFC 9293 3.1: the largest window without scaling. A segment that lies farther ahead is believed when others adjoin it.
LIKELY = 65_535
# Other connections that may have taken the ports, and how many segments in order end the one that had them.
MAX_RIVALS = 4
PARKED_SEGMENTS = 16
# How much before a message boundary is kept of a stream that was joined in the middle.
MAX_JOINING_BYTES = 16_384
MAX_JOINING = 64
# A NAT may forget a connection after 2 h 4 min (RFC 5382 5): after the first keep-alive (RFC 9293 3.8.4: 2 h).
IDLE_NS = 7_440 * SECOND_NS

# What CPython needs in addition to the bytes: a piece that waits, a rival, a parked connection, a WebSocket.
PIECE_COST = 384
RIVAL_COST = 384
PARKED_COST = 1_024
WEBSOCKET_COST = 1_024

# Of all of them. The least recently used one is evicted.
MAX_STREAMS = 100_000
MAX_BYTES = 67_108_864


class SegmentReject(IntEnum):
    """Why the bytes of a segment are not used. Each name is a metric label."""

    NOT_SIP = 1  # neither SIP nor a WebSocket that may carry it
    OUTSIDE = 2  # its sequence number is far from any that this connection could have: real ends ignore it
    CLOSED = 3  # after FIN or RST
