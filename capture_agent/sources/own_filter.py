"""Makes the kernel leave out our own packets, by instructions put before the filter that libpcap has attached.

Setting another filter through libpcap loses packets: it empties the socket first. The kernel itself replaces a program
atomically. So we read back libpcap's program, whatever the user's filter is, and put ours before it: jumps of classic
BPF are relative.

The filter passes packets that it cannot be sure of: fragments, IPv4 options, IPv6 extension headers, tags within the
frame, tunnels.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterable
from struct import iter_unpack, pack
from typing import Any

from capture_agent.net.own_sockets import Flow, Place, SocketSnapshot

Test = list[Any]  # instructions, and the value that they must yield

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k: struct sock_filter of linux/filter.h

SO_ATTACH_FILTER = SO_GET_FILTER = 26
LONGEST = 4096  # instructions: BPF_MAXINSNS
MOST = 48  # flows and addresses in the filter; the others are found in user space
ALL = 0x40000  # bytes of a packet: libpcap's MAXIMUM_SNAPLEN

# linux/bpf_common.h
LOAD_WORD, LOAD_HALF, LOAD_BYTE, LOAD_SAVED = 0x20, 0x28, 0x30, 0x60
SAVE, JUMP, RETURN = 0x02, 0x05, 0x06
EQUAL, ANY_BIT, AND, SHIFT_RIGHT = 0x15, 0x45, 0x54, 0x74
PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL: the Ethernet type, from the kernel instead of the frame

# Offset of the network header, by LINKTYPE_: libpcap opens `any` without link layer headers.
NETWORK_AT = {1: 14, 101: 0, 113: 0}
IPV4, IPV6 = 0x0800, 0x86DD

OVER: Instruction = (JUMP, 0, 0, 0)  # a jump past the checks; `only` knows how far that is


def leave_out(descriptor: int, link_type: int, known: SocketSnapshot, base: list[Instruction]) -> None:
    """Attach the program to this packet socket. `base` is the socket's original program. Raises OSError."""
    program = [*own_program(link_type, known), *base]
    if len(program) > LONGEST:
        program = base
    attach(descriptor, program)


def take_nothing(descriptor: int) -> None:
    """The kernel passes no more packets to this packet socket; those in it stay. Raises OSError."""
    attach(descriptor, [(RETURN, 0, 0, 0)])


def attach(descriptor: int, program: list[Instruction]) -> None:
    code = b"".join(pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    with socket.socket(fileno=os.dup(descriptor)) as one:
        one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pack("@HP", len(program), ctypes.addressof(buffer)))


def attached(descriptor: int) -> list[Instruction]:
    """The program of this socket; if there is none, or the kernel does not return it, one that passes everything."""
    buffer = ctypes.create_string_buffer(8 * LONGEST)
    count = ctypes.c_uint32(LONGEST)  # in instructions, unlike other options' lengths
    if ctypes.CDLL(None, use_errno=True).getsockopt(
        descriptor, socket.SOL_SOCKET, SO_GET_FILTER, buffer, ctypes.byref(count)
    ):
        return []
    return list(iter_unpack("=HBBI", buffer.raw[: 8 * count.value])) or [(RETURN, 0, 0, ALL)]


def own_program(link_type: int, known: SocketSnapshot) -> list[Instruction]:
    """Drops our packets; all others continue after its end."""
    at = NETWORK_AT.get(link_type)
    if at is None or not (known.flows or known.places):
        return []
    flows, places = sorted(known.flows)[:MOST], sorted(known.places)[:MOST]
    program: list[Instruction] = []
    for kind, size in ((IPV4, 4), (IPV6, 16)):
        checks = [
            *(one for flow in flows if len(flow[1]) == size for one in of_flow(flow, at, size)),
            *(one for place in places if len(place[1]) == size for one in of_place(place, at, size)),
        ]
        if checks:
            program += [*only(kind, at, len(checks)), *checks]
    return program


def only(kind: int, at: int, length: int) -> list[Instruction]:
    """Save protocol and ports of packets with a plain header; the others jump over `length` checks."""
    ports = at + (20 if kind == IPV4 else 40)
    protocol = at + (9 if kind == IPV4 else 6)
    plain: list[Instruction] = []
    if kind == IPV4:
        plain = [
            (LOAD_BYTE, 0, 0, at),
            (EQUAL, 1, 0, 0x45),
            OVER,
            (LOAD_HALF, 0, 0, at + 6),
            (ANY_BIT, 0, 1, 0x3FFF),
            OVER,
        ]
    before: list[Instruction] = [
        (LOAD_WORD, 0, 0, PROTOCOL), (EQUAL, 1, 0, kind), OVER,
        *plain,
        (LOAD_BYTE, 0, 0, protocol), (EQUAL, 2, 0, 6), (EQUAL, 1, 0, 17), OVER, (SAVE, 0, 0, 0),
        (LOAD_WORD, 0, 0, ports), (SAVE, 0, 0, 1),
    ]  # fmt: skip
    end = len(before) + length
    return [(JUMP, 0, 0, end - n - 1) if one is OVER else one for n, one in enumerate(before)]


def of_flow(flow: Flow, at: int, size: int) -> list[Instruction]:
    protocol, source, source_port, destination, destination_port = flow
    first = at + (12 if size == 4 else 8)
    tests: list[Test] = [
        [(LOAD_SAVED, 0, 0, 1), source_port << 16 | destination_port],
        [(LOAD_SAVED, 0, 0, 0), protocol],
        *words(source + destination, first),
    ]
    return dropping(tests)


def of_place(place: Place, at: int, size: int) -> list[Instruction]:
    """Tests for an address as source, and as destination."""
    protocol, address, port = place
    first = at + (12 if size == 4 else 8)
    found: list[Instruction] = []
    for offset, high in ((first, True), (first + size, False)):
        half: list[Instruction] = [(SHIFT_RIGHT, 0, 0, 16)] if high else [(AND, 0, 0, 0xFFFF)]
        tests: list[Test] = [
            [(LOAD_SAVED, 0, 0, 1), *half, port],
            [(LOAD_SAVED, 0, 0, 0), protocol],
            *words(address, offset),
        ]
        found += dropping(tests)
    return found


def words(value: bytes, offset: int) -> Iterable[Test]:
    for n, (word,) in enumerate(iter_unpack("!I", value)):
        yield [(LOAD_WORD, 0, 0, offset + 4 * n), word]


def dropping(tests: Iterable[Test]) -> list[Instruction]:
    """Drop the packet if each test's instructions yield its value; otherwise continue after the last."""
    steps = list(tests)
    length = sum(map(len, steps)) + 1
    found: list[Instruction] = []
    for *instructions, value in steps:
        found += instructions
        found.append((EQUAL, 0, length - len(found) - 1, value))
    return [*found, (RETURN, 0, 0, 0)]
