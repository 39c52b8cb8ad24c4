"""The only exception of this package, and the reasons it can carry."""

from enum import StrEnum


class Reason(StrEnum):
    """Why bytes or a packet were refused: few, stable, short; fit for a metric label."""

    MAGIC = "magic"  # neither HEP1, HEP2, HEP3 nor EEP1
    TRUNCATED = "truncated"  # the data ends inside a header
    TOTAL_LENGTH = "total_length"  # the length in the header is not the packet's
    CHUNK_LENGTH = "chunk_length"  # a chunk below its header's 6 bytes, or past the end of the packet
    CHUNK_SIZE = "chunk_size"  # a field with another width than its fixed one
    CHUNK_TYPE = "chunk_type"  # a chunk type that is not allowed there
    HEADER_LENGTH = "header_length"  # HEP1/2: hp_l does not match the address family
    FAMILY = "family"  # an address family that is neither IPv4 nor IPv6, or does not match the addresses
    COMPRESSION = "compression"  # a damaged compressed payload
    TOO_LONG = "too_long"  # above 65,535 bytes, before or after inflating
    MISSING = "missing"  # encoding: the version's header needs a field that is None
    RANGE = "range"  # encoding: a number does not fit its field
    VERSION = "version"  # encoding: no such version of HEP


class HepError(ValueError):
    """A message that is not HEP, or a packet that HEP cannot carry.

    `reason` is the label, `chunk` names the field or part concerned, `offset` is the byte where that part
    begins (None while encoding): in the datagram, or in the stream if a `StreamDecoder` raised it.
    """

    def __init__(self, reason: Reason, chunk: str, detail: str, offset: int | None = None) -> None:
        place = "" if offset is None else f" (byte {offset})"
        super().__init__(f"{chunk}: {detail}{place}")
        self.reason = reason
        self.chunk = chunk
        self.detail = detail
        self.offset = offset

    def moved(self, distance: int) -> "HepError":
        """The same error with its offset moved by `distance` bytes."""
        return HepError(self.reason, self.chunk, self.detail, (self.offset or 0) + distance)

    def __reduce__(self) -> tuple[type["HepError"], tuple[Reason, str, str, int | None]]:
        # Exceptions pickle only their message, which does not fit our constructor.
        return HepError, (self.reason, self.chunk, self.detail, self.offset)
