"""All options: one dataclass for each section of the file. docs/configuration.md explains them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Literal

from annotated_types import Interval, MinLen

from capture_agent.config.alias_options import AliasSection
from capture_agent.config.endpoints import AUTO, Advertise, Interface, Local, Ports
from capture_agent.config.file_patterns import check_pattern
from capture_agent.config.groups import Group
from capture_agent.config.http_listen import HttpListen, check_http
from capture_agent.config.kafka_options import KafkaSourceSection, KafkaTarget, check_topic
from capture_agent.config.key_log_listen import UdpListen
from capture_agent.config.media_options import MediaSection
from capture_agent.config.metric_peers import Peers, check_peers, peers_with
from capture_agent.config.rule_options import HASH, Legs, Mask, Rule, check_masks
from capture_agent.config.spool_options import SpoolSection
from capture_agent.config.targets import (
    KIND,
    EntryPointName,
    HepTarget,
    JsonlTarget,
    PackageSink,
    PackageSource,
    PcapTarget,
    SinkKind,
    SipTarget,
    SqlTarget,
    Target,
    check_database,
    check_host_of,
    sinks,
)
from capture_agent.config.uris import (
    Listen,
    ListenAddress,
    database_reference,
    hep_fields,
    hep_reference,
    sip_fields,
    sip_reference,
)


@dataclass(frozen=True, slots=True)
class Capture:
    """Where packets come from."""

    interfaces: tuple[Interface, ...] = ()  # names, and patterns such as eth*
    wait_for_interfaces: bool = False  # start although some are not there yet
    filter: str = ""  # BPF, as tcpdump takes it
    snapshot_length: Annotated[int, Interval(ge=68, le=262144)] = 262144  # bytes of a packet: all of the longest
    promiscuous: bool = True
    buffer_mib: Annotated[int, Interval(ge=1, le=2047)] = 16  # the kernel's, for each interface
    local: tuple[Local, ...] = (AUTO,)
    ports: tuple[Ports, ...] = ()  # empty: SIP is found on any port
    drop_copies: bool = False  # of packets captured more than once
    copies_within_ms: Annotated[int, Interval(ge=1, le=400)] = 20  # T1, the least time to a retransmission, is 500
    listen: tuple[Listen, ...] = ()  # for SIP duplicates and HEP
    hep_in: bool = False  # HEP that is captured is opened, too
    x_headers: bool = False  # all traffic is siptrace duplicates; their headers hold the original addresses and time
    esp_null: bool = False  # look into ESP for packets without encryption

    def __post_init__(self) -> None:
        if secured := [str(one) for one in self.listen if one.kind == "hep" and one.transport == "tls"]:
            raise ValueError(
                f"listen: {secured[0]} needs a certificate, expected a [[listen]] section with its tls_cert"
            )

    @property
    def copies_ms(self) -> int:
        """0: copies are kept."""
        return self.copies_within_ms if self.drop_copies else 0


# Half of a queue must hold what is on its way from a listener that waits: batches of 256 KiB, at most 17 of them.
LEAST_MESSAGES, LEAST_MIB = 50_000, 64


@dataclass(frozen=True, slots=True)
class ListenSection:
    """A socket for HEP, with options."""

    uri: Listen
    auth_key: str = field(default="", repr=False)  # a secret; empty: packets with any key, or without, are taken
    when_full: Literal["wait", "drop"] = "drop"
    tls_cert: str = ""
    tls_key: str = ""  # empty: it is in tls_cert
    tls_client_ca: str = ""  # empty: clients need no certificate
    connections: Annotated[int, Interval(ge=1, le=100_000)] = 1024
    connections_per_peer: Annotated[int, Interval(ge=1, le=100_000)] = 64
    packet_seconds: Annotated[float, Interval(ge=0.1, le=3600)] = 30.0  # for a packet that has begun, and for TLS

    def __post_init__(self) -> None:
        if self.uri.kind != "hep":
            raise ValueError(f"uri: {self.uri}, expected hep:, hep+tcp: or hep+tls: (SIP duplicates: capture.listen)")
        if self.uri.transport == "udp" and self.when_full == "wait":
            raise ValueError("when_full: nothing can make a sender over UDP wait, expected hep+tcp: or hep+tls:")
        if (self.uri.transport == "tls") != bool(self.tls_cert):
            raise ValueError("tls_cert: expected with hep+tls:, and only there")

    def __str__(self) -> str:
        return str(self.uri)


@dataclass(frozen=True, slots=True)
class TlsSection:
    """Where the keys of TLS come from."""

    key_log: str = ""  # a file, as SSLKEYLOGFILE names one
    key_log_listen: UdpListen = ""  # a line of a key log in each datagram
    keys: tuple[str, ...] = ()  # files with private RSA keys of servers
    keys_password: str = field(default="", repr=False)  # a secret; of those that are encrypted
    mib: Annotated[int, Interval(ge=1, le=16_384)] = 64  # of secrets

    @property
    def decrypts(self) -> bool:
        return bool(self.key_log or self.key_log_listen or self.keys)


@dataclass(frozen=True, slots=True)
class TraceSection:
    """What to trace when there are no rules, and how rules are applied."""

    on: bool = True
    mode: Literal["message", "transaction", "dialog"] = "message"  # while there are no rules
    match: Literal["first", "all"] = "first"
    local_failure_acks: bool = True  # siptrace trace_sl_acks
    dialog_acks: bool = True  # siptrace trace_dialog_ack
    lookback_messages: Annotated[int, Interval(ge=1, le=10_000_000)] = 100_000  # held back at most
    lookback_mib: Annotated[int, Interval(ge=1, le=16_384)] = 64
    advertise: tuple[Advertise, ...] = ()

    def __post_init__(self) -> None:
        real = [str(one).partition("=")[0] for one in self.advertise]
        if twice := next((one for one in real if real.count(one) > 1), ""):
            raise ValueError(f"advertise: {twice} is given twice")


@dataclass(frozen=True, slots=True)
class Correlate:
    """How much is remembered of calls, and for how long."""

    calls: Annotated[int, Interval(ge=100, le=100_000_000)] = 1_000_000  # Call-IDs
    mib: Annotated[int, Interval(ge=1, le=1_000_000)] = 1024  # that they take with their transactions and dialogs
    idle_seconds: Annotated[int, Interval(ge=60, le=31_536_000)] = 14_400
    age_seconds: Annotated[int, Interval(ge=60, le=31_536_000)] = 86_400


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is hidden in everything that is traced."""

    mask: tuple[Mask, ...] = ()
    hash_key: str = field(default="", repr=False)  # a secret: with it, a guessed user can be checked against a hash

    def __post_init__(self) -> None:
        check_masks(self.mask)
        if HASH in self.mask and not self.hash_key:
            raise ValueError("mask: users:hash needs a hash_key or hash_key_file")


