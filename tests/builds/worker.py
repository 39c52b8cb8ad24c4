"""One build: frames in, all results out, over a pipe. test_builds.py runs two of them and compares."""

import hashlib
import pickle
import sys
from typing import Any

from capture_agent.build import flavour
from capture_agent.config.endpoints import LocalAddress, parse_local
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.records.frames import Frames
from hep.batch import Encoder

DATAGRAM = [
    "start", "end", "address_at", "address_size", "source_port", "destination_port", "time_ns", "frame", "protocol",
    "transport", "vlan", "missing", "frame_at", "frame_end", "frame_cut", "frames",
    "sequence", "flags", "payload", "source", "destination",
]  # fmt: skip
SIP = [
    "start", "end", "headers_start", "body_start", "body_end", "is_request", "status", "cseq", "content_length",
    "problems", "raw", "bounded", "body", "start_line", "method", "uri", "cseq_method", "call_id", "from_value",
    "to_value", "via_value", "from_tag", "to_tag", "via_branch", "headers",
]  # fmt: skip
TRANSACTION = ["method", "cseq", "from_tag", "state", "branches", "spiral"]
DIALOG = ["call_id", "caller_tag", "callee_tags", "method", "state", "joined"]
TEXTS = ["192.0.2.0/24", "127.0.0.1", "[::1]:5060"]
LOCAL = [address for address in map(parse_local, TEXTS) if isinstance(address, LocalAddress)]


def main() -> None:
    pickle.dump(flavour(), sys.stdout.buffer)
    sys.stdout.buffer.flush()
    while job := pickle.load(sys.stdin.buffer):
        kind, argument = job
        pickle.dump(JOBS[kind](argument), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def frames(job: tuple[list[bytes], int]) -> Any:
    """Messages, counts and HEP packets of a batch of frames of one link type."""
    raw, link_type = job
    pipeline = Pipeline(policy=Policy(LOCAL))
    encoders = [Encoder(version, 7, b"key", b"node") for version in (1, 2, 3)]
    found = []
    for traced in pipeline.process(Frames.of(raw, link_type, [n * 1_234_567_891 for n in range(len(raw))])):
        datagram, sip = traced.message.datagram, traced.message.sip
        for encoder in encoders:
            encoder.add(
                datagram.data, datagram.address_at, datagram.address_size, datagram.source_port,
                datagram.destination_port, datagram.protocol, datagram.time_ns, sip.start, sip.end, sip.call_id or b"",
            )  # fmt: skip
        found.append((str(traced.direction), values(datagram, DATAGRAM), values(sip, SIP)))
    ledgers = [str(ledger) for ledger in pipeline.ledgers()]
    return found, ledgers, pipeline.problems(), [digest(encoder.buffer) for encoder in encoders]


def values(record: Any, names: list[str]) -> list[tuple[str, Any]]:
    return [(name, getattr(record, name)) for name in names]


def scans(payloads: list[bytes]) -> Any:
    """The scan's result for each payload, also at odd offsets in a buffer."""
    from capture_agent.sip.scan import scan
    from capture_agent.sip.stranger import stranger

    found = []
    for payload in payloads:
        sip = scan(b"xyz" + payload + b"\r\n\r\n", 3, 3 + len(payload))
        found.append(stranger(payload, 0, len(payload)) if sip is None else values(sip, SIP))
    return found


def calls(job: tuple[list[bytes], int]) -> Any:
    """The transactions and dialogs of these frames' messages, by number, and all states at the end."""
    from capture_agent.correlate.correlator import Correlator

    raw, step_ns = job
    correlator = Correlator(calls=20)
    pipeline = Pipeline(correlator=correlator)
    times = [1_700_000_000_000_000_000 + n * step_ns for n in range(len(raw))]
    messages = [traced.message for traced in pipeline.process(Frames.of(raw, 1, times))]
    return correlation(messages), [str(ledger) for ledger in correlator.ledgers()]


def talks(job: tuple[list[tuple[bytes, int, int, int]], int, int]) -> Any:
    """The same for given messages, in batches of `step`: bytes, two hosts, and seconds."""
    from capture_agent.correlate.correlator import Correlator
    from capture_agent.records.captured import CapturedMessage
    from capture_agent.records.datagram import Datagram
    from capture_agent.sip.scan import scan

    given, calls, step = job
    messages = []
    for data, source, destination, seconds in given:
        buffer = bytes((192, 0, 2, source, 192, 0, 2, destination)) + data
        sip = scan(buffer, 8, len(buffer))
        time_ns = 1_700_000_000_000_000_000 + seconds * 10**9
        if sip is not None:
            messages.append(CapturedMessage(Datagram(buffer, 8, len(buffer), 0, 4, 5060, 5060, time_ns), sip))
    correlator = Correlator(calls=calls)
    told = []
    for start in range(0, len(messages), step):
        correlator.observe(messages[start : start + step])
        told.append([str(ledger) for ledger in correlator.ledgers()])
    return correlation(messages), told


def correlation(messages: list[Any]) -> Any:
    """The transaction and dialog of each, by number, and their states at the end."""
    numbers: dict[int, int] = {}
    found = []
    for message in messages:
        parts = message.transaction, message.dialog
        ids = [None if part is None else numbers.setdefault(id(part), len(numbers)) for part in parts]
        states = [values(part, names) for part, names in zip(parts, (TRANSACTION, DIALOG), strict=True) if part]
        found.append((ids, states, message.retransmission))
    return found


def digest(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


JOBS = {"frames": frames, "scans": scans, "calls": calls, "talks": talks}

if __name__ == "__main__":
    main()
