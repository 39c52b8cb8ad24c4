"""Headers of records: RFC 8446 5.1, RFC 5246 6.2.1."""

from __future__ import annotations

from capture_agent.streams.tls.hello import CLIENT_HELLO, SERVER_HELLO

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE_RECORD, APPLICATION_DATA, HEARTBEAT = range(20, 25)
HEADER = 5  # bytes
MAX_RECORD = 16_384 + 2_048  # of a body: RFC 5246 6.2.3; TLS 1.3 allows less
LEAST = HEADER + 1  # bytes that show whether it is TLS: a record header and the type of the first message


def is_header(header: bytes | bytearray) -> bool:
    """Of a record: its type, version and length can be."""
    size = header[3] << 8 | header[4]
    return CHANGE_CIPHER_SPEC <= header[0] <= HEARTBEAT and header[1] == 3 and header[2] <= 4 and 0 < size <= MAX_RECORD


def kind_of(first: bytearray) -> str:
    """What begins like this: `client` or `server` of TLS, TLS that was `joined`, `plain`; `short`: not known yet."""
    if not CHANGE_CIPHER_SPEC <= first[0] <= APPLICATION_DATA or (len(first) > 1 and first[1] != 3):
        return "plain"
    if len(first) < LEAST:
        return "short"
    if not is_header(first):
        return "plain"
    if first[0] == HANDSHAKE_RECORD and first[5] in (CLIENT_HELLO, SERVER_HELLO):
        return "client" if first[5] == CLIENT_HELLO else "server"
    return "joined"
