"""Destinations of siptrace - HEP, SIP duplicates, the table - as [[hep]], [[sip]] and [[sql]]."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import quote

from capture_agent.config.secrets import quotable
from capture_agent.config.targets import HepTransport
from capture_agent.config.uris import SipTransport, is_table_name, parse_place
from capture_agent.convert.modparams import Parameters
from capture_agent.convert.reading import Note, ScriptPlace

PORT = 5060  # for a URI without a port
_URI = re.compile(r"(sips?):(?:[^@;?]*@)?([^;?]+)((?:;[^?]*)?)(?:\?.*)?", re.IGNORECASE)
_DATABASE = re.compile(r"([a-z_]+)://(.*)", re.DOTALL)
_SERVER = re.compile(
    r"(?:(?P<user>[^:/]*)(?::(?P<password>.*))?@)?(?P<host>\[[^]]*\]|[^:/@]*)(?P<port>:\d+)?(?P<name>/.*)?"
)
SCHEMES = {"sqlite": "sqlite", "mysql": "mysql", "postgres": "postgresql", "postgresql": "postgresql"}


@dataclass
class SinkTable:
    """A table of our configuration."""

    section: str
    options: dict[str, Any]
    name: str = ""


@dataclass
class Sinks:
    """All sinks that the script names, each once."""

    parameters: Parameters
    found: list[SinkTable] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def hep(self, uri: str, place: ScriptPlace | None) -> list[SinkTable]:
        target = self._target(uri, place, get_args(HepTransport))
        if target is None:
            return []
        host, port, transport = target
        version = self.parameters.number("hep_version")
        version = version if version in (1, 2, 3) else 3
        if version < 3 and transport != "udp":
            why = f"HEP {version} has no length field, so over {transport} it is HEP 3 here"
            self._note(place, f"{quotable(uri)}: {why}")
            version = 3
        options: dict[str, Any] = {"host": host, "port": port, "transport": transport, "version": version}
        options["capture_id"] = self.parameters.number("hep_capture_id")
        if self.parameters.text("auth_key") and version == 3:
            options["auth_key"] = self.parameters.text("auth_key")
        return [self._once(SinkTable("hep", options | self._source()))]

    def sip(self, uri: str, place: ScriptPlace | None, x_headers: bool) -> list[SinkTable]:
        target = self._target(uri, place, get_args(SipTransport))
        if target is None:
            return []
        host, port, transport = target
        options = {"host": host, "port": port, "transport": transport, **self._source()}
        sink = self._once(SinkTable("sip", options))
        if x_headers:
            sink.options["x_headers"] = True
        return [sink]

    def sql(self) -> list[SinkTable]:
        url = database_url(self.parameters.text("db_url"))
        if url is None:
            self._note(self.parameters.place("db_url"), "db_url: such a database cannot contain the table: left out")
            return []
        table = self.parameters.text("table")
        if not is_table_name(table):
            self._note(self.parameters.place("table"), f"table: {table!r} is not a valid table name here: left out")
            table = "sip_trace"
        return [self._once(SinkTable("sql", {"url": url, "table": table}))]

    def check(self) -> None:
        """siptrace does not start with an invalid duplicate_uri, even if nothing is sent there."""
        uri = self.parameters.text("duplicate_uri")
        if uri:
            self._target(uri, self.parameters.place("duplicate_uri"), get_args(HepTransport))

    def _target(self, uri: str, place: ScriptPlace | None, transports: tuple[str, ...]) -> tuple[str, int, str] | None:
        try:
            host, port, transport = place_of(uri)
        except ValueError as error:
            self._note(place, f"{quotable(uri)!r}: {error}: left out")
            return None
        if transport not in transports:
            self._note(place, f"{quotable(uri)}: {quotable(transport)} is not defined: left out")
            return None
        return host, port, transport

    def _source(self) -> dict[str, str]:
        """siptrace sends from Kamailio's socket: we can use its address, but its port is in use."""
        for name in ("send_sock_addr", "force_send_sock"):
            if self.parameters.text(name) and not self.parameters.text("send_sock_name"):
                try:
                    return {"source": place_of(self.parameters.text(name))[0]}
                except ValueError as error:
                    self._note(self.parameters.place(name), f"{name}: {error}: left out")
        return {}

    def _once(self, sink: SinkTable) -> SinkTable:
        for known in self.found:
            if known.section == sink.section and all(known.options.get(k) == v for k, v in sink.options.items()):
                return known
        self.found.append(sink)
        return sink

    def _note(self, place: ScriptPlace | None, text: str) -> None:
        note = Note(place, text)
        if note not in self.notes:
            self.notes.append(note)


def place_of(uri: str) -> tuple[str, int, str]:
    """Host, port and transport of a SIP URI. Raises ValueError."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise ValueError("no SIP URI")
    host, port = parse_place(found[2], "sip")
    transport = "tls" if found[1].lower() == "sips" else "udp"
    for parameter in found[3].split(";"):
        name, _, value = parameter.partition("=")
        if name.lower() == "transport":
            transport = value.lower()
    return host, port or PORT + (transport == "tls"), transport


def database_url(text: str) -> str | None:
    """The URL in SQLAlchemy's form; None for a database that cannot contain the table."""
    found = _DATABASE.fullmatch(text)
    scheme = SCHEMES.get(found[1]) if found else None
    if found is None or scheme is None:
        return None
    if scheme == "sqlite":
        return f"sqlite://{found[2]}"
    server = _SERVER.fullmatch(found[2])
    if server is None:
        return None
    # Kamailio takes a password literally.
    login = quote(server["user"] or "", safe="")
    if server["password"]:
        login += f":{quote(server['password'], safe='')}"
    return f"{scheme}://{login}{'@' * bool(login)}{server['host']}{server['port'] or ''}{server['name'] or ''}"
