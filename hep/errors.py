"""The only exception of this package, and the reasons it can carry."""

from enum import StrEnum


class Reason(StrEnum):
    """Why bytes or a packet were refused: few, stable, short; fit for a metric label."""

    MAGIC = "magic"  # neither HEP1, HEP2, HEP3 nor EEP1
    TRUNCATED = "truncated"  # the data ends inside a header
    TOTAL_LENGTH = "total_length"  # the length in the header is not the packet's
    CHUNK_LENGTH = "chunk_length"  # a chunk below its header's 6 bytes, or past the end of the packet
    CHUNK_SIZE = "chunk_size"  # a field of fixed width with another one
    CHUNK_TYPE = "chunk_type"  # a chunk type that must not stand there
    HEADER_LENGTH = "header_length"  # HEP1/2: hp_l is not that of the address family
    FAMILY = "family"  # an address family that is neither IPv4 nor IPv6, or not the addresses' own
    COMPRESSION = "compression"  # a compressed payload that is damaged
    TOO_LONG = "too_long"  # above 65,535 bytes, before or after inflating
    MISSING = "missing"  # encoding: the version's header needs a field that is None
    RANGE = "range"  # encoding: a number does not fit its field
    VERSION = "version"  # encoding: there is no such version of HEP


class HepError(ValueError):
    """A message that is not HEP, or a packet that HEP cannot carry.

    `reason` is the label, `chunk` names the field or part concerned, `offset` is the byte where that part
    begins (None while encoding): in the datagram, or in the stream when a `StreamDecoder` raised it.
    """

    def __init__(self, reason: Reason, chunk: str, detail: str, offset: int | None = None) -> None:
        place = "" if offset is None else f" (byte {offset})"
        super().__init__(f"{chunk}: {detail}{place}")
        self.reason = reason
        self.chunk = chunk
        self.detail = detail
        self.offset = offset

    def moved(self, distance: int) -> "HepError":
        """The same error, seen from `distance` bytes further up."""
        return HepError(self.reason, self.chunk, self.detail, (self.offset or 0) + distance)

    def __reduce__(self) -> tuple[type["HepError"], tuple[Reason, str, str, int | None]]:
        # Exceptions pickle by their message alone, which does not fit our constructor.
        return HepError, (self.reason, self.chunk, self.detail, self.offset)
