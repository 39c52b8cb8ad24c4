"""The complete data path between a source and the sinks' outboxes: each stage takes a list and returns a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from capture_agent.books import HeldTable, Ledger, joined, with_former
from capture_agent.config import Capture, Correlate, Metrics
from capture_agent.config.endpoints import LocalAddress
from capture_agent.config.media_options import MediaSection
from capture_agent.correlate.correlator import Correlator
from capture_agent.emission.emission import Emission
from capture_agent.intake.copies import CopyFilter
from capture_agent.intake.own_traffic import OwnTraffic
from capture_agent.intake.payloads import Intake
from capture_agent.intake.ports import PortFilter
from capture_agent.intake.restore import Restorer
from capture_agent.packet.decoder import PacketDecoder
from capture_agent.packet.outer_headers import identification, way
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import HEP_LINK_TYPE, Frames, Interface
from capture_agent.records.kinds import Captured, RtpReport
from capture_agent.records.traced import TracedMessage
from capture_agent.streams.layers import layers_with_hep
from capture_agent.streams.streams import Streams

if TYPE_CHECKING:
    from capture_agent.counting.sides import Sides
    from capture_agent.counting.snapshot import CountedSamples
    from capture_agent.counting.stage import Counting
    from capture_agent.intake.unwrapping import Unwrapping
    from capture_agent.intake.wanted import WantedMessages
    from capture_agent.media.media_stage import Media
    from capture_agent.records.message_filter import MessageFilter
    from capture_agent.streams.tls.key_store import KeyStore
    from capture_agent.streams.tls.private_keys import PrivateKey

SECRETS_IN_FILES = 64 << 20  # bytes of memory


class Pipeline:
    """Packets in, messages to trace out. Holds all state of one source; nothing here does I/O or reads the clock."""

    def __init__(
        self,
        capture: Capture | None = None,
        policy: Policy | None = None,
        correlator: Correlator | None = None,
        emission: Emission | None = None,
        correlate: Correlate | None = None,
        own: OwnTraffic | None = None,
        metrics: Metrics | None = None,
        keys: KeyStore | None = None,
        unwrapping: Unwrapping | None = None,
        media: MediaSection | None = None,
    ) -> None:
        """`metrics`: None counts nothing beyond the books. `keys`: to decrypt TLS with. `unwrapping`: opens HEP.

        `media`: None takes RTCP and RTP for what they are, no SIP.
        """
        capture = capture or Capture()
        self.packets = PacketDecoder(capture.esp_null)
        self.own = own
        self.ports = PortFilter(capture.ports) if capture.ports else None
        self.unwrapping = unwrapping
        if capture.hep_in and unwrapping is None:
            self._begin_unwrapping()
        self.keys = keys
        self.streams = Streams(make_layers=layers_with_hep) if capture.hep_in else Streams()
        if keys is not None:
            self._decrypt(keys)
        self._quality = media is not None and media.vq_rtcpxr
        self.intake = Intake()
        self.copies = CopyFilter(capture.copies_ms * 10**6, identification, way) if capture.copies_ms else None
        self.restorer = Restorer() if capture.x_headers else None
        self.wanted: WantedMessages | None = None
        self.policy = policy or Policy()
        self.packets.keeps_frames = self.policy.settings.keeps_frames
        self._metrics = metrics or Metrics()
        correlate = correlate or Correlate()
        self.media: Media | None = None
        self._media_sides: Sides | None = None
        if media is not None and media.on_any_port:
            self._look_for_media(media, correlate.idle_seconds)
        self.correlator = correlator or (Correlator.configured(correlate) if self._follows_calls else None)
        self.counting: Counting | None = None
        if self._metrics.counts:
            from capture_agent.counting.stage import Counting

            local = self.policy.side.local
            self.counting = Counting(self._metrics.peers, local, self._metrics.calls, correlate.idle_seconds)
        self.emission = emission
        self._looked_at: Sequence[Interface] = ()
        self._looked_through = 0
        self._former: list[Ledger] = []  # of user code that is not in use any more
        self._reports: list[RtpReport] = []  # of what is read

    def _decrypt(self, keys: KeyStore) -> None:
        """TLS connections that begin from now on."""
        from capture_agent.streams.tls.tls_layer import decrypting  # cryptography

        self.streams.attend(*decrypting(keys))

    def _look_for_media(self, options: MediaSection, idle_seconds: int) -> None:
        from capture_agent.counting.sides import Sides
        from capture_agent.media.media_stage import Media

        self._media_sides = Sides(self._local_hosts(), self._metrics.peers)
        is_copy = self.copies.is_copy if self.copies is not None else None
        self.media = Media(options, idle_seconds, self._media_sides, is_copy)

    def _local_hosts(self) -> list[LocalAddress]:
        """On any port: media has others than SIP."""
        return [LocalAddress(one.network) for one in self.policy.side.local]

    def take_secrets(self, key_log: bytes) -> None:
        """Those that a capture file has with its packets."""
        from capture_agent.streams.tls.key_store import KeyStore

        if self.keys is None:
            self.keys = KeyStore(SECRETS_IN_FILES)
            self._decrypt(self.keys)
        self.keys.add_all(key_log)

    def use_private_keys(self, keys: tuple[PrivateKey, ...]) -> None:
        """Of servers, instead of the former ones; for handshakes from now on."""
        if self.keys is not None:
            self.keys.private_keys = keys

    @property
    def _follows_calls(self) -> bool:
        return self.policy.settings.follows_calls or self._metrics.calls

    def change(
        self, policy: Policy, emission: Emission | None, correlate: Correlate, metrics: Metrics | None = None
    ) -> None:
        """Other rules, hooks, masks and names of peers from the next batch on; all that is known of calls stays.

        Whether messages and calls are counted does not change.
        """
        self._former = with_former(self._former, list(self.policy.ledgers_of_user_code()))
        policy.take_over(self.policy)
        self.policy, self.emission = policy, emission
        self.packets.keeps_frames = policy.settings.keeps_frames
        if self.correlator is None and self._follows_calls:
            self.correlator = Correlator.configured(correlate)
        if self.counting is not None:
            self.counting.change_local(policy.side.local)
            if metrics is not None:
                self.counting.change_peers(metrics.peers)
        if self._media_sides is not None:
            self._media_sides.change_local(self._local_hosts())
            if metrics is not None:
                self._media_sides.change_peers(metrics.peers)

    def know_local(self, local: Iterable[LocalAddress]) -> None:
        """The addresses on the server's side, from now on."""
        self.policy.know_local(local)
        if self.counting is not None:
            self.counting.change_local(self.policy.side.local)
        if self._media_sides is not None:
            self._media_sides.change_local(self._local_hosts())

    def process(self, frames: Frames) -> list[TracedMessage]:
        """The traced messages in these frames. The next methods are the flow, in the order of the stages."""
        return self.trace(self.messages(frames))

    def _look_for_hep(self, interfaces: Sequence[Interface]) -> None:
        """A capture file may have very many: each list is looked through once, and again when it has grown."""
        self._looked_at, self._looked_through = interfaces, len(interfaces)
        if any(one.link_type == HEP_LINK_TYPE for one in interfaces):
            self._begin_unwrapping()

    def _begin_unwrapping(self) -> None:
        from capture_agent.intake.unwrapping import Unwrapping

        self.unwrapping = Unwrapping()

    def messages(self, frames: Frames) -> list[CapturedMessage]:
        """All SIP in these frames."""
        interfaces = frames.interfaces
        if self.unwrapping is None and (interfaces is not self._looked_at or len(interfaces) != self._looked_through):
            self._look_for_hep(interfaces)
        packets = self.packets.decode(frames)
        if self.own is not None:
            packets = self.own.others(packets)
        if self.media is not None:
            packets = self.media.without_media(packets)
        if self.ports is not None:
            packets = self.ports.chosen(packets)
        return self._accepted(self.streams.messages(packets))

    def _accepted(self, datagrams: list[Datagram]) -> list[CapturedMessage]:
        if self.unwrapping is not None:
            datagrams = self.unwrapping.unwrapped(datagrams)
        messages = self.intake.accept(datagrams)
        if self.copies is not None:
            messages = self.copies.kept(messages)
        if self.restorer is not None:
            messages = self.restorer.restore(messages)
        return messages if self.wanted is None else self.wanted.chosen(messages)

    def want(self, wanted: MessageFilter) -> None:
        """Only messages that this filter matches, from now on."""
        from capture_agent.intake.wanted import WantedMessages

        self.wanted = WantedMessages(wanted)

    def trace(self, messages: list[CapturedMessage]) -> list[TracedMessage]:
        """The traced ones, as they are to be emitted."""
        if self.policy.settings.asks_others:
            traced = self._one_by_one(messages)
        else:
            traced = self.policy.decide(self.correlated(messages))
        if self.correlator is not None:
            self.correlator.note_growth(self.policy.take_grown())
        if self.media is not None:
            traced = self.media.with_reports(traced, self.policy)
        if self.unwrapping is not None and (others := self.unwrapping.take_others()):
            traced += self.policy.pass_on(others)
        return self._emitted(traced)

    def _emitted(self, traced: list[TracedMessage]) -> list[TracedMessage]:
        if self.emission is not None:
            traced = self.emission(traced)
        return self._with_quality_reports(traced) if self._quality else traced

    def _with_quality_reports(self, traced: list[TracedMessage]) -> list[TracedMessage]:
        from capture_agent.media.quality_reports import with_quality_reports

        return list(with_quality_reports(traced, self.policy.leg_id))

    def correlated(self, messages: list[CapturedMessage]) -> list[CapturedMessage]:
        """The same messages, now with transaction and dialog, and counted."""
        if self.correlator is not None:
            self.correlator.observe(messages)
        if self.counting is not None:
            self.counting.observe(messages)
        return messages

    def _one_by_one(self, messages: list[CapturedMessage]) -> list[TracedMessage]:
        """One by one: user code sees a transaction's state at each message, not at the end of the batch."""
        correlated, decide = self.correlated, self.policy.decide
        traced: list[TracedMessage] = []
        for message in messages:
            traced += decide(correlated([message]))
        return traced

    def begin(self) -> None:
        """Another capture begins, perhaps the same one again: none of it is a copy of earlier packets."""
        if self.copies is not None:
            self.copies.forget()

    def close(self) -> list[TracedMessage]:
        """The capture has ended. Returns messages that were still waiting for missing packets."""
        traced = self.trace(self.last_messages())
        if self.media is not None:
            traced += self._emitted(self.media.close(self.policy))
        self.policy.close()
        if self.counting is not None:
            self.counting.close()
        return traced

    def restart(self) -> list[TracedMessage]:
        """The same capture begins again, unrelated to the last pass. Returns messages that were still waiting."""
        traced = self.close()
        self.packets.fragments.forget()
        self.streams.sctp.forget()
        if self.media is not None:
            self.media.forget()
        if self.correlator is not None:
            self.correlator.close()
        return traced

    def last_messages(self) -> list[CapturedMessage]:
        return self._accepted(self.streams.close())

    def read(self, capture: Iterable[Frames]) -> Iterator[list[CapturedMessage]]:
        """All SIP of a capture, up to its end or its damage, whose exception is raised.

        With `media`, reports of streams wait for `take_reports`.
        """
        try:
            for frames in capture:
                yield self._with_their_reports(self.messages(frames))
        except Exception:
            yield self._with_their_reports(self.last_messages(), end=True)
            raise
        yield self._with_their_reports(self.last_messages(), end=True)

    def _with_their_reports(self, messages: list[CapturedMessage], end: bool = False) -> list[CapturedMessage]:
        others: list[Captured] = self.unwrapping.take_others() if self.unwrapping is not None else []
        if self.media is not None:
            traced = self.media.with_reports(self.policy.decide(messages), self.policy)
            traced += self.media.close(self.policy) if end else []
            reports = [one.message for one in traced] + others
            self._reports += [one for one in reports if isinstance(one, RtpReport)]
        return messages

    def take_reports(self) -> list[RtpReport]:
        """Of the streams of what was read."""
        reports, self._reports = self._reports, []
        return reports

    def ledgers(self) -> list[Ledger]:
        """The ledgers so far, stage by stage."""
        stages = (
            self.packets, self.own, self.media, self.ports, self.streams, self.unwrapping, self.intake, self.copies,
            self.restorer, self.wanted,
            self.correlator, self.counting, self.policy,
        )  # fmt: skip
        present = joined(ledger for stage in stages if stage is not None for ledger in stage.ledgers())
        return with_former(present, self._former)

    def tables(self) -> Iterator[HeldTable]:
        """What is held now, and what had to make room for others."""
        parts, sctp = dict(self.packets.fragments.accounts()), self.streams.sctp
        counts = self.streams.counts
        yield HeldTable("fragments", parts["waiting"], parts["evicted"])
        yield HeldTable("streams", len(self.streams), counts.evicted)
        yield HeldTable("segments", counts.waiting)
        yield HeldTable("associations", sctp.associations, sctp.associations_evicted)
        yield HeldTable("chunks", sctp.fragments.waiting + sctp.held, sctp.fragments.evicted)
        yield HeldTable("lookback", self.policy.waiting, self.policy.crowded_out)
        yield HeldTable("legs", self.policy.legs_remembered, self.policy.legs_forgotten)
        if self.media is not None:
            yield from self.media.held_tables()
        if self.correlator is not None:
            for name in ("calls", "transactions", "dialogs"):
                tally = getattr(self.correlator.table, name)
                yield HeldTable(name, tally.held, tally.evicted)
        if self.counting is not None:
            yield from self.counting.held_tables()

    def counted(self) -> Mapping[str, CountedSamples]:
        """What is counted beyond the books, by metric and labels."""
        found = dict(self.counting.snapshot()) if self.counting is not None else {}
        if self.media is not None and self.media.rtp is not None:
            found |= self.media.rtp.counts.snapshot()
        return found

    def notes(self) -> list[str]:
        """Lines with details that a counter's name cannot give."""
        return self.packets.notes()

    def problems(self) -> Counter[str]:
        """Problems of malformed messages that were traced, by name of Problem."""
        return self.intake.malformed()
