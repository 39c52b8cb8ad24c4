"""Kinds of sinks as the rest of the agent sees them, and a frozen dataclass of options for each kind.

The table of kinds is part of Config in sections.py.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Interval, MinLen

from capture_agent.addresses import endpoint_text
from capture_agent.config.endpoints import Source, check_host, same_place
from capture_agent.config.secrets import mask
from capture_agent.config.spool_options import AS_FOR_ALL, SinkSpool
from capture_agent.config.uris import (
    HEP_PORT,
    SIP_PORT,
    SipTransport,
    expected_url,
    is_table_name,
    same_database,
    scheme,
    sip_place,
)

HepTransport = Literal["udp", "tcp", "tls"]
HepVersion = Literal[1, 2, 3]
Port = Annotated[int, Interval(ge=1, le=65535)]
Host = Annotated[str, MinLen(1)]
EntryPointName = Annotated[str, MinLen(1)]
DeadAfter = Annotated[float, Interval(ge=2, le=3600)]
DEAD_AFTER_SECONDS = 10.0
TLS_OPTIONS = ("tls_ca", "tls_cert", "tls_key", "tls_server_name", "tls_verify")
KeepAliveSeconds = Annotated[float, Interval(ge=0, le=86_400)]
MOST_DATAGRAM = 65_507  # bytes that an IPv4 datagram holds
DatagramBytes = Annotated[int, Interval(ge=548, le=MOST_DATAGRAM)]  # 576 (RFC 1122, 3.3.2) without headers
Duplicates = Literal["prefer", "avoid"]
LONGEST_TEXT = 1024  # bytes of a key or a name: every packet carries both
ROLE = ("name", "default", "spool")  # how a target is used, not where it sends
KIND = "sink kind"  # of a field's metadata
MOST_SINKS = 64  # of all kinds: bits of records.Trace

# The wrong option, what was expected, and the reason, if any.
Wrong = tuple[str, str, object]


@dataclass(frozen=True, slots=True)
class SinkKind:
    """`sink`, `size`, `unusable` and `not_ready` are "module:name", imported when they are needed: sinks load big
    libraries.

    sink          makes a Sink of a target; empty: a package provides it, loaded with the other user code
    size          of a target: a function that says whether a message's packet is longer than a number of bytes
    tables        the sink gets the tables that rules name for it as its second argument
    log_events    it accepts log lines, which are not SIP
    uri           parses the option `uri` into the other options; None: the kind has no such option
    reference     the options in a URI in `sinks` of a rule; None: a URI of another kind. Raises ValueError
    check         problems of an entry of the file that types cannot express, found before validation
    unusable      of a target: (option, problem) for whatever cannot work as configured
    not_ready     the same for files that cannot be used now, by this user
    secrets       options that nothing may show; <name>_file names a file to read them from
    hidden        options whose values no message quotes, because they may hold secrets
    files         options that name files
    command_line  by option, the option of the command line; errors about missing sinks suggest the first
    noun          the word for a target in messages that do not show its address
    """

    sink: str = ""
    size: str = ""
    tables: bool = False
    log_events: bool = False
    uri: Callable[[str], dict[str, Any]] | None = None
    reference: Callable[[str], dict[str, Any] | None] = lambda text: None
    check: Callable[[Mapping[str, Any]], Iterator[Wrong]] = lambda entry: iter(())
    unusable: str = ""
    not_ready: str = ""
    secrets: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    command_line: Mapping[str, str] = field(default_factory=dict)
    noun: str = ""


def sinks(kind: SinkKind) -> Any:
    """A line of the table: the field of Config that holds the targets of one kind, none by default."""
    return field(default=(), metadata={KIND: kind})


class Target:
    """One configured sink. A kind of sink is a frozen dataclass of this class and a line of the table in sections.py.

    Its fields are the options of the section; the last are `name: str = ""`, which rules name it by,
    `default: bool = True`: whether it gets messages for which no rule names sinks, and `spool: SinkSpool = AS_FOR_ALL`:
    what of [spool] differs for it. `str()` shows it, without secrets.
    `identity()` is equal for two that send the same to the same place.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def name(self) -> str: ...

        @property
        def default(self) -> bool: ...

        @property
        def spool(self) -> SinkSpool: ...

    def identity(self) -> Hashable | None:
        """Equal for two targets that send the same to the same place. None: unknown."""
        names = (field.name for field in fields(self))  # type: ignore[arg-type]  # each kind is a dataclass
        return tuple(repr(getattr(self, name)) for name in names if name not in ROLE)


