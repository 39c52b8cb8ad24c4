"""Takes media out of datagrams. Hot: compiled with media_sorting.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram

UDP = cython.declare(cython.int, 17)
LEAST_RTCP = cython.declare(cython.int, 8)  # bytes
LEAST_RTP = cython.declare(cython.int, 12)  # on the wire: a capture may have less


def sort_out(datagrams: list[Datagram], rtcp: list[Datagram] | None, rtp: list[Datagram] | None) -> list[Datagram]:
    """The datagrams without RTCP and RTP, which are added to these lists; the same list if there is none.

    None: that kind is left where it is. RTP's version 2 is in no SIP message and no keep-alive. RFC 5761 4: the packet
    types of RTCP are 192 to 223, so no payload types of RTP are there.
    """
    datagram: Datagram
    others: list[Datagram] = []
    some: cython.bint = False
    at: cython.Py_ssize_t
    size: cython.Py_ssize_t
    for datagram in datagrams:
        at = datagram.start
        size = datagram.end - at
        if datagram.protocol == UDP and at >= 0 and size >= LEAST_RTCP and datagram.data[at] & 0xC0 == 0x80:
            if datagram.data[at + 1] & 0xE0 == 0xC0:
                if rtcp is not None:
                    rtcp.append(datagram)
                    some = True
                    continue
            elif rtp is not None and size + datagram.missing >= LEAST_RTP and datagram.address_size:
                rtp.append(datagram)
                some = True
                continue
        others.append(datagram)
    return others if some else datagrams
