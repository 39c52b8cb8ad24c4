"""Every encapsulation, alone and nested, with each way to carry SIP in it: exactly the messages that were put in.

There are 1,600,000 of them; each run takes some, evenly.
"""

from __future__ import annotations

from itertools import islice

import pytest
from encapsulations import Case, build, names

from capture_agent.config import Capture
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import Frames

MILLISECOND = 1_000_000


def found(case: Case) -> tuple[Pipeline, list[CapturedMessage]]:
    pipeline = Pipeline(Capture(esp_null=case.needs_esp))
    frames = Frames.of(case.frames, case.link_type, [n * MILLISECOND for n in range(len(case.frames))])
    return pipeline, [message for messages in pipeline.read([frames]) for message in messages]


@pytest.mark.parametrize(("depth", "every"), [(0, 1), (1, 29), (2, 1499)], ids=["alone", "in a tunnel", "in two"])
def test_every_carriage(depth: int, every: int) -> None:
    count = 0
    for name in islice(names(depth), 0, None, every):
        case = build(name)
        pipeline, messages = found(case)
        count += 1
        assert sorted(message.raw for message in messages) == sorted(case.messages), name
        for message in messages:
            datagram = message.datagram
            ends = (datagram.source_text, datagram.destination_text, datagram.source_port, datagram.destination_port)
            assert ends == (case.source, case.destination, case.source_port, case.destination_port), name
        pipeline.policy.decide(messages)
        assert [ledger for ledger in pipeline.ledgers() if ledger.difference] == [], name
    assert count > 500
