"""The options of librdkafka for a connection, and what its errors say. Imports confluent-kafka when it is needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from capture_agent.config.kafka_options import KafkaConnection
from capture_agent.config.secrets import MASK
from capture_agent.net.sink_errors import SinkError
from capture_agent.os_errors import in_words
from capture_agent.sip.headers import printable

CLIENT_ID = "capture-agent"  # in the brokers' logs
LONGEST_ERROR = 300
LOOK_SECONDS = 0.25
MISSING = "needs: pip install 'capture-agent[kafka]'"


def connection_options(options: KafkaConnection, on_error: Callable[[Any], None]) -> dict[str, Any]:
    """For a producer or a consumer. Nothing is written to standard error: errors go to `on_error`."""
    found: dict[str, Any] = {
        "bootstrap.servers": ",".join(options.brokers),
        "client.id": CLIENT_ID,
        "security.protocol": ("SASL_" if options.sasl != "none" else "") + ("SSL" if options.tls else "PLAINTEXT"),
        "error_cb": on_error,
        "log_level": 0,
        "socket.keepalive.enable": True,
        "topic.metadata.refresh.interval.ms": 60_000,
        "reconnect.backoff.max.ms": 2000,
    }
    if options.tls:
        found |= tls_options(options)
    if options.sasl == "OAUTHBEARER":
        found |= {
            "sasl.mechanism": options.sasl,
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": options.token_url,
            "sasl.oauthbearer.client.id": options.user,
            "sasl.oauthbearer.client.secret": options.password,
        }
        if options.token_scope:
            found["sasl.oauthbearer.scope"] = options.token_scope
    elif options.sasl != "none":
        found |= {"sasl.mechanism": options.sasl, "sasl.username": options.user, "sasl.password": options.password}
    return found


def tls_options(options: KafkaConnection) -> dict[str, Any]:
    found: dict[str, Any] = {"enable.ssl.certificate.verification": options.tls_verify}
    if options.tls_ca:
        found["ssl.ca.location"] = options.tls_ca
    if options.tls_cert:
        found |= {"ssl.certificate.location": options.tls_cert, "ssl.key.location": options.tls_key or options.tls_cert}
    return found


def unusable(options: KafkaConnection) -> Iterator[tuple[str, str]]:
    """(option, problem) for what can never work: the library is missing, or a file cannot be read."""
    if find_spec("confluent_kafka") is None:
        yield "brokers", f"Kafka {MISSING}"
    for option in ("tls_ca", "tls_cert", "tls_key"):
        if file := getattr(options, option):
            try:
                Path(file).read_bytes()
            except OSError as error:
                yield option, f"{file}: {in_words(error)}"


class Trouble:
    """What librdkafka has reported last. `ends`: trying again with the same options cannot help."""

    def __init__(self, options: KafkaConnection) -> None:
        self.text = ""
        self.ends = False
        self.down = False
        self._hidden = options.password

    def note(self, error: Any) -> None:
        """The callback for errors: an argument of KafkaError."""
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.down = True
            self.text = self.text or "no broker answers"
            return
        self.ends = self.ends or error.fatal() or error.code() == KafkaError._AUTHENTICATION
        self.text = self.said(error)

    def said(self, error: Any) -> str:
        """One line, without secrets and without characters that control a terminal."""
        found = printable(error.str())[:LONGEST_ERROR]
        return found.replace(self._hidden, MASK) if self._hidden else found


def find_topic(client: Any, options: KafkaConnection, trouble: Trouble, name: str, seconds: float) -> None:
    """Waits until a broker has answered, and knows the topic. Raises SinkError."""
    from confluent_kafka import KafkaException

    deadline = time.monotonic() + seconds
    while True:
        try:
            # Of all topics: asked for one by name, brokers may create it, with one partition.
            topic = client.list_topics(timeout=LOOK_SECONDS).topics.get(options.topic)
        except KafkaException:
            client.poll(0)
            if trouble.ends or trouble.down or time.monotonic() > deadline:
                raise SinkError(f"{name}: {trouble.text or 'no broker answers as it should'}") from None
            continue
        if topic is None:
            raise SinkError(f"{name}: the brokers have no such topic, or do not show it to this user")
        if topic.error is not None:
            raise SinkError(f"{name}: {trouble.said(topic.error)}")
        return
