"""The sockets that receive SIP duplicates and HEP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from capture_agent.app.capturing import open_socket
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
