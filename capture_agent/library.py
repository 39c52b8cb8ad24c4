"""Calls and messages of capture files, for programs: `from capture_agent import read`. docs/library.md describes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from capture_agent.config import Capture, Config
from capture_agent.media.rtp_json import all_figures
from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.headers import text
from capture_agent.sources.source import SourceError
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook
from capture_agent.view.call_filter import CallFilter
from capture_agent.view.ladder import Ladder, ladder_of


class CapturedCalls:
    """One capture file, read again for each question, so that it may be larger than the memory.

    damage  the error that ended the last reading early; None: it was complete
    """

    def __init__(self, path: str | Path, config: Config | None = None) -> None:
        self.path = Path(path)
        self.damage: SourceError | None = None
        self._config = config or Config(capture=Capture())
        self._book: CallBook | None = None

    def messages(self, where: str | None = None) -> Iterator[CapturedMessage]:
        """The SIP messages in the order of the file. `where`: a filter of messages.

        A message points into a buffer of the reader: keep `message.raw` rather than very many messages. Raises
        SourceError: this is no capture file; FilterError.
        """
        from capture_agent.records.message_filter import MessageFilter

        wanted = MessageFilter(where).matches if where is not None else None
        return (one for batch in self._batches() for one in batch if wanted is None or wanted(one))

    def calls(self, where: str | None = None) -> list[SipCall]:
        """The calls, registrations and other exchanges, in the order of their first messages.

        `where`: a filter of calls. Raises SourceError, FilterError.
        """
        wanted = CallFilter(where).matches if where is not None else None
        return [call for call in self._calls() if wanted is None or wanted(call)]

    def legs(self, call: SipCall) -> list[SipCall]:
        """All legs of this call, with itself."""
        return self._calls().legs_of(call)

    def ladder(self, *calls: SipCall) -> Ladder:
        """The messages and RTP streams of these calls as a ladder. Raises SourceError."""
        from capture_agent.policy.lookback import copied

        ids = {call.call_id for call in calls}
        reports: list[StreamFigures] = []
        batches = self._batches(reports)
        messages = [copied(one) for batch in batches for one in batch if one.sip.call_id in ids]
        return ladder_of(messages, reports=[one for one in reports if one.call_id in ids])

    def _calls(self) -> CallBook:
        if self._book is None:
            self._book = CallBook(self._config.legs)
            for batch in self._batches():
                self._book.add(batch)
        return self._book

    def _batches(self, reports: list[StreamFigures] | None = None) -> Iterator[list[CapturedMessage]]:
        """`reports`: gets those of RTP streams; None: nobody wants them."""
        from capture_agent.app.opened_capture import opened

        self.damage = None
        with opened(self._config, str(self.path), with_streams=reports is not None) as (source, pipeline):
            try:
                for batch in pipeline.read(source.batches()):
                    if reports is not None:
                        reports += all_figures(pipeline.take_reports())
                    yield batch
            except SourceError as error:
                if error.usage:
                    raise
                self.damage = error

    def __repr__(self) -> str:
        return f"read({text(str(self.path).encode())!r})"


def read(path: str | Path, config: Config | None = None) -> CapturedCalls:
    """A capture file: pcap, pcapng, compressed or not, or a spool. `config`: for TLS keys, ports, legs."""
    return CapturedCalls(path, config)
