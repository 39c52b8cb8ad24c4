"""Finds the next record after a gap."""

from __future__ import annotations

from capture_agent.streams.tls.handshake import TlsReject, Undecryptable
from capture_agent.streams.tls.record_headers import HEADER, is_header
from capture_agent.streams.tls.tls_direction import TlsDirection

MAX_SOUGHT = 65_536  # bytes after a gap in which a record is looked for
MOST_TRIED = 4  # of what looks like a record: each may take a decryption for each record that may be lost
RECORD = b"\x17\x03\x03"


class RecordSearch:
    """Of one gap. What looks like a record is one if it can be decrypted."""

    __slots__ = ("_direction", "_passed", "_tried")

    def __init__(self, direction: TlsDirection) -> None:
        self._direction = direction
        self._passed = 0  # bytes
        self._tried = 0

    def next_plain(self, kept: bytearray) -> bytes | None:
        """The application data of the first complete record; None: it is not there yet.

        It, and what has been passed over, is removed from `kept`. Raises Undecryptable: there is none.
        """
        at = kept.find(RECORD)
        while at >= 0 and len(kept) - at >= HEADER:
            header = bytes(kept[at : at + HEADER])
            end = at + HEADER + int.from_bytes(header[3:5], "big")
            if is_header(header):
                if end > len(kept):
                    break
                plain = self._decrypted(header, bytes(kept[at + HEADER : end]))
                if plain is not None:
                    del kept[:end]
                    return plain
            at = kept.find(RECORD, at + 1)
        passed = at if at >= 0 else max(0, len(kept) - len(RECORD) + 1)
        del kept[:passed]  # nothing is looked at twice
        self._passed += passed
        if self._passed + len(kept) > MAX_SOUGHT:
            raise Undecryptable(TlsReject.GAP)
        return None

    def _decrypted(self, header: bytes, body: bytes) -> bytes | None:
        """None: this is no record."""
        self._tried += 1
        try:
            plain = self._direction.resume(header, body)
        except Undecryptable:
            plain = None
        if plain is None and self._tried >= MOST_TRIED:
            raise Undecryptable(TlsReject.GAP)
        return plain
