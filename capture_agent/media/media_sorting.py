"""Takes media out of datagrams. Hot: compiled with media_sorting.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram

UDP = cython.declare(cython.int, 17)
LEAST = cython.declare(cython.int, 8)  # bytes of an RTCP packet


def sort_out(datagrams: list[Datagram], media: list[Datagram]) -> list[Datagram]:
    """The datagrams without RTCP, which is added to `media`; the same list if there is none.

    RTP's version 2 is in no SIP message and no keep-alive. RFC 5761 4: the packet types of RTCP are 192 to 223.
    """
    datagram: Datagram
    others: list[Datagram] = []
    some: cython.bint = False
    for datagram in datagrams:
        if is_rtcp(datagram):
            media.append(datagram)
            some = True
        else:
            others.append(datagram)
    return others if some else datagrams


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def is_rtcp(datagram: Datagram) -> cython.bint:
    at: cython.Py_ssize_t = datagram.start
    if datagram.protocol != UDP or at < 0 or datagram.end - at < LEAST:
        return False
    return datagram.data[at] & 0xC0 == 0x80 and datagram.data[at + 1] & 0xE0 == 0xC0
