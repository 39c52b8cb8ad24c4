"""Make the captures in pcaps/ that are not recordings: the same call in other encapsulations, and malformed traffic.

    python tools/make_pcaps.py [FOLDER]     the same bytes every time, which tests/test_pcaps.py checks

It starts from the recordings call-ipv6.pcap and demo.pcap (tools/record_demo.py).
"""

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import capture_files
from capture_files import ETHERNET, NULL, RAW, Capture, Packet
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PadN, fragment6
from scapy.layers.l2 import ARP, Ether

PCAPS = Path(__file__).parent.parent / "pcaps"
ETHERNET_HEADER = 14
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000
CALLER, CALLEE = "198.51.100.20", "203.0.113.30"
CALLER6, CALLEE6 = "2001:db8:1::20", "2001:db8:2::30"


def sip(start: str = "OPTIONS sip:bob@example.com SIP/2.0", body: str = "", **changes: str | None) -> bytes:
    """A valid request; `changes` replaces headers (from_="..."), or omits them (None)."""
    headers: dict[str, str | None] = {
        "Via": f"SIP/2.0/UDP {CALLER}:5060;branch=z9hG4bK-made",
        "Max-Forwards": "70",
        "From": "<sip:alice@example.com>;tag=made-a",
        "To": "<sip:bob@example.com>",
        "Call-ID": "made@example.com",
        "CSeq": "1 OPTIONS",
        "Content-Length": str(len(body)),
    }
    for name, value in changes.items():
        headers[name.strip("_").replace("_", "-")] = value
    lines = [start, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def ethernet() -> Ether:
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def udp(payload: bytes, ipv6: bool = False, **fields: int) -> bytes:
    network = IPv6(src=CALLER6, dst=CALLEE6) if ipv6 else IP(src=CALLER, dst=CALLEE, id=1)
    return bytes(ethernet() / network / UDP(sport=5060, dport=5060, **fields) / payload)


def patched(frame: bytes, at: int, new: bytes) -> bytes:
    return frame[:at] + new + frame[at + len(new) :]


def capture(frames: list[bytes], link_type: int = ETHERNET) -> Capture:
    return Capture(link_type, [Packet(START_NS + n * STEP_NS, frame) for n, frame in enumerate(frames)])


# --- the recorded call, wrapped in another way -------------------------------------------------------------------


def wrapped(recorded: Capture, link_type: int, wrap: Callable[[bytes], bytes]) -> Capture:
    return Capture(link_type, [Packet(packet.time_ns, wrap(packet.frame)) for packet in recorded.packets])


def vlan(*tags: tuple[int, int]) -> Callable[[bytes], bytes]:
    extra = b"".join(struct.pack("!HH", kind, number) for kind, number in tags)
    return lambda frame: frame[:12] + extra + frame[12:]


def bsd_loopback(frame: bytes) -> bytes:
    """The capturing machine's address family, in its byte order; AF_INET is 2 everywhere."""
    return struct.pack("<I", 2) + frame[ETHERNET_HEADER:]


def with_extensions(frame: bytes) -> bytes:
    """Hop-by-hop and destination options between the IPv6 header and UDP."""
    network = IPv6(frame[ETHERNET_HEADER:])
    options = IPv6ExtHdrHopByHop(options=PadN(optdata=bytes(4))) / IPv6ExtHdrDestOpt(options=PadN(optdata=bytes(12)))
    header = IPv6(src=network.src, dst=network.dst, hlim=network.hlim)
    return frame[:ETHERNET_HEADER] + bytes(header / options / network.payload)


# --- fragments and segments --------------------------------------------------------------------------------------

LONG = "".join(f"a=candidate:{n} 1 UDP {n} {CALLER} {n} typ host\r\n" for n in range(2000, 2060))


def fragments() -> list[bytes]:
    """A long INVITE three times: in order, backwards, over IPv6; then one whose second fragment never comes."""
    invite = sip("INVITE sip:bob@example.com SIP/2.0", LONG, CSeq="1 INVITE")

    def pieces(identity: int) -> list[bytes]:
        whole = IP(src=CALLER, dst=CALLEE, id=identity) / UDP(sport=5060, dport=5060) / invite
        return [bytes(ethernet() / piece) for piece in fragment(whole, fragsize=1480)]

    whole6 = IPv6(src=CALLER6, dst=CALLEE6) / IPv6ExtHdrFragment(id=3) / UDP(sport=5060, dport=5060) / invite
    pieces6 = [bytes(ethernet() / piece) for piece in fragment6(whole6, 1280)]
    missing = pieces(4)
    return [*pieces(1), *reversed(pieces(2)), *pieces6, missing[0], *missing[2:]]


def segments() -> list[bytes]:
    """One TCP connection: a torn message, two in one segment, one repeated, two out of order, a keep-alive."""
    messages = [sip(Call_ID=f"tcp-{n}@example.com", Via=f"SIP/2.0/TCP {CALLER};branch=z9hG4bK-{n}") for n in range(6)]
    a, b, c, d, e, f = messages
    stream = [a[:9], a[9:200], a[200:], b + c, d[:100], d[100:], b"\r\n\r\n", e, f]
    starts = [1001 + sum(map(len, stream[:n])) for n in range(len(stream))]
    order = [0, 1, 2, 3, 3, 5, 4, 6, 7, 8]  # 3 twice, and 5 before 4

    def segment(flags: str, seq: int, ack: int, payload: bytes = b"", back: bool = False) -> bytes:
        source, destination = (CALLEE, CALLER) if back else (CALLER, CALLEE)
        sport, dport = (5060, 40000) if back else (40000, 5060)
        header = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack)
        return bytes(ethernet() / IP(src=source, dst=destination, id=1) / header / payload)

    end = starts[-1] + len(f)
    return [
        segment("S", 1000, 0),
        segment("SA", 5000, 1001, back=True),
        segment("A", 1001, 5001),
        *(segment("PA", starts[n], 5001, stream[n]) for n in order),
        segment("FA", end, 5001),
        segment("FA", 5001, end + 1, back=True),
        segment("A", end + 1, 5002),
    ]


