"""Messages with addresses, transactions and dialogs, and policies from TOML."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from capture_agent.config import Config, load
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.traced import TracedMessage
from capture_agent.sip.scan import scan

CLIENT, SERVER = "198.51.100.7 5062", "192.0.2.1 5060"
SECOND = 1_000_000_000


def sip(first: str, cseq: str = "", to_tag: str = "", call_id: str = "c1", **headers: str) -> bytes:
    """A message; `x_account="a"` is a header X-Account: a."""
    method = cseq or f"1 {first.split(maxsplit=1)[0]}"
    lines = [
        first if " " in first else f"{first} sip:bob@example.com SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK1",
        f"From: {headers.pop('from_', '<sip:alice@example.com>')};tag=a",
        f"To: {headers.pop('to', '<sip:bob@example.com>')}" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {method}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def captured(
    raw: bytes,
    source: str = CLIENT,
    destination: str = SERVER,
    time: float = 0.0,
    **datagram: object,
) -> CapturedMessage:
    """From `ADDRESS PORT` to `ADDRESS PORT`; more bytes follow the message, as in a batch."""
    (source, source_port), (destination, destination_port) = source.split(), destination.split()
    addresses = ip_address(source).packed + ip_address(destination).packed
    start = len(addresses) + 5
    data = b"other" + addresses + raw + bytes(50)
    found = scan(data, start, start + len(raw))
    assert found is not None
    carried = Datagram(
        data, start, start + len(raw), 5, len(addresses) // 2, int(source_port), int(destination_port),
        time_ns=round(time * SECOND), **datagram,  # type: ignore[arg-type]
    )  # fmt: skip
    return CapturedMessage(carried, found)


@dataclass
class Calls:
    """Replaces correlate: one dialog per Call-ID, one transaction per Call-ID and CSeq number.

    An ACK for a 2xx - one whose CSeq is given as `ACK` - is a separate transaction.
    """

    dialogs: dict[str, Dialog] = field(default_factory=dict)
    transactions: dict[tuple[str, str], Transaction] = field(default_factory=dict)

    def observe(self, message: CapturedMessage, own: bool = False) -> CapturedMessage:
        call_id = (message.sip.call_id or b"").decode()
        method = (message.sip.method or message.sip.cseq_method or b"").decode()
        kind = "INVITE" if method in ("CANCEL", "ACK") and not own else method
        if kind in ("INVITE", "SUBSCRIBE"):
            self.dialogs.setdefault(call_id, Dialog(call_id.encode(), b"a", kind.encode()))
        message.dialog = dialog = self.dialogs.get(call_id)
        if dialog is not None and kind == "INVITE" and 200 <= message.sip.status < 300 and not dialog.confirming_cseq:
            dialog.confirming_cseq = message.sip.cseq
        key = (call_id, f"{message.sip.cseq} {kind}")
        message.transaction = self.transactions.setdefault(
            key, Transaction(kind.encode(), message.sip.cseq, b"a", message.dialog)
        )
        return message


SINKS = """
[[hep]]
uri = "hep:10.0.0.1:9060"
name = "homer"
[[hep]]
uri = "hep:10.0.0.2:9060"
name = "carrier"
default = false
[[sql]]
url = "sqlite:///trace.db"
name = "table"
default = false
"""
HOMER, CARRIER, TABLE = 1, 2, 4


def loaded(toml: str) -> Config:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(toml)
        file.flush()
        return load(Path(file.name))


def settings(toml: str) -> Settings:
    return Settings.of(loaded(toml + SINKS))


def policy(toml: str) -> Policy:
    return Policy(settings=settings(toml))


def shown(traced: list[TracedMessage]) -> list[str]:
    """`INVITE 1`: the first word or status, and the sinks."""
    return [
        f"{(one.message.sip.method or str(one.message.sip.status).encode()).decode()} {one.sinks}" for one in traced
    ]
