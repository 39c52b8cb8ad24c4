"""The fields of a message as a JSON object."""

from __future__ import annotations

import hashlib
from typing import Any

from capture_agent.addresses import address_text
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram


def as_object(message: CapturedMessage, file: str = "") -> dict[str, Any]:
    """One message. `file` is included only if there are several files."""
    sip = message.sip
    bounded = sip.bounded
    found: dict[str, Any] = {"file": file} if file else {}
    found.update(carriage(message.datagram))
    found["method"] = as_text(sip.method)
    found["status"] = sip.status or None
    found["call_id"] = as_text(sip.call_id)
    found["cseq"] = sip.cseq if sip.cseq >= 0 else None
    found["cseq_method"] = as_text(sip.cseq_method)
    found["from_tag"] = as_text(sip.from_tag)
    found["to_tag"] = as_text(sip.to_tag)
    found["via_branch"] = as_text(sip.via_branch)
    found["content_length"] = sip.content_length if sip.content_length >= 0 else None
    found["sip_len"] = len(bounded)
    found["sha256"] = hashlib.sha256(bounded).hexdigest()
    return found


def carriage(datagram: Datagram) -> dict[str, Any]:
    """When and between whom it was sent; addresses are None if there are none."""
    return {
        "frame": datagram.frame,
        "time": time_text(datagram),
        "src": address_text(datagram.source) if datagram.address_size else None,
        "dst": address_text(datagram.destination) if datagram.address_size else None,
        "sport": datagram.source_port,
        "dport": datagram.destination_port,
        "transport": datagram.transport,
    }


def as_text(value: bytes | None) -> str | None:
    """None if absent; U+FFFD for bytes that are not UTF-8, as in tshark (sha256 still distinguishes the bytes)."""
    return None if value is None else value.decode("utf-8", "replace")


def time_text(datagram: Datagram) -> str:
    """Seconds with as many decimals as the capture has: 6, or 9 if it is finer than microseconds."""
    fine = datagram.interface is not None and datagram.interface.time_decimals > 6
    decimals, units = (9, datagram.time_ns) if fine else (6, datagram.time_ns // 1000)
    seconds, rest = divmod(abs(units), 10**decimals)
    return f"{'-' if units < 0 else ''}{seconds}.{rest:0{decimals}d}"