# --- odd, and broken ---------------------------------------------------------------------------------------------

COMPACT = (
    b"OPTIONS sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK-compact\r\n"
    b"f: <sip:alice@example.com>\r\n ;tag=folded\r\nt: <sip:bob@example.com>\r\ni: compact@example.com\r\n"
    b"CSEQ:  7\t OPTIONS\r\nl: 0\r\n\r\n"
)

ODD: dict[str, bytes] = {  # all of it is SIP
    "compact names, a folded From, odd case": COMPACT,
    "line ends of LF alone": sip().replace(b"\r\n", b"\n"),
    "empty lines before the message": b"\r\n\r\n" + sip(),
    "no Content-Length, with a body": sip(body="hello", Content_Length=None),
    "more body than Content-Length": sip(body="hello and more", Content_Length="5"),
    "a method nobody knows": sip("MAGIC sip:bob@example.com SIP/2.0", CSeq="1 MAGIC"),
    "UTF-8 and a quoted tag in the display name": sip(From='"Ä ;tag=no" <sip:a@example.com>;tag=yes'),
    "a binary body": sip(body="\x00\x01\x02", Content_Type="application/octet-stream"),
    "a status without a reason phrase": sip("SIP/2.0 200 ", To="<sip:bob@example.com>;tag=b"),
}

