"""Packets for the tests: our golden ones, recorded ones if available, and builders."""

import json
import struct
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hep import HLOG_ORDER, SIP_ORDER, Chunk, Order, Packet

GOLDEN_FILE = Path(__file__).parent / "golden.json"
REFERENCE_FILE = Path(__file__).resolve().parents[2].parent / "shared/siptrace/vectors/hep_golden.json"
ORDERS = {"sip": SIP_ORDER, "hlog": HLOG_ORDER}


class Golden(NamedTuple):
    name: str
    version: int
    order: Order
    data: bytes
    packet: Packet
    encodes: bool  # False: we would write it differently


def golden() -> list[Golden]:
    return [_golden(entry) for entry in json.loads(GOLDEN_FILE.read_text())]


def reference() -> list[Golden]:
    """Recorded packets of Kamailio's siptrace; skips if the recordings are not next to the project."""
    if not REFERENCE_FILE.exists():
        pytest.skip(f"no siptrace recordings at {REFERENCE_FILE}")
    return [_recorded(entry) for entry in json.loads(REFERENCE_FILE.read_text())]


def _golden(entry: dict[str, Any]) -> Golden:
    fields = {name: _value(value) for name, value in entry["fields"].items()}
    if "extra" in fields:
        fields["extra"] = tuple(Chunk(*map(_value, chunk)) for chunk in fields["extra"])
    data, order = bytes.fromhex(entry["hex"]), ORDERS[entry["order"]]
    encodes = entry["direction"] == "both"
    return Golden(entry["name"], entry["version"], order, data, Packet(**fields), encodes)


def _value(value: Any) -> Any:
    return bytes.fromhex(value[4:]) if isinstance(value, str) and value.startswith("hex:") else value


def _recorded(entry: dict[str, Any]) -> Golden:
    data = bytes.fromhex(entry["hex"])
    packet = Packet(
        source=ip_address(entry["src"]).packed,
        destination=ip_address(entry["dst"]).packed,
        source_port=entry["sport"],
        destination_port=entry["dport"],
        protocol=entry["proto"],
        family=entry["family"],
        seconds=entry.get("sec"),
        microseconds=entry.get("usec"),
        protocol_type=entry.get("ptype"),
        capture_id=entry.get("capture_id"),
        # The recording's own text form is not always there, and never exact for binary bodies.
        payload=_tail(entry, data),
        correlation_id=_encoded(entry.get("correlation_id")),
        auth_key=_encoded(entry.get("auth_key")),
    )
    order = HLOG_ORDER if entry.get("chunk_order", [])[4:6] == [8, 7] else SIP_ORDER
    return Golden(entry["name"], entry["version"], order, data, packet, True)


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _tail(entry: dict[str, Any], data: bytes) -> bytes:
    if "chunk_lengths" in entry:
        return data[len(data) - entry["chunk_lengths"][-1] + 6 :]
    return data[{1: 0, 2: 12}[entry["version"]] + entry["hp_l"] :]


def chunk(kind: int, data: bytes = b"", vendor: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">HHH", vendor, kind, 6 + len(data) if length is None else length) + data


def hep3(*chunks: bytes, magic: bytes = b"HEP3", length: int | None = None) -> bytes:
    body = b"".join(chunks)
    return magic + struct.pack(">H", 6 + len(body) if length is None else length) + body


def changed(packet: Packet, field: str, value: object) -> Packet:
    """A copy with one field different, be it of a wrong type."""
    copy = replace(packet)
    setattr(copy, field, value)
    return copy


def sip_packet(payload: bytes = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", v6: bool = False) -> Packet:
    """A packet with all that every version needs."""
    source, destination = ("2001:db8::1", "2001:db8::2") if v6 else ("192.0.2.1", "192.0.2.2")
    return Packet(
        source=ip_address(source).packed,
        destination=ip_address(destination).packed,
        source_port=5060,
        destination_port=5080,
        protocol=17,
        family=10 if v6 else 2,
        seconds=1_700_000_000,
        microseconds=42,
        protocol_type=1,
        capture_id=2001,
        payload=payload,
    )
