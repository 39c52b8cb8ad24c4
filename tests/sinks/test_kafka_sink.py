"""Records of Kafka, with a real broker: what they hold, and what happens when the broker fails."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from confluent_kafka import Message
from faults.kafka import Broker, broker
from faults.kafka_sign_in import scram, token, token_server
from sink_samples import INVITE, RINGING, TIME_NS, Receiver, not_sip, numbered, traced

from capture_agent.config.kafka_options import KafkaTarget, parse_broker
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.kinds import RtcpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks.kafka.kafka_sink import TOGETHER, KafkaSink
from capture_agent.sinks.sink import handled
from hep import decode

pytestmark = pytest.mark.once
TOPIC = "sip"
TEMPLATE = INVITE.replace(b"call-1", b"call-%d").replace(b"CSeq: 1 ", b"CSeq: %d ")


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    with broker(folder) as one:
        one.create(TOPIC)
        toml = f'brokers = "{one.address}"\ntopic = "{TOPIC}"'
        yield Receiver(toml, "", lambda: [decode(packet.value() or b"").payload for packet in one.messages(TOPIC)])


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as one:
        one.create(TOPIC, 6)
        yield one


def target(one: Broker, **options: Any) -> KafkaTarget:
    return KafkaTarget((one.address,), TOPIC, **{"dead_after_seconds": 2.0} | options)


def sent(one: Broker, *messages: TracedMessage, **options: Any) -> list[Message]:
    sink = KafkaSink(target(one, **options))
    sink.send(messages)
    sink.close()
    assert sink.sent == len(messages)
    return one.messages(TOPIC, len(messages))


def test_a_record_is_hep_with_the_call_id_as_its_key(kafka: Broker) -> None:
    [record] = sent(kafka, traced(INVITE), capture_id=7, node_name="sbc-1")
    packet = decode(record.value() or b"")
    assert (record.key(), packet.payload, packet.capture_id, packet.agent_name) == (b"call-1", INVITE, 7, b"sbc-1")
    assert record.headers() == [("schema", b"hep3"), ("capture_id", b"7"), ("node", b"sbc-1")]


def test_another_agent_is_named_as_it_named_itself(kafka: Broker) -> None:
    origin = Origin(None, b"leg-1", b"sbc-2", 9)
    [record] = sent(kafka, not_sip(RtcpReport, b"{}", origin), capture_id=7, node_name="relay")
    packet = decode(record.value() or b"")
    assert (record.key(), packet.correlation_id, packet.agent_name) == (b"leg-1", b"leg-1", b"sbc-2")
    assert record.headers() == [("schema", b"hep3"), ("capture_id", b"9"), ("node", b"sbc-2")]


@pytest.mark.parametrize(
    ("key", "want"), [("call_id", {b"call-1", b"call-2"}), ("correlation_id", {b"leg-1", b"call-2"})]
)
def test_key(kafka: Broker, key: str, want: set[bytes]) -> None:
    report = not_sip(RtcpReport, b"{}", Origin(correlation_id=b"call-1"), trace=Trace(correlation_id=b"leg-1"))
    legs = [traced(INVITE, trace=Trace(correlation_id=b"leg-1")), report, traced(numbered(2))]
    assert {record.key() for record in sent(kafka, *legs, key=key)} == want


def test_json_has_the_documented_fields(kafka: Broker) -> None:
    one = traced(INVITE, trace=Trace(correlation_id=b"leg-1"))
    records = sent(kafka, one, traced(RINGING + b"\xff"), not_sip(RtcpReport, b"{}"), format="json", node_name="sbc-1")
    found = {value["session_id"] + value["method"]: value for value in (json.loads(r.value() or b"") for r in records)}
    assert found["call-1INVITE"] == {
        "schema": 1, "timestamp": TIME_NS // 1000, "session_id": "call-1", "caller": "alice", "callee": "bob",
        "src_ip": "192.0.2.1", "src_port": 5060, "dst_ip": "192.0.2.2", "dst_port": 5070, "method": "INVITE",
        "response_code": 0, "cseq_method": "INVITE", "protocol": "udp", "node_id": 2001, "node": "sbc-1",
        "cid": "leg-1", "type": 1, "direction": "in", "retransmission": False, "from_tag": "from-1", "to_tag": "",
        "user_agent": "", "payload": INVITE.decode(), "payload_base64": "",
    }  # fmt: skip
    assert (found["call-1"]["response_code"], found["call-1"]["payload"]) == (180, "")
    assert (found[""]["type"], found[""]["payload"]) == (5, "{}")
    document = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text()
    rows = [line.split("|")[1] for line in document.splitlines() if line.startswith("| `")]
    documented = {name.strip(" `") for row in rows for name in row.split(",")}
    assert set(found["call-1INVITE"]) - documented == set()


def steps(records: list[Message]) -> dict[bytes, list[int]]:
    """The CSeq numbers of each call, in the order in which they were stored."""
    found = defaultdict(list)
    for record in records:
        found[record.key() or b""].append(int((record.value() or b"").partition(b"CSeq: ")[2].split()[0]))
    return found


def first_seen(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def until_sent(sink: KafkaSink, part: list[TracedMessage]) -> int:
    """As the queue does: what is not handled is sent again. How often that was."""
    failures, end = 0, handled(sink) + len(part)
    while handled(sink) < end:
        try:
            sink.send(part[handled(sink) - end :])
        except SinkError:
            failures += 1
    return failures


def test_a_broker_that_is_killed_gets_what_it_has_not_acknowledged(kafka: Broker) -> None:
    """Of 200,000 messages, one batch is stored and not acknowledged; then connections break, and the broker starts anew.
    What it has had until then was read before.
    """
    sink = KafkaSink(target(kafka))
    calls, each, stored = 10_000, 20, list[Message]()
    failures = kept = 0
    for at in range(0, calls * each, TOGETHER):
        places = range(at, at + TOGETHER)
        part = [traced(TEMPLATE % (n % calls, n // calls + 1)) for n in places]
        if at in (50_000, 100_000):
            (kafka.mute if at == 50_000 else kafka.cut)()
            with pytest.raises(SinkError):
                sink.send(part)
            failures += 1
            part = part[handled(sink) - at :]
            if at == 100_000:
                stored += kafka.messages(TOPIC, handled(sink) - kept)
                kept = handled(sink)
                kafka.restart(TOPIC, 6)
            kafka.mend()
        failures += until_sent(sink, part)
    stored += kafka.messages(TOPIC, handled(sink) - kept)
    sink.close()
    assert (sink.sent, sink.rejected, sink.lost) == (calls * each, Counter(), Counter())
    assert sink.connections == failures + 1
    whole = list(range(1, each + 1))
    assert {key: first_seen(numbers) for key, numbers in steps(stored).items()} == {
        b"call-%d" % n: whole for n in range(calls)
    }
    # docs/kafka.md: what may be there twice is at most one batch for each producer that was given up.
    assert 0 < len(stored) - calls * each <= failures * TOGETHER
    assert len({record.partition() for record in stored}) == 6


def test_too_long_messages_are_rejected_and_the_others_go(kafka: Broker) -> None:
    sink = KafkaSink(target(kafka, message_bytes=4096))
    sink.send([traced(numbered(1)), traced(numbered(2, 8000)), traced(numbered(3, 70_000)), traced(numbered(4))])
    sink.close()
    assert (sink.sent, sink.rejected, sink.lost) == (2, Counter(oversize=2), Counter())
    assert sorted(record.key() or b"" for record in kafka.messages(TOPIC, 2)) == [b"call-1", b"call-4"]


def test_an_unknown_topic_is_named(kafka: Broker) -> None:
    sink = KafkaSink(KafkaTarget((kafka.address,), "nix", dead_after_seconds=2.0))
    with pytest.raises(SinkError, match=r"kafka:127\.0\.0\.1:\d+/nix: the brokers have no such topic"):
        sink.send([traced(INVITE)])
    kafka.create("nix")
    sink.send([traced(INVITE)])
    sink.close()
    assert sink.sent == 1


@pytest.mark.parametrize("sasl", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
def test_a_user_that_the_broker_refuses(tmp_path: Path, sasl: Any) -> None:
    with broker(tmp_path, "--authentication") as one:
        sink = KafkaSink(target(one, sasl=sasl, user="bob", password="s3cret"))
        with pytest.raises(SinkError, match="SASL") as refused:
            sink.open()
        sink.close()
        assert "s3cret" not in str(refused.value)


def test_plain(kafka: Broker) -> None:
    kafka.accepts = lambda mechanism, said: (mechanism, said) == ("PLAIN", b"\0bob\0s3cret")
    sink = KafkaSink(target(kafka, sasl="PLAIN", user="bob", password="s3cret"))
    sink.send([traced(INVITE)])
    sink.close()
    refused = KafkaSink(target(kafka, sasl="PLAIN", user="bob", password="wr0ng"))
    with pytest.raises(SinkError, match="SASL|authentication") as error:
        refused.open()
    refused.close()
    assert (sink.sent, refused.sent, "wr0ng" in str(error.value)) == (1, 0, False)


@pytest.mark.parametrize("sasl", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_scram(kafka: Broker, sasl: Any) -> None:
    kafka.accepts = scram("bob", "s3cret")
    sink = KafkaSink(target(kafka, sasl=sasl, user="bob", password="s3cret"))
    sink.send([traced(INVITE)])
    sink.close()
    refused = KafkaSink(target(kafka, sasl=sasl, user="bob", password="wr0ng"))
    with pytest.raises(SinkError, match="SASL|authentication") as error:
        refused.open()
    refused.close()
    assert (sink.sent, refused.sent, "wr0ng" in str(error.value)) == (1, 0, False)


def test_a_token_is_got_and_shown(kafka: Broker) -> None:
    issued, asked = token("capture"), list[tuple[str, bytes]]()
    kafka.accepts = lambda mechanism, said: mechanism == "OAUTHBEARER" and f"auth=Bearer {issued}".encode() in said
    with token_server(issued, asked) as url:
        options = {"sasl": "OAUTHBEARER", "user": "capture", "password": "s3cret", "token_scope": "kafka"}
        sink = KafkaSink(target(kafka, token_url=url, **options))
        sink.send([traced(INVITE)])
        sink.close()
    assert sink.sent == 1
    assert asked[0][0] == f"Basic {b64encode(b'capture:s3cret').decode()}"
    assert parse_qs(asked[0][1].decode()) == {"grant_type": ["client_credentials"], "scope": ["kafka"]}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("kafka1", "kafka1:9092", id="name"),
        pytest.param("192.0.2.1:9093", "192.0.2.1:9093", id="address and port"),
        pytest.param("[2001:db8::1]", "[2001:db8::1]:9092", id="IPv6"),
        pytest.param("[2001:db8::1]:1", "[2001:db8::1]:1", id="IPv6 and port"),
    ],
)
def test_brokers(text: str, want: str) -> None:
    assert parse_broker(text) == want


@pytest.mark.parametrize("text", ["", ":9092", "kafka1:0", "kafka1:x", "a b", "2001:db8::1", "a:1,b:2"])
def test_what_is_no_broker(text: str) -> None:
    with pytest.raises(ValueError, match="host|port"):
        parse_broker(text)


def test_tls(kafka: Broker, certificate: Path) -> None:
    kafka.tls = certificate
    sink = KafkaSink(target(kafka, tls=True, tls_ca=str(certificate)))
    sink.send([traced(INVITE)])
    sink.close()
    stranger = KafkaSink(target(kafka, tls=True))
    with pytest.raises(SinkError, match="certificate"):
        stranger.open()
    stranger.close()
    assert (sink.sent, stranger.sent) == (1, 0)