def check_connection(target: "HepTarget | SipTarget") -> None:
    """Raises ValueError: options of its connection that do not fit together, or have no effect."""
    of_tls = (target.tls_ca, target.tls_cert, target.tls_key, target.tls_server_name, not target.tls_verify)
    if target.transport != "tls" and any(of_tls):
        name = next(name for name, given in zip(TLS_OPTIONS, of_tls, strict=True) if given)
        raise ValueError(f"{name}: over tls only, not {target.transport}")
    if target.tls_key and not target.tls_cert:
        raise ValueError("tls_key: it needs tls_cert, the certificate of this key")
    if target.oversize and target.transport != "udp":
        raise ValueError(f"oversize: over udp only; {target.transport} takes messages of any length")
    if target.transport == "udp" and target.duplicates_on_reconnect != "avoid":
        raise ValueError("duplicates_on_reconnect: over tcp and tls only; nothing is acknowledged over udp")
    if target.transport == "udp" and target.dead_after_seconds != DEAD_AFTER_SECONDS:
        raise ValueError("dead_after_seconds: over tcp and tls only; nothing is acknowledged over udp")
    if target.datagram_bytes < MOST_DATAGRAM and not target.oversize:
        raise ValueError("datagram_bytes: it needs oversize, the sink for longer messages")


@dataclass(frozen=True, slots=True)
class HepTarget(Target):
    """A HEP collector (Homer, heplify-server, Kamailio's sipcapture)."""

    host: Host  # a name or an address; an IPv6 address without brackets
    port: Port = HEP_PORT
    transport: HepTransport = "udp"
    version: HepVersion = 3
    capture_id: Annotated[int, Interval(ge=0, le=0xFFFFFFFF)] = 2001  # siptrace hep_capture_id's range
    auth_key: str = field(default="", repr=False)  # HEP3 only; a secret: never logged
    node_name: str = ""  # HEP3 chunk 0x0013; empty: not sent
    vlan: bool = False  # chunk 0x0012 with the VLAN id, if there is one; siptrace, inside a server, cannot know it
    compress: bool = False  # the payload, as chunk 0x0010 in place of 0x000f; HEP3 only
    tls_ca: str = ""  # file of certificates to trust; empty: the system's
    tls_verify: bool = True
    tls_cert: str = ""  # file with our certificate; empty: none
    tls_key: str = ""  # its key; empty: in the same file
    tls_server_name: str = ""  # of the receiver's certificate; empty: the host
    source: Source = ""  # address or interface to send from; empty: the system chooses
    dead_after_seconds: DeadAfter = DEAD_AFTER_SECONDS  # without an acknowledgement; not over udp
    keep_alive_seconds: KeepAliveSeconds = 0.0  # of silence before a packet that is not a message; 0: never
    duplicates_on_reconnect: Duplicates = "avoid"  # or what may not have been read is sent again
    oversize: str = ""  # the sink that gets what a datagram cannot hold; empty: it is rejected
    datagram_bytes: DatagramBytes = MOST_DATAGRAM  # what is longer goes to `oversize`
    name: str = ""  # used by rules
    default: bool = True  # gets messages for which no rule names sinks
    spool: SinkSpool = AS_FOR_ALL

    def __post_init__(self) -> None:
        check_connection(self)
        if self.compress and self.version < 3:
            raise ValueError(f"compress: HEP {self.version} has no compressed payload, expected version 3")
        if self.keep_alive_seconds and self.transport == "udp":
            raise ValueError("keep_alive_seconds: over tcp and tls only")
        if self.version < 3 and self.transport != "udp":
            # Without a length field the receiver cannot find where a packet ends.
            raise ValueError(f"HEP {self.version} has no length field: over udp only, not {self.transport}")
        for name, text in (("auth_key", self.auth_key), ("node_name", self.node_name)):
            if (size := len(text.encode(errors="surrogatepass"))) > LONGEST_TEXT:
                raise ValueError(f"{name}: {size} bytes, expected at most {LONGEST_TEXT}")

    def __str__(self) -> str:
        return f"{scheme('hep', self.transport)}:{endpoint_text(self.host, self.port)}"

    def identity(self) -> Hashable:
        place = same_place(self.host, self.port, self.transport)
        return (place, self.version, self.capture_id, self.auth_key, self.node_name)


@dataclass(frozen=True, slots=True)
class SipTarget(Target):
    """A SIP server that gets a duplicate of every traced message."""

    host: Host
    port: Port = SIP_PORT
    transport: SipTransport = "udp"
    x_headers: bool = False  # siptrace's xheaders_write; else the copy is the message byte for byte
    tls_ca: str = ""
    tls_verify: bool = True
    tls_cert: str = ""
    tls_key: str = ""
    tls_server_name: str = ""
    source: Source = ""
    dead_after_seconds: DeadAfter = DEAD_AFTER_SECONDS
    duplicates_on_reconnect: Duplicates = "avoid"
    oversize: str = ""
    datagram_bytes: DatagramBytes = MOST_DATAGRAM
    name: str = ""
    default: bool = True
    spool: SinkSpool = AS_FOR_ALL

    def __post_init__(self) -> None:
        check_connection(self)

    def __str__(self) -> str:
        return sip_place(self.host, self.port, self.transport)

    def identity(self) -> Hashable:
        return (same_place(self.host, self.port, self.transport), self.x_headers)