@dataclass(frozen=True, slots=True)
class HooksSection:
    """Functions that see each message before it is traced."""

    modules: tuple[Annotated[str, MinLen(1)], ...] = ()  # FILE.py or package.module, each with on_message
    use: tuple[EntryPointName, ...] = ()  # of the entry point group capture_agent.hooks
    slow_ms: Annotated[float, Interval(ge=0, le=60_000)] = 100.0  # a call that takes longer is slow; 0: not measured
    failures: Annotated[int, Interval(ge=0, le=1_000_000_000)] = 100  # after so many a hook is disabled; 0: never


@dataclass(frozen=True, slots=True)
class QueueSection:
    """The queue before each sink."""

    messages: Annotated[int, Interval(ge=1, le=100_000_000)] = 100_000
    mib: Annotated[int, Interval(ge=1, le=65_536)] = 128
    drain_seconds: Annotated[float, Interval(ge=0, le=3600)] = 5.0


@dataclass(frozen=True, slots=True)
class Control:
    """How clients reach a running agent."""

    socket: str = AUTO  # a path; empty: no socket


@dataclass(frozen=True, slots=True)
class Http:
    """The HTTP door of a running agent."""

    listen: HttpListen = ""  # empty: there is none
    token: str = field(default="", repr=False)  # a secret
    tls_cert: str = ""
    tls_key: str = ""
    messages: bool = False  # may who has the token see what is traced?

    def __post_init__(self) -> None:
        check_http(self.listen, self.token, self.messages)


