"""Sends many datagrams from one buffer. Hot: compiled with udp_batch.pxd, or plain Python."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from errno import EINTR
from socket import socket

import cython

AT_ONCE = cython.declare(cython.int, 64)  # the length of the two arrays below
_EINTR = cython.declare(cython.int, EINTR)


def send_datagrams(
    connection: socket, buffer: bytes | bytearray | memoryview, ends: Sequence[int], first: int = 0
) -> tuple[int, int]:
    """Send the datagrams from number `first` on, each up to its end, on a connected socket.

    Returns the number of the first datagram not sent - len(ends) if all were - and the errno that stopped it, or 0.
    Nothing is sent twice or skipped: the caller decides what to do about an error.
    Raises ValueError if the ends do not rise or lie outside the buffer.
    """
    bounds: array[int] = ends if isinstance(ends, array) and ends.typecode == "q" else array("q", ends)
    check_ends(bounds, len(buffer), first)
    if first >= len(bounds):
        return len(bounds), 0
    if not cython.compiled or not len(buffer):  # an empty buffer has no address to send from
        return send_plain(connection, memoryview(buffer), bounds, first)
    return send_compiled(connection.fileno(), buffer, bounds, first)


@cython.cfunc
def check_ends(
    ends: cython.const[cython.longlong][:],  # type: ignore[valid-type]
    size: cython.Py_ssize_t,
    first: cython.Py_ssize_t,
) -> None:
    last: cython.longlong = 0
    n: cython.Py_ssize_t
    if first < 0:
        raise ValueError(f"first: {first}, expected 0 or more")
    for n in range(len(ends)):
        if not last <= ends[n] <= size:
            raise ValueError(f"a datagram from {last} to {ends[n]} in a buffer of {size} bytes")
        last = ends[n]


@cython.cfunc
def send_compiled(
    descriptor: cython.int,
    buffer: cython.const[cython.uchar][:],  # type: ignore[valid-type]
    ends: cython.const[cython.longlong][:],  # type: ignore[valid-type]
    first: cython.Py_ssize_t,
) -> tuple[int, int]:
    """The loop of system calls, without the GIL: getting it back from a busy capture thread would take 5 ms.

    sendmmsg saves a fifth of the cost of `send`. It drops an error that stops it after the first datagram: so the next
    datagram is sent alone, which shows an error that lasts, or the next refusal.
    """
    count: cython.Py_ssize_t = ends.shape[0]
    at: cython.Py_ssize_t = first
    start: cython.longlong = ends[first - 1] if first > 0 else 0
    group: cython.int = AT_ONCE
    filled: cython.int
    went: cython.int
    problem: cython.int = 0
    messages = cython.declare(mmsghdr[64])  # type: ignore[name-defined,call-arg,var-annotated]  # noqa: F821 - cimported
    parts = cython.declare(iovec[64])  # type: ignore[name-defined,call-arg,var-annotated]  # noqa: F821
    with cython.nogil:
        memset(messages, 0, AT_ONCE * cython.sizeof(mmsghdr))  # type: ignore[name-defined,attr-defined]  # noqa: F821
        for filled in range(AT_ONCE):
            messages[filled].msg_hdr.msg_iov = cython.address(parts[filled])  # type: ignore[attr-defined]
            messages[filled].msg_hdr.msg_iovlen = 1
        while at < count:
            filled = 0
            while filled < group and at + filled < count:
                parts[filled].iov_base = cython.cast(cython.p_char, cython.address(buffer[0]) + start)  # type: ignore[attr-defined]
                parts[filled].iov_len = ends[at + filled] - start
                start = ends[at + filled]
                filled += 1
            went = sendmmsg(descriptor, messages, filled, 0)  # type: ignore[name-defined]  # noqa: F821
            if went < 0:
                problem = errno  # type: ignore[name-defined]  # noqa: F821
                if problem != _EINTR:
                    break
                problem = went = 0
            at += went
            group = AT_ONCE if went == filled else 1
            start = ends[at - 1] if at > 0 else 0
    return at, problem


def send_plain(connection: socket, view: memoryview, ends: Sequence[int], first: int) -> tuple[int, int]:
    start = ends[first - 1] if first else 0
    for at in range(first, len(ends)):
        try:
            connection.send(view[start : ends[at]])
        except OSError as error:
            return at, error.errno or 0
        start = ends[at]
    return len(ends), 0