# siptrace's trace_db_mode: each batch before the next one is captured (0); by number and time (1); what waits (2).
SqlCommit = Literal["each", "collected", "waiting"]
CommitMessages = Annotated[int, Interval(ge=1, le=50_000)]
CommitSeconds = Annotated[float, Interval(ge=0.01, le=60.0)]


@dataclass(frozen=True, slots=True)
class SqlTarget(Target):
    """A table with the layout of Kamailio's sip_trace."""

    url: str = field(repr=False)  # of SQLAlchemy; may hold a password
    table: str = "sip_trace"
    time: Literal["local", "utc"] = "local"  # of PostgreSQL, MariaDB and MySQL; SQLite has UTC, as siptrace writes it
    create: bool = False  # a missing table, when it connects for the first time
    refused: str = ""  # a file for messages whose rows the database refuses
    commit: SqlCommit = "waiting"
    commit_messages: CommitMessages = 10_000  # of commit = "collected"
    commit_seconds: CommitSeconds = 1.0  # of commit = "collected"
    name: str = ""
    default: bool = True
    spool: SinkSpool = AS_FOR_ALL

    def __str__(self) -> str:
        return f"{mask(self.url)} ({self.table})"

    def identity(self) -> Hashable | None:
        database = same_database(self.url)
        return None if database is None else (database, self.table)


FileCompression = Literal["none", "gzip", "zstd"]
RotateMib = Annotated[int, Interval(ge=0, le=1_048_576)]
RotateSeconds = Annotated[int, Interval(ge=0, le=31_536_000)]
KeepMib = Annotated[int, Interval(ge=0, le=1_073_741_824)]
KeepHours = Annotated[int, Interval(ge=0, le=876_000)]


@dataclass(frozen=True, slots=True)
class FileTarget(Target):
    """What all kinds of files have in common: their names, and when they are rotated and deleted."""

    file: Annotated[str, MinLen(1)]  # with {date}, {time}, {call_id}
    compress: FileCompression = "none"
    rotate_mib: RotateMib = 100  # 0: never
    rotate_seconds: RotateSeconds = 0  # 0: never
    keep_mib: KeepMib = 0  # 0: everything
    keep_hours: KeepHours = 0  # 0: for ever


@dataclass(frozen=True, slots=True)
class JsonlTarget(FileTarget):
    """A file with one JSON object per message. `file` may be "-": standard output."""

    message: bool = True  # the message itself, too
    name: str = ""
    default: bool = True
    spool: SinkSpool = AS_FOR_ALL

    def __str__(self) -> str:
        return f"jsonl:{self.file}"

    def identity(self) -> Hashable:
        return ("jsonl", self.file)


@dataclass(frozen=True, slots=True)
class PcapTarget(FileTarget):
    """A capture file with what was traced."""

    format: Literal["pcapng", "pcap"] = "pcapng"  # both with nanoseconds
    name: str = ""
    default: bool = True
    spool: SinkSpool = AS_FOR_ALL

    def __str__(self) -> str:
        return f"pcap:{self.file}"

    def identity(self) -> Hashable:
        return ("pcap", self.file)


@dataclass(frozen=True, slots=True)
class PackageSink(Target):
    """A sink of the entry point group `capture_agent.sinks`."""

    use: EntryPointName
    options: dict[str, Any] = field(default_factory=dict, repr=False)  # as the package defines them: maybe secrets
    name: str = ""
    default: bool = True
    spool: SinkSpool = AS_FOR_ALL

    def __str__(self) -> str:
        return self.name or self.use

    def identity(self) -> Hashable:
        return same_package(self.use, self.options)


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A source of the entry point group `capture_agent.sources`."""

    use: EntryPointName
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.use

    def identity(self) -> Hashable:
        return same_package(self.use, self.options)


def same_package(use: str, options: dict[str, Any]) -> Hashable:
    return (use, repr(sorted(options.items())))


def check_host_of(entry: Mapping[str, Any]) -> Iterator[Wrong]:
    for name in ("host", "tls_server_name"):
        host = entry.get(name)
        if isinstance(host, str) and host:
            try:
                check_host(host, bracketed=":" in host)
            except ValueError as error:
                yield name, "a host name or an IP address", error


def check_database(entry: Mapping[str, Any]) -> Iterator[Wrong]:
    url, table = entry.get("url"), entry.get("table")
    if url == "":
        yield "url", "the URL of a database", ""
    elif isinstance(url, str) and (expected := expected_url(url)):
        yield "url", expected, ""
    if isinstance(table, str) and not is_table_name(table):
        yield "table", "letters, digits and underscores, at most 32", ""
