"""Fills the calls of a view with what another agent traces: by its control socket, or its HTTP door."""

from __future__ import annotations

import binascii
import threading
from base64 import b64decode

from capture_agent.app.call_feed import store_for
from capture_agent.config import Config
from capture_agent.control.client import AgentLine
from capture_agent.control.commands import Fault
from capture_agent.control.place import ControlError
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

ASK_AGAIN = 0.3  # seconds
LATER = 2.0  # seconds, while it does not answer
FIELDS = (int, str, int, str, int, str, int, str)


class AgentFeed:
    """`problems`: lines for the user, one of each kind. `stop` closes the line, too."""

    is_live = True

    def __init__(self, config: Config, line: AgentLine) -> None:
        self.store = store_for(config)
        self.missed = 0
        self._line = line
        self._silence = ""
        self._next: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="agent feed", daemon=True)

    def start(self) -> None:
        """Raises ControlError, Fault: it cannot be asked at all."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is None:  # never started
            self._line.close()
        else:
            self._thread.join(5)

    @property
    def reading(self) -> bool:
        """Did the agent answer the last question?"""
        return not self._silence

    @property
    def problems(self) -> list[str]:
        missed = [f"{self.missed} messages came too fast to be shown"] if self.missed else []
        return [*missed, *([self._silence] if self._silence else [])]

    def _follow(self) -> None:
        while not self._stop.wait(LATER if self._silence else ASK_AGAIN):
            try:
                self._look()
                self._silence = ""
            except (ControlError, Fault) as error:
                self._silence = str(error)
        self._line.close()

    def _look(self) -> None:
        answer = self._line.ask("messages", [self._next])
        try:
            assert isinstance(answer, dict)
            self._next, missed = int(answer["next"]), int(answer["missed"])
            messages = [found for one in answer["messages"] if (found := as_message(one)) is not None]
        except (AssertionError, KeyError, TypeError, ValueError):
            raise ControlError(f"{self._line.name}: unexpected answer, not a capture-agent") from None
        self.missed += missed
        if messages:
            self.store.add(messages)


def as_message(sent: list[object]) -> CapturedMessage | None:
    """None if it is not SIP. Raises TypeError, ValueError: it was not sent by an agent."""
    if not (isinstance(sent, list) and len(sent) == len(FIELDS) and all(map(isinstance, sent, FIELDS))):
        raise TypeError("not a message")
    time_ns, transport, protocol, source, source_port, destination, destination_port, raw = sent
    try:
        addresses = [b64decode(str(one)) for one in (source, destination)]
        data = b"".join((*addresses, b64decode(str(raw))))
    except binascii.Error:
        raise ValueError("not base64") from None
    start = len(addresses[0]) + len(addresses[1])
    sip = scan(data, start, len(data))
    if sip is None:
        return None
    datagram = Datagram(
        data, start, len(data), 0, start // 2, int(str(source_port)), int(str(destination_port)),
        time_ns=int(str(time_ns)), protocol=int(str(protocol)), transport=str(transport),
    )  # fmt: skip
    return CapturedMessage(datagram, sip)