BROKEN: dict[str, bytes] = {
    "Ethernet: 10 bytes": bytes(10),
    "Ethernet: ARP": bytes(ethernet() / ARP(psrc=CALLER, pdst=CALLEE)),
    "VLAN: cut in the tag": udp(sip())[:12] + b"\x81\x00\x00",
    "IPv4: cut in the header": udp(sip())[: ETHERNET_HEADER + 12],
    "IPv4: header length 16": patched(udp(sip()), 14, b"\x44"),
    "IPv4: version 5": patched(udp(sip()), 14, b"\x55"),
    "IPv4: total length beyond the frame": patched(udp(sip()), 16, b"\x7f\xff"),
    "IPv4: total length below the header": patched(udp(sip()), 16, b"\x00\x0a"),
    "IPv6: cut in the header": udp(sip(), ipv6=True)[: ETHERNET_HEADER + 20],
    "IPv6: extension header beyond the packet": patched(udp(sip(), ipv6=True)[: ETHERNET_HEADER + 44], 20, b"\x00"),
    "UDP: cut in the header": udp(sip())[: ETHERNET_HEADER + 24],
    "UDP: length 4": udp(sip(), len=4),
    "UDP: length beyond the packet": udp(sip(), len=2000),
    "no payload": udp(b""),
    "CRLF keep-alive": udp(b"\r\n\r\n"),
    "NUL keep-alive": udp(bytes(4)),
    "STUN": udp(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)),
    "HTTP": udp(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
    "SIP/3.0": udp(sip("OPTIONS sip:bob@example.com SIP/3.0")),
    "a status of two digits": udp(sip("SIP/2.0 99 Nearly")),
    "no From": udp(sip(From=None)),
    "no Call-ID": udp(sip(Call_ID=None)),
    "no CSeq": udp(sip(CSeq=None)),
    "a CSeq that is no number": udp(sip(CSeq="many OPTIONS")),
    "cut in the headers": udp(sip()[:150]),
    "Content-Length beyond the datagram": udp(sip(body="short", Content_Length="500")),
    "Content-Length below zero": udp(sip(Content_Length="-1")),
    "Content-Length of 30 digits": udp(sip(Content_Length="9" * 30)),
}


def make(folder: Path) -> None:
    recorded = capture_files.read(PCAPS / "demo.pcap")
    invite = next(p for p in recorded.packets if b"INVITE sip:bob@" in p.frame)
    at = invite.frame.index(b"Call-ID: ")
    call_id = invite.frame[at : invite.frame.index(b"\r\n", at)]
    call = Capture(ETHERNET, [packet for packet in recorded.packets if call_id in packet.frame])

    capture_files.write(folder / "call.pcap", call)
    capture_files.write_gzip(folder / "call.pcap.gz", capture_files.pcap(call))
    (folder / "call-big-endian.pcap").write_bytes(capture_files.pcap(call, order=">"))
    capture_files.write(folder / "call-raw.pcap", wrapped(call, RAW, lambda frame: frame[ETHERNET_HEADER:]))
    capture_files.write(folder / "call-null.pcap", wrapped(call, NULL, bsd_loopback))
    capture_files.write(folder / "call-vlan.pcap", wrapped(call, ETHERNET, vlan((0x8100, 100))))
    capture_files.write(folder / "call-qinq.pcap", wrapped(call, ETHERNET, vlan((0x88A8, 200), (0x8100, 100))))
    recorded6 = capture_files.read(PCAPS / "call-ipv6.pcap")
    capture_files.write(folder / "call-ipv6-options.pcap", wrapped(recorded6, ETHERNET, with_extensions))

    capture_files.write(folder / "fragments.pcap", capture(fragments()))
    capture_files.write(folder / "segments.pcap", capture(segments()))
    capture_files.write(folder / "odd.pcap", capture([udp(payload) for payload in ODD.values()]))
    capture_files.write(folder / "broken.pcap", capture(list(BROKEN.values())))
    cut = [Packet(p.time_ns, p.frame[:400], len(p.frame)) for p in call.packets]
    capture_files.write(folder / "snapped.pcap", Capture(ETHERNET, cut))
    (folder / "cut.pcap").write_bytes(capture_files.pcap(call)[:-100])
    (folder / "empty.pcap").write_bytes(capture_files.pcap(Capture(ETHERNET, [])))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else PCAPS)
