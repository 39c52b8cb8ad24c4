"""Why a frame gives no datagram. Each name is a metric label."""

from enum import IntEnum


class Reject(IntEnum):
    LINK_TYPE = 1  # a link layer that we cannot read
    NOT_IP = 2  # ARP, LLDP, a tunnel: another ethertype
    CUT = 3  # the capture's snap length ends before the payload starts
    IP_HEADER = 4  # version, header length or total length contradict each other
    FRAGMENT = 5  # of an IP datagram
    TCP = 6
    PROTOCOL = 7  # neither UDP nor TCP
    UDP_HEADER = 8  # a length that UDP cannot have, or longer than its IP packet
