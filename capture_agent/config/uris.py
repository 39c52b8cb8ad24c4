"""hep: and sip: URIs, as on the command line and in the configuration.

hep:HOST[:PORT]  hep+tcp:...  hep+tls:...   ?version=1|2|3  &id=CAPTURE_ID  &key=AUTH_KEY  &node=NODE_NAME  &vlan=yes|no
sip:HOST[:PORT][;transport=udp|tcp|tls]     as in siptrace's duplicate_uri; sips:HOST[:PORT] is TLS
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import quote, unquote

from capture_agent.config.local import parse_port
from capture_agent.config.targets import HEP_PORT, SIP_PORT, SIPS_PORT, HepTarget, SipTarget, endpoint, scheme

HEP_TRANSPORTS = {"hep": "udp", "hep+udp": "udp", "hep+tcp": "tcp", "hep+tls": "tls"}
SIP_TRANSPORTS = ("udp", "tcp", "tls")

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")


def parse_hep_uri(text: str) -> HepTarget:
    """Raises ValueError with what is wrong and what was expected; nothing of the text is part of it."""
    return HepTarget(**hep_fields(text))


def parse_sip_uri(text: str) -> SipTarget:
    """Raises ValueError as parse_hep_uri does."""
    return SipTarget(**sip_fields(text))


def hep_fields(text: str) -> dict[str, Any]:
    """What a HEP URI says, by the names of HepTarget."""
    head, colon, rest = text.partition(":")
    if not colon or head.lower() not in HEP_TRANSPORTS:
        raise ValueError("expected hep:HOST:PORT, hep+tcp:HOST:PORT or hep+tls:HOST:PORT")
    place, question, query = rest.partition("?")
    host, port = parse_place(place, "hep")
    fields: dict[str, Any] = {"host": host, "transport": HEP_TRANSPORTS[head.lower()]}
    if port is not None:
        fields["port"] = port
    for part in query.split("&") if question else ():
        name, _, value = part.partition("=")
        if name not in HEP_PARAMETERS:
            raise ValueError("unknown parameter, expected version, id, key, node or vlan")
        field, parse = HEP_PARAMETERS[name]
        if field in fields:
            raise ValueError(f"parameter {name!r} is given twice")
        fields[field] = parse(unquote(value))
    return fields


def parse_version(text: str) -> int:
    if text not in ("1", "2", "3"):
        raise ValueError("version: expected 1, 2 or 3")
    return int(text)


def parse_capture_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= 0xFFFFFFFF):
        raise ValueError(f"id: expected 0 to {0xFFFFFFFF}")
    return int(text)


def parse_vlan(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("vlan: expected yes or no")
    return text == "yes"


HEP_PARAMETERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "version": ("version", parse_version),
    "id": ("capture_id", parse_capture_id),
    "key": ("auth_key", str),
    "node": ("node_name", str),
    "vlan": ("vlan", parse_vlan),
}


def sip_fields(text: str) -> dict[str, Any]:
    """What a SIP URI says, by the names of SipTarget."""
    head, colon, rest = text.partition(":")
    if not colon or head.lower() not in ("sip", "sips"):
        raise ValueError("expected sip:HOST:PORT, sip:HOST:PORT;transport=tcp or sips:HOST:PORT")
    place, *parameters = rest.split(";")
    host, port = parse_place(place.rpartition("@")[2], "sip")
    fields: dict[str, Any] = {"host": host}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() != "transport":
            raise ValueError("unknown parameter, expected transport")
        if value.lower() not in SIP_TRANSPORTS:
            raise ValueError("transport: expected udp, tcp or tls")
        fields["transport"] = value.lower()
    if head.lower() == "sips":
        if fields.get("transport") == "udp":
            raise ValueError("transport: udp, expected tcp or tls: sips is over TLS (RFC 3261 26.2.2)")
        fields["transport"] = "tls"
    if port is not None or fields.get("transport") == "tls":
        fields["port"] = SIPS_PORT if port is None else port
    return fields


def hep_reference(text: str) -> dict[str, Any] | None:
    """The options that a HEP URI means where a rule names a collector by it; None: the text is not a HEP URI."""
    return {"port": HEP_PORT, **hep_fields(text)} if scheme_of(text) in HEP_TRANSPORTS else None


def sip_reference(text: str) -> dict[str, Any] | None:
    return {"port": SIP_PORT, "transport": "udp", **sip_fields(text)} if scheme_of(text) in ("sip", "sips") else None


def scheme_of(text: str) -> str:
    scheme, colon, _ = text.partition(":")
    return scheme.lower() if colon else ""


def parse_place(text: str, kind: str) -> tuple[str, int | None]:
    """HOST, HOST:PORT, [IPv6] or [IPv6]:PORT."""
    if text.startswith("//"):
        raise ValueError(f"expected {kind}:HOST:PORT, without //")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("the brackets of the IPv6 address do not match")
        port = rest[1:] if rest else None
    else:
        host, colon, after = text.partition(":")
        if ":" in after:
            raise ValueError("an IPv6 address needs brackets: [ADDRESS]:PORT")
        port = after if colon else None
    check_host(host, bracketed=text.startswith("["))
    return host, None if port is None else parse_port(port)


def check_host(host: str, bracketed: bool) -> None:
    """A name, or an address: raises ValueError for anything else."""
    if not host:
        raise ValueError("the host is missing")
    try:
        if bracketed:
            IPv6Address(host)
        elif host.replace(".", "").isdigit():
            IPv4Address(host)
        elif _NAME.fullmatch(host) is None:
            raise ValueError
    except ValueError:
        kind = "IPv6 address" if bracketed else "host name or IPv4 address"
        raise ValueError(f"the host is not a valid {kind}") from None


def hep_uri(target: HepTarget) -> str:
    """The URI of a target, without its key: parse_hep_uri makes an equal one of it, but for the key."""
    query = []
    if target.version != HepTarget.__dataclass_fields__["version"].default:
        query.append(f"version={target.version}")
    if target.capture_id != HepTarget.__dataclass_fields__["capture_id"].default:
        query.append(f"id={target.capture_id}")
    if target.node_name:
        query.append(f"node={quote(target.node_name, safe='')}")
    if target.vlan:
        query.append("vlan=yes")
    text = f"{scheme('hep', target.transport)}:{endpoint(target.host, target.port or HEP_PORT)}"
    return f"{text}?{'&'.join(query)}" if query else text


def sip_uri(target: SipTarget) -> str:
    return str(target)
