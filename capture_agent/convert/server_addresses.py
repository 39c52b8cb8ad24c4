"""The server's own addresses, and those shown instead."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from capture_agent.addresses import TRANSPORTS, bracketed, endpoint_text, is_address
from capture_agent.config.endpoints import AUTO, parse_advertised, split_port
from capture_agent.convert.modparams import Parameters
from capture_agent.convert.reading import Note
from capture_agent.convert.script import Listen, Script

PORTS = {"tls": 5061}
ANYWHERE = {"0.0.0.0", "::", "*", ""}  # as Kamailio listens; nothing is opened here


@dataclass(frozen=True, slots=True)
class Socket:
    protocol: str
    host: str
    port: int | None

    def __str__(self) -> str:
        return bracketed(self.host) if self.port is None else endpoint_text(self.host, self.port)


class Addresses:
    """`local`: capture.local, `advertised`: trace.advertise."""

    def __init__(self, script: Script, parameters: Parameters, scripted: bool) -> None:
        self.notes: list[Note] = []
        self.local = self._local(script.listens)
        self.advertised: list[str] = []
        self._show_local_ip(parameters, scripted)
        if parameters.number("data_mode") & 1 and parameters.core:
            for listen in script.listens:
                if listen.advertised:
                    self._show(listen)

    def _local(self, listens: list[Listen]) -> list[str]:
        """Each once. A connection that the server opens has another port: there only the address counts."""
        sockets = [socket_of(listen.socket) for listen in listens]
        connecting = {socket.host for socket in sockets if socket.protocol != "udp"}
        local: dict[str, None] = {}
        for listen, socket in zip(listens, sockets, strict=True):
            if is_address(socket.host) and socket.host not in ANYWHERE:
                local[socket.host if socket.host in connecting else str(socket)] = None
                continue
            local[AUTO] = None
            if socket.host not in ANYWHERE:
                why = f"listen: {socket.host} is not an address: using this host's addresses"
                self.notes.append(Note(listen.place, why))
        return list(local)

    def _show_local_ip(self, parameters: Parameters, scripted: bool) -> None:
        """trace_local_ip: replaces the server's side in messages that the script traces."""
        text = parameters.text("trace_local_ip")
        if not text:
            return
        if not scripted:
            why = "siptrace uses it only for messages traced by functions, and none traces: left out"
            self.notes.append(parameters.note("trace_local_ip", why))
            return
        protocol, _, rest = text.partition(":")
        if protocol not in TRANSPORTS:
            why = "siptrace expects PROTO:IP:PORT and loses the HEP packets; here it works"
            self.notes.append(parameters.note("trace_local_ip", why))
            rest = text
        if parameters.core:
            why = "siptrace does not apply it to trace_mode's messages; here it applies to all messages"
            self.notes.append(parameters.note("trace_local_ip", why))
        self._add(f"*={rest}", parameters.note("trace_local_ip", f"value {text!r} is not an address: left out"))

    def _show(self, listen: Listen) -> None:
        """data_mode 1: the socket's advertised address. Without a port, the socket's."""
        socket = socket_of(listen.socket)
        shown = socket_of(listen.advertised)
        note = Note(listen.place, f"advertise {listen.advertised}: not two addresses of one family: left out")
        self._add(f"{socket.protocol}:{socket}={Socket('', shown.host, shown.port or socket.port)}", note)

    def _add(self, text: str, otherwise: Note) -> None:
        try:
            parse_advertised(text)
        except ValueError:
            self.notes.append(otherwise)
            return
        if text not in self.advertised:
            self.advertised.append(text)


def socket_of(text: str) -> Socket:
    """`udp:192.0.2.1:5060`; protocol and port are optional."""
    protocol, colon, rest = text.partition(":")
    protocol = protocol.lower()
    if not colon or protocol not in TRANSPORTS:
        protocol, rest = "", text
    try:
        host, port = split_port(rest)
    except ValueError:
        host, port = rest, None
    if is_address(host):
        host = str(ip_address(host))
    default = PORTS.get(protocol, 5060) if protocol else None
    return Socket(protocol or "udp", host, port or default)
