"""Pseudo-variables and keywords of a script, and their names in rules and templates."""

from __future__ import annotations

import re
from dataclasses import dataclass

# By the option of a rule that holds the same text; templates have the same names.
TEXTS = {
    "ru": "request_uri", "rU": "request_user", "rd": "request_host", "fu": "from_uri", "fU": "from_user",
    "fd": "from_host", "tu": "to_uri", "tU": "to_user", "td": "to_host", "ai": "pai_uri",
}  # fmt: skip
HEADERS = {"ua": "User-Agent", "ct": "Contact", "cT": "Content-Type", "ci": "Call-ID"}
TRANSFORMED = {
    ("ru", "uri.host"): "rd", ("ru", "uri.user"): "rU", ("fu", "uri.host"): "fd", ("fu", "uri.user"): "fU",
    ("tu", "uri.host"): "td", ("tu", "uri.user"): "tU",
}  # fmt: skip
# Keywords of the core, whose == ignores letters' case.
KEYWORDS = {
    "uri": "ru", "from_uri": "fu", "to_uri": "tu", "method": "rm", "status": "rs", "src_ip": "si", "dst_ip": "Ri",
    "src_port": "sp", "dst_port": "Rp", "proto": "proto", "to_ip": "sndto(ip)", "to_port": "sndto(port)",
    "snd_ip": "sndfrom(ip)", "snd_port": "sndfrom(port)", "snd_proto": "sndto(proto)", "af": "af",
}  # fmt: skip
SOURCE, DESTINATION = "source", "destination"
RECEIVED = {
    "si": SOURCE, "Ri": DESTINATION, "sp": "source_port", "Rp": "destination_port", "proto": "transport",
    "pr": "transport", "rP": "transport", "af": "family",
}  # fmt: skip
# Where the message that is looked at is not the one that was received.
SENT = {
    "sndto(ip)": DESTINATION, "sndto(port)": "destination_port", "sndto(proto)": "transport", "sndfrom(ip)": SOURCE,
    "sndfrom(port)": "source_port", "sndfrom(proto)": "transport",
}  # fmt: skip
TRACED = {
    f"siptrace({side}_{what})": option
    for side, place in (("src", SOURCE), ("dst", DESTINATION))
    for what, option in {
        "hostip": place, "host": place, "port": f"{place}_port", "proto": "transport",
    }.items()
} | {"siptrace(direction)": "direction"}  # fmt: skip
REQUEST, REPLY, SENDING, EVENT = "request", "reply", "onsend", "event"  # what a route looks at
PACKET = {REQUEST: RECEIVED, REPLY: RECEIVED, SENDING: SENT, EVENT: TRACED}
# As templates call them where no rule asks for them.
PARTS = {"rm": "method", "cs": "cseq", "ft": "from_tag", "tt": "to_tag"}
CALL_ID = "call_id"
ANY_OTHER = re.compile(r"\s+")

_HEADER = re.compile(r"hdr\(([A-Za-z0-9.!%*_+`'~-]+)\)")
_PARENTHESES = re.compile(r"\((.*)\)", re.DOTALL)
_AVP = re.compile(r"avp\((?:[sS]:)?([^()$]+)\)")
_INDEX = re.compile(r"\[(\*|-?\d+)\]")


@dataclass(frozen=True, slots=True)
class Variable:
    """`$(name{transformation})[index]` apart."""

    name: str
    index: str = ""
    transformation: str = ""


def variable(text: str) -> Variable:
    """Of `$fU`, `$(avp(s:x)[0])`, `$(ru{uri.host})`; an AVP has one name, however it is written."""
    body = text.removeprefix("$")
    if (inner := _PARENTHESES.fullmatch(body)) is not None:
        body = inner[1].strip()
    body, brace, transformation = body.partition("{")
    transformation = transformation.removesuffix("}") if brace else ""
    index = ""
    if (found := _INDEX.search(body)) is not None and found.end() == len(body):
        index, body = found[1], body[: found.start()]
    body = ANY_OTHER.sub("", body)
    if (avp := _AVP.fullmatch(body)) is not None:
        body = f"avp({avp[1]})"
    return Variable(body, index, transformation)


def is_stored(name: str) -> bool:
    """Does it hold what the script has put into it?"""
    return name.startswith(("avp(", "var(")) or name in ("ru", "rU", "rd", "du")


def plain(given: Variable) -> str:
    """Its name where it is the whole value, also of a transformation that is a value of its own; or nothing."""
    if given.transformation:
        return TRANSFORMED.get((given.name, given.transformation), "") if not given.index else ""
    return given.name if given.index in ("", "0") else ""


def header_of(name: str) -> str:
    """The header that a variable is the value of; or nothing."""
    if (found := _HEADER.fullmatch(name)) is not None:
        return found[1]
    return HEADERS.get(name, "")


def field_of(name: str, packet: str = REQUEST) -> str:
    """What a template calls it: `from_user`, `header:X-Y`; or nothing."""
    if name == "ci":
        return CALL_ID
    if found := TEXTS.get(name) or PARTS.get(name):
        return found
    if name == "rP":
        return ""
    if (option := PACKET[packet].get(name)) and option not in ("family", "direction"):
        return option
    header = header_of(name)
    return f"header:{header}" if header else ""
