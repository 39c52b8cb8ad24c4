"""docs/operate/clickhouse.md: its SQL, executed by ClickHouse on the records that the agent has produced."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from faults.kafka import broker
from sink_samples import INVITE, not_sip, traced

from capture_agent.config.kafka_options import KafkaTarget
from capture_agent.records.captured import Direction
from capture_agent.records.kinds import RtcpReport
from capture_agent.sinks.kafka.kafka_sink import KafkaSink

pytestmark = pytest.mark.once
DOCUMENT = (Path(__file__).parents[1] / "docs" / "operate" / "clickhouse.md").read_text()

# In a process of its own: the engine has many threads, and memory that it does not return.
RUN = """
import json, sys
from chdb import session
statements, queries, records = json.loads(sys.stdin.read())
engine = session.Session(sys.argv[1])
for one in statements:
    engine.query(one)
for one in records:  # each as a block of its own, as consumers of several partitions bring them
    engine.query("INSERT INTO sip_topic FORMAT JSONEachRow " + one)
print(json.dumps([str(engine.query(one, "JSON")) for one in queries]), flush=True)
"""


def without_kafka(statement: str) -> str:
    """The library has ClickHouse's engine without its background threads, so it cannot read a topic by itself.

    The same table gives the view what is inserted, and the column that Kafka's engine adds.
    """
    columns, engine, rest = statement.partition("\n)\nENGINE = Kafka")
    return f"{columns},\n    _error String DEFAULT ''\n)\nENGINE = Null" if engine and rest else statement


def call(number: int, user: bytes, status: bytes, carrier: str) -> list[Any]:
    invite = INVITE.replace(b"call-1", b"call-%d" % number).replace(b"sip:alice@", b"sip:" + user + b"@")
    answer = invite.replace(b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 " + status)
    now = time.time_ns() - 60_000_000_000 + number * 1_000_000
    return [
        traced(invite, "192.0.2.1", carrier, time_ns=now, direction=Direction.OUT),
        traced(answer, carrier, "192.0.2.1", time_ns=now + 1_000_000, direction=Direction.IN),
    ]


def test_messages_come_out_of_the_queries(tmp_path: Path) -> None:
    statements = re.findall(r"```sql\n(.*?);\n```", DOCUMENT, re.S)
    assert len(statements) == 6
    calls = [
        *call(1, b"+4930123456", b"486 Busy Here", "198.51.100.1"),
        *call(2, b"alice", b"503 Service Unavailable", "198.51.100.2"),
        *call(3, b"+4930123456", b"200 OK", "203.0.113.9"),
        *call(4, b"carol\xff", b"503 Service Unavailable", "203.0.113.9"),
    ]
    with broker(tmp_path) as one:
        one.create("sip", 3)
        sink = KafkaSink(KafkaTarget((one.address,), "sip", format="json", node_name="sbc-1"))
        sink.send([*calls, not_sip(RtcpReport, b"{}"), *calls[:2]])  # the first call twice
        sink.close()
        assert sink.sent == len(calls) + 3
        records = [(record.value() or b"").decode() for record in one.messages("sip", len(calls) + 3)]
    tables = [f"EXPLAIN AST {statements[1]}", *map(without_kafka, statements[:3])]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "engine")],
        check=False, input=json.dumps([tables, statements[3:], records]), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    of_number, causes, messages = (json.loads(text)["data"] for text in json.loads(done.stdout.splitlines()[-1]))
    assert [(row["session_id"], row["from_user"], row["to_user"], row["status"]) for row in of_number] == [
        ("call-3", "+4930123456", "bob", 200),
        ("call-1", "+4930123456", "bob", 486),
    ]
    assert sorted((row["carrier"], row["response_code"], int(row["calls"])) for row in causes) == [
        ("203.0.113.9", 503, 1),
        ("carrier A", 486, 1),
        ("carrier A", 503, 1),
    ]
    assert [(row["method"], row["response_code"], row["node"]) for row in messages] == [
        ("INVITE", 0, "sbc-1"),
        ("", 486, "sbc-1"),
    ]
    assert messages[0]["payload"] == calls[0].message.raw.decode()
