"""A playbook of SIP: lines like `0.5 P>A 200 of=INVITE t=b via=A`, and the correlator's result for each."""

from __future__ import annotations

from capture_agent.correlate.correlator import Correlator
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.sip.scan import scan

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
HOSTS = {"A": 20, "P": 10, "Q": 11, "B": 30, "C": 31, "D": 32}  # 192.0.2.x
FORMS = ("INVITE", "SUBSCRIBE", "REFER", "REGISTER", "OPTIONS", "MESSAGE", "PUBLISH", "CANCEL")


def captured(data: bytes, source: int = 20, destination: int = 10, seconds: float = 0.0) -> CapturedMessage:
    buffer = bytes((192, 0, 2, source, 192, 0, 2, destination)) + data
    sip = scan(buffer, 8, len(buffer))
    assert sip is not None
    return CapturedMessage(Datagram(buffer, 8, len(buffer), 0, 4, 5060, 5060, START + round(seconds * SECOND)), sip)


def message(line: str) -> CapturedMessage:
    """`SECONDS FROM>TO METHOD-or-STATUS`, then what differs from the defaults.

    cseq=1, of=INVITE (the method in CSeq), f=a and t= (tags; `f=` is none), via=A,P (who has sent it on, the last
    first; the default is the sender of the request), branch= (in place of one for hop, CSeq and method), call=1,
    uri=sip:b, h=Name:value (headers with | between them, _ for a space).
    """
    seconds, way, what, *rest = line.split()
    fields = dict(part.split("=", 1) for part in rest)
    source, destination = way.split(">")
    request = not what.isdigit()
    cseq, of = fields.get("cseq", "1"), fields.get("of", what if request else "INVITE")
    of_branch = "INVITE" if of in ("CANCEL", "ACK") and not fields.get("t") else of
    if of == "ACK" and "failed" in fields:
        of_branch = "INVITE"
    hops = fields.get("via", source if request else destination).split(",")
    tag = {name: f";tag={fields[name]}" if fields.get(name) else "" for name in ("f", "t")}
    if "f" not in fields:
        tag["f"] = ";tag=a"
    vias = [
        f"Via: SIP/2.0/UDP 192.0.2.{HOSTS[hop]};branch={fields.get('branch', f'z9hG4bK-{hop}-{cseq}-{of_branch}')}"
        for hop in hops
    ]
    uri = fields.get("uri", "sip:b")
    lines = [
        f"{what} {uri} SIP/2.0" if request else f"SIP/2.0 {what} Said",
        *vias,
        f'From: "A" <sip:a@example.com>{tag["f"]}',
        f"To: <sip:b@example.com>{tag['t']}",
        f"Call-ID: {fields.get('call', '1')}@example.com",
        f"CSeq: {cseq} {of}",
        *(fields["h"].replace("_", " ").split("|") if "h" in fields else []),
        "Content-Length: 0",
    ]
    data = ("\r\n".join(lines) + "\r\n\r\n").encode()
    return captured(data, HOSTS[source], HOSTS[destination], float(seconds))


class Names:
    """T1, T2, D1, ... in the order in which they first appear."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._kept: list[Transaction | Dialog] = []  # so that no id comes again
        self._counts = {"T": 0, "D": 0}

    def of(self, thing: Transaction | Dialog | None) -> str:
        if thing is None:
            return "-"
        if id(thing) not in self._names:
            letter = "T" if isinstance(thing, Transaction) else "D"
            self._counts[letter] += 1
            self._names[id(thing)] = f"{letter}{self._counts[letter]}"
            self._kept.append(thing)
        return self._names[id(thing)]

    def told(self, one: CapturedMessage) -> str:
        again = " again" if one.retransmission else ""
        return f"{self.of(one.transaction)} {self.of(one.dialog)}{again}"


def play(lines: list[str], correlator: Correlator | None = None) -> list[CapturedMessage]:
    """One batch per message, as with little traffic."""
    correlator = correlator or Correlator()
    messages = [message(line) for line in lines]
    for one in messages:
        correlator.observe([one])
    assert correlator.seen == correlator.correlated + correlator.no_call_id + correlator.no_cseq
    return messages


def told(lines: list[str], correlator: Correlator | None = None) -> list[str]:
    names = Names()
    return [names.told(one) for one in play(lines, correlator)]
