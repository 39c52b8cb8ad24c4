"""Every kind of message through every kind of sink: it comes out, or is rejected with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sink_samples import FOREIGN, TIME_NS, ListSink, UdpReceiver, not_sip, numbered, traced
from test_sink_kinds import receiver_of

from capture_agent.config import load
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.endpoints import parse_advertised
from capture_agent.config.sections import KINDS, Config, Privacy, TraceSection
from capture_agent.config.targets import HepTarget
from capture_agent.delivery.direct import Direct
from capture_agent.emission.emission import emission
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import ALL_KINDS, SIP_ONLY, ForeignPayload, Kinds, LogEvent, RtcpReport, RtpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks import imported, make_sinks
from capture_agent.sinks.packaged_sink import PackagedSink
from capture_agent.sinks.sink import Sink, handled, kinds_of
from hep import decode

TEXT = b"neither SIP nor JSON"
# By kind: a kind that is added needs a sample.
SAMPLES: dict[type, TracedMessage] = {
    CapturedMessage: traced(numbered(2)),
    RtcpReport: not_sip(RtcpReport, TEXT),
    RtpReport: not_sip(RtpReport, TEXT),
    LogEvent: not_sip(LogEvent, TEXT),
    ForeignPayload: not_sip(ForeignPayload, TEXT),
}
Out = Callable[[], list[bytes]]


class ListSinkOfAll(ListSink):
    kinds = ALL_KINDS


def made(kind: str, target: object) -> Sink:
    """By the table of kinds."""
    sink: Sink = imported(KINDS[kind].sink)(target)
    return sink


@contextmanager
def of_the_table(section: str, folder: Path) -> Iterator[tuple[Sink, Out]]:
    """A sink of this kind, which sends to the receiver of its test module."""
    with receiver_of(section, folder / section) as receiver:
        (folder / "agent.toml").write_text(f"[[{section}]]\n{receiver.toml}\n")
        [sink] = make_sinks(ConfiguredSinks(load(folder / "agent.toml"))).values()
        yield sink, receiver.received


@contextmanager
def of_a_package(inner: ListSink) -> Iterator[tuple[Sink, Out]]:
    yield PackagedSink(inner), lambda: [one.message.raw for one in inner.messages]


def made_by(name: str, folder: Path) -> AbstractContextManager[tuple[Sink, Out]]:
    inner = PACKAGES.get(name)
    return of_the_table(name, folder) if inner is None else of_a_package(inner())


PACKAGES = {"package": ListSink, "package of all": ListSinkOfAll}


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", [*(name for name, kind in KINDS.items() if kind.sink), *PACKAGES])
def test_it_comes_out_or_is_rejected(tmp_path: Path, name: str, kind: type[CapturedMessage]) -> None:
    """As the sink itself declares: its `kinds`, or only SIP."""
    assert kind in SAMPLES, f"tests/sinks/test_kinds.py: add a sample of {kind.__name__} to SAMPLES"
    with made_by(name, tmp_path) as (sink, out):
        sample, direct, takes = SAMPLES[kind], Direct(sink), kinds_of(sink)
        direct.put([traced(numbered(1)), sample, sample, traced(numbered(3))])
        direct.close()
        taken = [sample.message.raw] * 2 if kind in takes else []
        assert out() == [numbered(1), *taken, numbered(3)], (
            f"{name}: a sink rejects kinds of messages that are not in its `kinds` as not_sip, and sends all others"
        )
        ledger = direct.ledger()
        assert (ledger.outcomes["sent"], +ledger.rejected) == (2 + len(taken), {} if taken else {"not_sip": 2})
        assert (ledger.difference, handled(sink)) == (0, 4)


@pytest.mark.parametrize(
    ("name", "takes"),
    [("hep", ALL_KINDS), ("sip", SIP_ONLY), ("sql", SIP_ONLY), ("package", SIP_ONLY), ("package of all", ALL_KINDS)],
)
def test_what_it_accepts(tmp_path: Path, name: str, takes: Kinds) -> None:
    with made_by(name, tmp_path) as (sink, _):
        assert kinds_of(sink) == takes
        sink.close()


class Failing(ListSink):
    """Accepts one batch, then is down."""

    def send(self, batch: object) -> None:
        if self.batches:
            raise OSError
        super().send(batch)  # type: ignore[arg-type]


def test_a_package_s_sink_that_fails_has_done_what_came_before() -> None:
    """`handled` counts from the first of the batch on: rejected messages must not be counted before their turn."""
    sink = PackagedSink(Failing())
    direct = Direct(sink)
    log = SAMPLES[LogEvent]
    direct.put([traced(numbered(1)), log, traced(numbered(2)), log])
    direct.close()
    assert (sink.sent, sink.rejected, direct.ledger().lost) == (1, {"not_sip": 1}, {"internal_error": 2})


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "number"), [(RtcpReport, 5), (RtpReport, 34), (LogEvent, 100), (ForeignPayload, FOREIGN)]
)
@pytest.mark.parametrize(
    ("addresses", "protocol"), [(("192.0.2.1", "192.0.2.2"), 17), (("2001:db8::1", "2001:db8::2"), 132)]
)
def test_what_another_agent_says_is_kept(
    udp: UdpReceiver,
    kind: type[RtcpReport],
    number: int,
    addresses: tuple[str, str],
    protocol: int,
    version: int,
) -> None:
    target = HepTarget("127.0.0.1", udp.port, version=version, capture_id=7, auth_key="k", node_name="core", vlan=True)  # type: ignore[arg-type]
    origin = Origin(correlation_id=b"c-1", node=b"edge", capture_id=4_294_967_295)
    payload = bytes(range(256))
    sink = made("hep", target)
    sink.send([not_sip(kind, payload, origin, addresses, protocol=protocol, vlan=12)])
    sink.close()
    packet = decode(udp.received()[0])
    assert (packet.protocol_type, packet.payload, packet.protocol, packet.vlan) == (number, payload, protocol, 12)
    assert (str(packet.source_address), str(packet.destination_address)) == addresses
    assert (packet.source_port, packet.destination_port) == (4001, 4003)
    assert (packet.seconds, packet.microseconds) == divmod(TIME_NS // 1000, 1_000_000)
    assert (packet.correlation_id, packet.agent_name, packet.capture_id) == (b"c-1", b"edge", 4_294_967_295)
    assert packet.auth_key == b"k"  # of this hop


@pytest.mark.parametrize(
    ("origin", "trace", "want"),
    [
        pytest.param(None, Trace(), (b"", b"core", 7), id="our own"),
        pytest.param(None, Trace(correlation_id=b"t"), (b"t", b"core", 7), id="the trace's"),
        pytest.param(Origin(), Trace(), (None, b"core", 7), id="of an agent that says nothing"),
        pytest.param(Origin(capture_id=0), Trace(), (None, b"core", 0), id="capture id 0"),
        pytest.param(
            Origin(correlation_id=b"o", node=b"edge"), Trace(correlation_id=b"t"), (b"t", b"edge", 7), id="both"
        ),
    ],
)
def test_whose_names_it_gets(udp: UdpReceiver, origin: Origin | None, trace: Trace, want: tuple[object, ...]) -> None:
    sink = made("hep", HepTarget("127.0.0.1", udp.port, capture_id=7, node_name="core"))
    sink.send([not_sip(ForeignPayload, b"x", origin, trace=trace)])
    sink.close()
    packet = decode(udp.received()[0])
    assert (packet.correlation_id, packet.agent_name, packet.capture_id) == want


def test_unspecified_addresses_are_addresses(udp: UdpReceiver) -> None:
    sink = made("hep", HepTarget("127.0.0.1", udp.port))
    sink.send([not_sip(ForeignPayload, b"x", addresses=("0.0.0.0", "0.0.0.0"))])
    sink.close()
    packet = decode(udp.received()[0])
    assert (packet.source, packet.destination, packet.source_port) == (bytes(4), bytes(4), 4001)


@pytest.mark.parametrize("kind", [-1, 256, 1, 5, 34, 100])
def test_no_kind_of_a_foreign_payload(kind: int) -> None:
    with pytest.raises(ValueError, match=f"kind {int(kind)}, expected 0 to 255 except 1, 5, 34, 100"):
        ForeignPayload(kind, Datagram(b"", 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("capture_id", [-1, 1 << 32])
def test_no_capture_id(capture_id: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 4294967295"):
        Origin(capture_id=capture_id)


def test_shown_addresses_are_for_sip_and_reports_of_media() -> None:
    change = emission(
        Config(
            trace=TraceSection(advertise=(parse_advertised("192.0.2.1=203.0.113.5"),)),
            privacy=Privacy(mask=("users:truncate",)),
        )
    )
    assert change is not None
    batch = [SAMPLES[kind] for kind in ALL_KINDS]
    after = change(batch)
    unchanged = [one is before for one, before in zip(after, batch, strict=True)]
    assert unchanged == [kind in (LogEvent, ForeignPayload) for kind in ALL_KINDS]
