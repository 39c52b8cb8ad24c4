"""Why a frame yields no datagram. Each name is a metric label."""

from enum import IntEnum


class Reject(IntEnum):
    LINK_TYPE = 1  # a link layer that we cannot read
    NOT_IP = 2  # ARP, LLDP: another ethertype
    CUT = 3  # the capture's snap length ends before the payload starts
    IP_HEADER = 4  # version, header length or total length contradict each other
    PROTOCOL = 5  # ICMP, IGMP, encrypted ESP: neither a transport of SIP nor a tunnel that we can read
    TRANSPORT_HEADER = 6  # a length that UDP, TCP or SCTP cannot have
    DEPTH = 7  # too many tunnels in each other
