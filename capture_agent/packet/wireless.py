"""IEEE 802.11: unencrypted data frames, and the headers that capture programs put before them."""

from __future__ import annotations

from capture_agent.packet.behind_ethertype import llc
from capture_agent.packet.inner import Inner, be32, ethernet, le16, le32

# Frame control, IEEE 802.11-2020 9.2.4.1, two little-endian bytes.
VERSION_AND_TYPE = 0x000F
DATA_FRAME = 0x0008
NO_DATA = 0x0040  # of the subtypes: null functions
QOS = 0x0080
BOTH_DS = 0x0300  # to and from the distribution system: a fourth address
MORE_FRAGMENTS = 0x0400
PROTECTED = 0x4000
PLUS_HTC = 0x8000

AGGREGATE = 0x80  # of QoS control: an A-MSDU, several frames in one

RADIOTAP_TSFT = 0x1
RADIOTAP_FLAGS = 0x2
RADIOTAP_FCS = 0x10
RADIOTAP_DATA_PAD = 0x20
MORE_PRESENT = 0x80000000
MAX_PRESENT_WORDS = 16

PRISM_SIZE = 144
AVS_MAGIC = 0x80211001  # its last byte is the version: 1 or 2


def ieee80211(data: bytes, at: int, end: int) -> Inner | None:
    """A data frame that is not protected, not a fragment and not an A-MSDU, whose frames do not fit one Inner."""
    return _data_frame(data, at, end, padded=False)


def _data_frame(data: bytes, at: int, end: int, padded: bool) -> Inner | None:
    if at + 24 > end:
        return None
    control = le16(data, at)
    if control & VERSION_AND_TYPE != DATA_FRAME or control & (NO_DATA | PROTECTED | MORE_FRAGMENTS):
        return None
    if data[at + 22] & 0x0F:  # the fragment's number
        return None
    size = 30 if control & BOTH_DS == BOTH_DS else 24
    if control & QOS:
        if at + size + 2 > end or data[at + size] & AGGREGATE:
            return None
        size += 6 if control & PLUS_HTC else 2
    if padded:
        size = (size + 3) & ~3
    return llc(data, at + size, end)


def radiotap(data: bytes, at: int, end: int) -> Inner | None:
    """radiotap.org: version 0, its length, a bit for each field present. A field says whether 802.11 is padded."""
    if at + 8 > end or data[at] != 0:
        return None
    size = le16(data, at + 2)
    if size < 8 or at + size > end:
        return None
    present = le32(data, at + 4)
    field = 8
    for _ in range(MAX_PRESENT_WORDS):
        if field + 4 > size or not le32(data, at + field - 4) & MORE_PRESENT:
            break
        field += 4
    flags = 0
    if present & RADIOTAP_FLAGS:
        if present & RADIOTAP_TSFT:
            field = ((field + 7) & ~7) + 8  # fields are aligned to their size
        flags = data[at + field] if field < size else 0
    return _data_frame(
        data, at + size, end - 4 if flags & RADIOTAP_FCS else end, padded=bool(flags & RADIOTAP_DATA_PAD)
    )


def ppi(data: bytes, at: int, end: int) -> Inner | None:
    """CACE's Per-Packet Information: version 0, flags, its length, the link type of what follows."""
    if at + 8 > end or data[at] != 0:
        return None
    size, link_type = le16(data, at + 2), le32(data, at + 4)
    if size < 8:
        return None
    if link_type == 1:
        return ethernet(data, at + size, end)
    return ieee80211(data, at + size, end) if link_type == 105 else None


def prism(data: bytes, at: int, end: int) -> Inner | None:
    """Prism monitoring header, its numbers in the host's byte order; its link type is also used for AVS."""
    if at + 8 > end:
        return None
    if PRISM_SIZE in (le32(data, at + 4), be32(data, at + 4)):
        return ieee80211(data, at + PRISM_SIZE, end)
    return avs(data, at, end)


def avs(data: bytes, at: int, end: int) -> Inner | None:
    """AVS WLAN monitoring header: a magic number, and its length."""
    if at + 8 > end or be32(data, at) & ~3 != AVS_MAGIC & ~3:
        return None
    size = be32(data, at + 4)
    return ieee80211(data, at + size, end) if size >= 8 else None


# TZSP's numbers for what it carries.
TZSP_WIRELESS = {18: ieee80211, 119: prism, 127: avs}
