"""The sockets that receive SIP duplicates and HEP, and topics of Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from capture_agent.app.capturing import open_socket, open_topic
from capture_agent.doctor.finding import Finding, broken, ok
from capture_agent.sources.source import SourceError

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case


def can_listen(case: Case) -> Iterator[Finding]:
    """Opens and closes each one; a running agent has them open."""
    for address in case.config.listeners:
        name = str(address)
        try:
            open_socket(case.config, address).close()
        except SourceError as error:
            text = str(error).removeprefix(f"{name}: ")
            if case.agent is not None and "in use" in text:
                yield ok("in use, by the running agent", name)
            else:
                yield broken(text, "free the address (`ss -lntup` names its program), or listen on another one", name)
        else:
            yield ok("can be opened", name)
    for one in case.config.kafka_source:
        try:
            open_topic(one, lambda: True, lambda: True).close()
        except SourceError as error:
            what = "start a broker that it names, create the topic, or check user and password"
            yield broken(str(error).removeprefix(f"{one}: "), what, str(one))
        else:
            yield ok("can be read", str(one))