@dataclass(frozen=True, slots=True)
class HealthSection:
    """When the agent is degraded, beyond what is broken. 0: never."""

    no_packets_seconds: Annotated[float, Interval(ge=0, le=86_400)] = 0.0
    no_sip_seconds: Annotated[float, Interval(ge=0, le=86_400)] = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """How `run` runs."""

    user: str = ""  # a name or a number; empty: whoever has started it


@dataclass(frozen=True, slots=True)
class Log:
    """What the agent says about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is counted beyond the books, and by which peer."""

    sip: bool = False  # messages by method and status
    calls: bool = False  # and what becomes of calls and registrations
    peers: Peers = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_peers(self.peers)

    @property
    def counts(self) -> bool:
        """Whether anything is counted."""
        return self.sip or self.calls


@dataclass(frozen=True, slots=True)
class Config:
    """The complete configuration. Config() holds the documented defaults."""

    capture: Capture = field(default_factory=Capture)
    tls: TlsSection = field(default_factory=TlsSection)
    media: MediaSection = field(default_factory=MediaSection)
    trace: TraceSection = field(default_factory=TraceSection)
    correlate: Correlate = field(default_factory=Correlate)
    rule: tuple[Rule, ...] = ()
    legs: Legs = field(default_factory=Legs)
    # The table of sink kinds: SinkKind in targets.py explains a line.
    hep: tuple[HepTarget, ...] = sinks(
        SinkKind(
            "capture_agent.sinks.hep.hep_sink:HepSink",
            size="capture_agent.sinks.hep.hep_size:HepSize",
            log_events=True,
            uri=hep_fields,
            reference=hep_reference,
            check=check_host_of,
            unusable="capture_agent.sinks.checks:certificates",
            secrets=("auth_key",),
            files=("tls_ca", "tls_cert", "tls_key"),
            command_line={"uri": "--hep"},
        )
    )
    sip: tuple[SipTarget, ...] = sinks(
        SinkKind(
            "capture_agent.sinks.sip.sip_duplicate:SipDuplicateSink",
            size="capture_agent.sinks.sip.sip_duplicate:CopySize",
            uri=sip_fields,
            reference=sip_reference,
            check=check_host_of,
            unusable="capture_agent.sinks.checks:certificates",
            files=("tls_ca", "tls_cert", "tls_key"),
            command_line={"uri": "--sip"},
        )
    )
    sql: tuple[SqlTarget, ...] = sinks(
        SinkKind(
            "capture_agent.sinks.sql.sql_sink:SqlSink",
            tables=True,
            reference=database_reference,
            check=check_database,
            unusable="capture_agent.sinks.checks:driver",
            not_ready="capture_agent.sinks.checks:database_file",
            secrets=("url",),
            files=("refused",),
            command_line={"url": "--db", "table": "--table"},
            noun="a database table",
        )
    )
    jsonl: tuple[JsonlTarget, ...] = sinks(
        SinkKind(
            "capture_agent.sinks.files.jsonl_sink:JsonlSink",
            log_events=True,
            check=check_pattern,
            unusable="capture_agent.sinks.checks:compression",
            not_ready="capture_agent.sinks.checks:writable_file",
            files=("file",),
        )
    )
    pcap: tuple[PcapTarget, ...] = sinks(
        SinkKind(
            "capture_agent.sinks.files.pcap_sink:PcapSink",
            check=check_pattern,
            unusable="capture_agent.sinks.checks:compression",
            not_ready="capture_agent.sinks.checks:writable_file",
            files=("file",),
        )
    )
    kafka: tuple[KafkaTarget, ...] = sinks(
        SinkKind(
            "capture_agent.sinks.kafka.kafka_sink:KafkaSink",
            log_events=True,
            check=check_topic,
            unusable="capture_agent.net.kafka_client:unusable",
            secrets=("password",),
            files=("tls_ca", "tls_cert", "tls_key"),
        )
    )
    sink: tuple[PackageSink, ...] = sinks(SinkKind(hidden=("options",)))
    group: tuple[Group, ...] = ()
    source: tuple[PackageSource, ...] = ()
    listen: tuple[ListenSection, ...] = ()
    kafka_source: tuple[KafkaSourceSection, ...] = ()
    hooks: HooksSection = field(default_factory=HooksSection)
    privacy: Privacy = field(default_factory=Privacy)
    queue: QueueSection = field(default_factory=QueueSection)
    spool: SpoolSection = field(default_factory=SpoolSection)
    control: Control = field(default_factory=Control)
    http: Http = field(default_factory=Http)
    health: HealthSection = field(default_factory=HealthSection)
    run: Run = field(default_factory=Run)
    metrics: Metrics = field(default_factory=Metrics)
    aliases: AliasSection = field(default_factory=AliasSection)
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        if self.kafka_source:
            self._check_worker()
        waits = next((one for one in self.listen if one.when_full == "wait"), None)
        if waits is not None and (self.queue.messages < LEAST_MESSAGES or self.queue.mib < LEAST_MIB):
            least = f"messages = {LEAST_MESSAGES} and mib = {LEAST_MIB}"
            raise ValueError(f"when_full: {waits} can wait only with a [queue] of at least {least}")
        check_peers(self.named_metrics.peers)
        if not self.spool.directory:
            one = next((target for target in self.targets() if target.spool.on and target.spool.given()), None)
            if one is not None:
                raise ValueError(f"spool: that of {one} needs a directory in [spool]")
            if given := self.spool.differing():
                raise ValueError(f"spool: {', '.join(given)} without a directory in [spool]: nothing is stored")

    @property
    def named_metrics(self) -> Metrics:
        """With the names of [aliases] among the peers."""
        if not self.aliases.names:
            return self.metrics
        return replace(self.metrics, peers=peers_with(self.metrics.peers, self.aliases.by_place()))

    def _check_worker(self) -> None:
        """Raises ValueError."""
        if len(self.kafka_source) > 1 or self.capture.interfaces or self.listeners or self.source:
            raise ValueError("kafka_source: expected to be the only source: it knows when sinks have its messages")
        if self.queue.messages < LEAST_MESSAGES or self.queue.mib < LEAST_MIB:
            raise ValueError(f"queue: kafka_source needs messages = {LEAST_MESSAGES} and mib = {LEAST_MIB} at least")

    @property
    def captures(self) -> bool:
        """Whether it names anything to capture from: an interface, a socket or a source."""
        return bool(self.capture.interfaces or self.listeners or self.source or self.kafka_source)

    @property
    def listeners(self) -> tuple[ListenAddress, ...]:
        """The addresses of all sockets that receive SIP duplicates or HEP."""
        return (*self.capture.listen, *(one.uri for one in self.listen))

    def listen_options(self, address: ListenAddress) -> ListenSection:
        """Those of its section, or the usual ones."""
        mine = [one for one in self.listen if one.uri == address]
        return mine[0] if mine else ListenSection(address)

    def targets(self) -> list[Target]:
        """The targets of all sinks, kind by kind in the order of the table."""
        return [target for section in KINDS for target in getattr(self, section)]


KINDS: Mapping[str, SinkKind] = {one.name: one.metadata[KIND] for one in fields(Config) if KIND in one.metadata}
