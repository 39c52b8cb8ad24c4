"""Options of Kafka: those of a connection, which sinks and sources share, and those of each."""

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen

from capture_agent.config.endpoints import check_host
from capture_agent.config.field_types import Parsed, SingleOrList
from capture_agent.config.spool_options import AS_FOR_ALL, SinkSpool
from capture_agent.config.targets import DeadAfter, Target

BROKER_PORT = 9092
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # as Kafka's own org.apache.kafka.common.internals.Topic
# Nothing secret fits in: it is shown.
_TOKEN_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#@]*)?")

Sasl = Literal["none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]


def parse_broker(text: str) -> str:
    """`HOST:PORT`, with the usual port if there is none; IPv6 in brackets. Raises ValueError."""
    host, port = text, ""
    if not text.endswith("]") and ":" in text:
        host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    check_host(host[1:-1] if bracketed else host, bracketed)
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError("the port is not a number from 1 to 65535")
    return f"{host}:{port or BROKER_PORT}"


def topic_fields(uri: str) -> dict[str, Any]:
    """The options of `kafka:HOST:PORT,HOST:PORT/TOPIC?group=GROUP`; values are checked later.

    Raises ValueError.
    """
    place, _, query = uri.removeprefix("kafka:").partition("?")
    brokers, _, topic = place.partition("/")
    said: dict[str, Any] = {"brokers": brokers.split(","), "topic": topic}
    for one in query.split("&") if query else ():
        name, _, value = one.partition("=")
        if name != "group":
            raise ValueError("unknown parameter, expected group=GROUP: the options of [[kafka_source]] say more")
        said[name] = value
    return said


Broker = Annotated[str, Parsed(parse_broker, "HOST or HOST:PORT")]
Brokers = Annotated[tuple[Broker, ...], MinLen(1), SingleOrList()]


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """How the brokers are reached."""

    brokers: Brokers  # some of the cluster: the others are learnt from these
    topic: Annotated[str, MinLen(1)]
    tls: bool = False
    tls_ca: str = ""  # empty: the system's
    tls_verify: bool = True
    tls_cert: str = ""  # empty: none
    tls_key: str = ""  # empty: in tls_cert
    sasl: Sasl = "none"
    user: str = ""  # of OAUTHBEARER: the client's id
    password: str = field(default="", repr=False)  # a secret; of OAUTHBEARER: the client's
    token_url: str = ""  # OAUTHBEARER: where tokens are got
    token_scope: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError: options that do not fit together."""
        if not self.tls and (self.tls_ca or self.tls_cert or self.tls_key or not self.tls_verify):
            raise ValueError("tls: expected true, because other options of TLS are given")
        if self.tls_key and not self.tls_cert:
            raise ValueError("tls_key: it needs tls_cert, the certificate of this key")
        if (self.sasl == "none") != (not self.user and not self.password):
            raise ValueError("sasl: a mechanism, with its user and password, expected all of them or none")
        if (self.sasl == "OAUTHBEARER") != bool(self.token_url):
            raise ValueError("token_url: expected with OAUTHBEARER, and only there")
        if self.token_url and not _TOKEN_URL.fullmatch(self.token_url):
            raise ValueError("token_url: expected http(s)://HOST[:PORT]/PATH, without user information or a query")
        if self.token_scope and not self.token_url:
            raise ValueError("token_scope: it needs token_url")

    def __str__(self) -> str:
        return f"kafka:{self.brokers[0]}/{self.topic}"


@dataclass(frozen=True, slots=True)
class KafkaTarget(KafkaConnection, Target):
    """A topic of Kafka that gets a record for each message."""

    format: Literal["hep", "json"] = "hep"
    key: Literal["call_id", "correlation_id"] = "call_id"
    capture_id: Annotated[int, Interval(ge=0, le=0xFFFFFFFF)] = 2001
    node_name: str = ""
    compress: Compression = "lz4"
    message_bytes: Annotated[int, Interval(ge=1024, le=104_857_600)] = 1_000_000  # the brokers' message.max.bytes
    dead_after_seconds: DeadAfter = 10.0
    name: str = ""
    default: bool = True
    spool: SinkSpool = AS_FOR_ALL

    def identity(self) -> Hashable:
        return ("kafka", tuple(sorted(self.brokers)), self.topic)


@dataclass(frozen=True, slots=True)
class KafkaSourceSection(KafkaConnection):
    """A topic of Kafka that is read, by a group of workers."""

    group: Annotated[str, MinLen(1)] = "capture-agent"
    start: Literal["earliest", "latest"] = "earliest"  # of a group that has never committed
    session_seconds: Annotated[float, Interval(ge=6, le=300)] = 10.0


def check_topic(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """The problems of `topic`: (option, expected, reason)."""
    topic = entry.get("topic")
    if isinstance(topic, str) and (_TOPIC.fullmatch(topic) is None or topic in (".", "..")):
        yield "topic", "letters, digits and . _ -, at most 249", ""
