"""Whether this process may open packet sockets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from capture_agent.doctor.finding import Finding, broken, ok
from capture_agent.net.sink_errors import reason

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case

TO_DO = {
    errno.EPERM: "run it as root, or give it CAP_NET_RAW: AmbientCapabilities=CAP_NET_RAW in a systemd unit,"
    " --cap-add NET_RAW in Docker, `setpriv --ambient-caps +net_raw --inh-caps +net_raw` in a shell",
    errno.EAFNOSUPPORT: "the kernel or a sandbox refuses packet sockets: add AF_PACKET to RestrictAddressFamilies in"
    " the systemd unit",
}
OTHERWISE = "packet sockets (AF_PACKET) must be allowed: see packet(7)"


def may_capture(case: Case) -> Iterator[Finding]:
    if case.config.capture.interfaces:
        yield of_this_process()


def of_this_process(open_socket: Callable[[], socket.socket] | None = None) -> Finding:
    """Opens a packet socket that takes no packets, which is what the kernel permits or not."""
    user = os.geteuid()
    who = "root" if user == 0 else f"user id {user}"
    try:
        (open_socket or packet_socket)().close()
    except OSError as error:
        return broken(f"{who} may not capture: {reason(error)}", TO_DO.get(error.errno or 0, OTHERWISE))
    return ok(f"{who} may capture")


def packet_socket() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
