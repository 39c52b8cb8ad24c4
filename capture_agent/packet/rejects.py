"""Why a frame yields no datagram. Each name is a metric label (docs/books.md)."""

from enum import IntEnum

from capture_agent.books import Account, OfFrames
from capture_agent.packet.defrag import Refusal


class Reject(IntEnum):
    LINK_TYPE = 1  # an unsupported link layer
    NOT_IP = 2  # ARP, LLDP: another ethertype
    CUT = 3  # the capture's snap length ends before the payload starts
    IP_HEADER = 4  # version, header length or total length contradict each other
    PROTOCOL = 5  # ICMP, IGMP, encrypted ESP: neither a transport of SIP nor a supported tunnel
    TRANSPORT_HEADER = 6  # a length that UDP, TCP or SCTP cannot have
    DEPTH = 7  # too many nested tunnels


REASONS = {reason: reason.name.lower() for reason in Reject}
# Fragments of datagrams that another one completes, or may yet complete. A fragment that completes a datagram is
# carried, or rejected for the datagram's content.
WITHIN_A_DATAGRAM = (OfFrames.JOINED, OfFrames.WAITING)
OF_FRAGMENTS = ("duplicate", *(f"refused_{refusal}" for refusal in Refusal), "timed_out", "evicted")
ACCOUNT = Account(
    "frames",
    (OfFrames.CARRIED, *WITHIN_A_DATAGRAM),
    (*REASONS.values(), *(f"fragment_{reason}" for reason in OF_FRAGMENTS)),
)
