"""Calls made of datagrams: what is sent in them, and a program that makes them until it is stopped."""

from __future__ import annotations

import socket
import struct
import sys
import time
from itertools import count

INVITE = (
    b"INVITE sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=%d\r\n"
    b"To: <sip:b@c>\r\nCall-ID: %d\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
# A port of its own for each call.
SDP = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio %d RTP/AVP 0\r\n"
OFFER = INVITE.replace(b"Content-Length: 0\r\n\r\n", b"Content-Type: application/sdp\r\n\r\n" + SDP)


def response(status: bytes, request: bytes) -> bytes:
    lines = request.replace(b"To: <sip:b@c>", b"To: <sip:b@c>;tag=t").split(b"\r\n")
    return b"\r\n".join([b"SIP/2.0 %s Said" % status, *lines[1:]])


def bye_of(offer: bytes) -> bytes:
    return offer[: offer.index(b"Content")].replace(b"INVITE", b"BYE") + b"\r\n"


def talk(source: str, destination: str) -> None:
    """A call each second, answered and ended, with five packets of RTP from its caller."""
    sip, rtp = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    rtp.bind((source, 0))
    port = rtp.getsockname()[1]
    for number in count():
        offer = OFFER.replace(b"audio %d", b"audio %d" % port).replace(b"192.0.2.1", source.encode())
        offer = offer.replace(b"%d", b"talk-%d" % number)
        for message in (offer, response(b"200", offer)):
            sip.sendto(message, (destination, 5060))
        for sequence in range(5):
            time.sleep(0.02)
            header = struct.pack(">BBHII", 0x80, 0, sequence, 160 * sequence, number)
            rtp.sendto(header + bytes(160), (destination, 30_000))
        sip.sendto(bye_of(offer), (destination, 5060))
        time.sleep(1)


if __name__ == "__main__":
    talk(*sys.argv[1:])
