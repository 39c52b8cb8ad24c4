"""ESP with NULL encryption (RFC 4303, 2410): used only on request, because nothing in the packet identifies it.

The length of the integrity check value is negotiated elsewhere. The trailer must be consistent: the padding counts
1, 2, 3, the next header can lead to SIP, and the inner header's length equals the actual length.
"""

from __future__ import annotations

from capture_agent.packet.behind_ethertype import mpls_that_fits
from capture_agent.packet.behind_ip import ah, etherip, gre
from capture_agent.packet.inner import IP_PROTOCOL, Decoder, Inner, be16, be32, ip_that_fits

# The most common first: HMAC-96; SHA-256-128; none; then truncations to 64, 192 (SHA-384) and 256 bits (SHA-512).
ICV_SIZES = (12, 16, 0, 8, 24, 32)

IPIP, TCP, UDP, IPV6, SCTP = 4, 6, 17, 41, 132

# Tunnels in ESP that have no length to compare. ESP in ESP is not supported: each layer would try each size again.
TUNNELS: dict[int, Decoder] = {47: gre, 51: ah, 97: etherip, 137: mpls_that_fits}


def esp_null(data: bytes, at: int, end: int) -> Inner | None:
    """SPI, sequence, payload, padding, its length, next header, integrity check value. In UDP the same (RFC 3948 2)."""
    # In UDP a SPI of 0 means IKE, and a keep-alive is one byte. RFC 4303 2.1 reserves 1 to 255; IMS phones use them.
    if at + 10 > end or be32(data, at) == 0:
        return None
    at += 8
    for icv in ICV_SIZES:
        trailer = end - icv - 2
        if trailer < at:
            continue
        pad = data[trailer]
        if pad > trailer - at or (trailer + 2 - at) % 4:
            continue
        # RFC 4303 2.4: padding starts at 1.
        if any(data[trailer - pad + n] != n + 1 for n in range(pad)):
            continue
        if _plausible(data[trailer + 1], data, at, trailer - pad):
            return Inner(IP_PROTOCOL + data[trailer + 1], at, trailer - pad)
    return None


def _plausible(protocol: int, data: bytes, at: int, end: int) -> bool:
    """Whether a header of this protocol fits exactly from `at` to `end`."""
    size = end - at
    if protocol == UDP:
        return size >= 8 and be16(data, at + 4) == size
    if protocol == TCP:
        return size >= 20 and 20 <= (data[at + 12] >> 4) * 4 <= size and not data[at + 12] & 0x0E
    if protocol == SCTP:
        return size >= 16 and size % 4 == 0 and 4 <= be16(data, at + 14) <= size - 12
    if protocol in (IPIP, IPV6):  # tunnel mode; traffic flow padding may follow the packet (RFC 4303 2.7)
        return ip_that_fits(data, at, end) and data[at] >> 4 == (4 if protocol == IPIP else 6)
    decoder = TUNNELS.get(protocol)
    return decoder is not None and decoder(data, at, end) is not None
