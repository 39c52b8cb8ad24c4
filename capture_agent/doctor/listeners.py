"""The sockets that receive SIP duplicates and HEP, and topics of Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from capture_agent.app.capturing import open_socket, open_topic
from capture_agent.doctor import advice
from capture_agent.doctor.finding import Finding, broken, ok
from capture_agent.doctor.receivers import of_own_dates
from capture_agent.sources.source import SourceError

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case

ADDRESS = "free the address (`ss -lntup` names its program), or listen on another one"
CERTIFICATE = "correct the file: PEM that the agent's user may read, and a key that belongs to the certificate"


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
                yield broken(text, CERTIFICATE if text.startswith("tls_") else ADDRESS, name)
                continue
        else:
            yield ok("can be opened", name)
        if address.transport == "tls":
            options = case.config.listen_options(address)
            yield replace(of_own_dates(options.tls_cert, options.tls_key, serves=True), of=name)
    for one in case.config.kafka_source:
        try:
            open_topic(one, lambda: True, lambda: True).close()
        except SourceError as error:
            yield broken(str(error).removeprefix(f"{one}: "), advice.KAFKA, str(one))
        else:
            yield ok("can be read", str(one))
