"""The calls in the list: which of the store's, and in which order. Kept up with the store in small steps."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from typing import Any

from capture_agent.records.message_filter import MessageFilter
from capture_agent.view.aliases import Aliases, host_text
from capture_agent.view.call import SipCall
from capture_agent.view.call_store import SORTS, CallStore

AT_ONCE = 1000  # calls that are looked at in one step,
AT_ONCE_WITH_MESSAGES = 50  # or calls whose messages are
FEW = 2000  # changed calls that are put in their places one by one

KINDS: dict[str, tuple[str, frozenset[bytes]]] = {
    "1": ("calls", frozenset((b"INVITE", b"ACK", b"BYE", b"CANCEL", b"PRACK", b"UPDATE", b"INFO", b"REFER"))),
    "2": ("registrations", frozenset((b"REGISTER",))),
    "3": ("presence", frozenset((b"SUBSCRIBE", b"NOTIFY", b"PUBLISH"))),
    "4": ("messages", frozenset((b"MESSAGE",))),
    "5": ("options", frozenset((b"OPTIONS",))),
}


class CallRows:
    """`calls` are ascending; `reverse` shows them from the end. `problems`, `up`, `kinds`, `window_ns`, `search`,
    `where` and `with_message` choose; whoever changes one, or `sort`, runs `rebuild` to its end."""

    def __init__(self, store: CallStore, aliases: Aliases) -> None:
        self._aliases = aliases
        self.calls: list[SipCall] = []
        self.sort = "first"
        self.reverse = False
        self.search = ""
        self.problems = False
        self.up = False
        self.kinds: frozenset[str] = frozenset()
        self.window_ns = 0
        self.now_ns = 0  # what `window_ns` counts back from
        self.where: Callable[[SipCall], bool] | None = None
        self.with_message: MessageFilter | None = None
        self._store = store
        self._in: set[bytes] = set()
        self._version = 0

    def __len__(self) -> int:
        return len(self.calls)

    def at(self, number: int) -> SipCall:
        return self.calls[-1 - number if self.reverse else number]

    def index(self, call: SipCall) -> int | None:
        """Where it is; None: it is not in the list."""
        if call.call_id not in self._in:
            return None
        try:
            at = self.calls.index(call)
        except ValueError:
            return None
        return len(self.calls) - 1 - at if self.reverse else at

    def shows(self, call: SipCall) -> bool:
        if self.problems and not (call.failed or call.retransmissions):
            return False
        if self.up and call.state != "in call":
            return False
        if self.kinds and not any(call.method in KINDS[one][1] for one in self.kinds):
            return False
        if self.window_ns and call.last_ns < self.now_ns - self.window_ns:
            return False
        if self.search and not contains(call, self.search, self._aliases):
            return False
        if self.where is not None and not self.where(call):
            return False
        if self.with_message is not None:
            return any(map(self.with_message.matches, self._store.messages([call.call_id])))
        return True

    def rebuild(self) -> Iterator[None]:
        """Choose and sort all calls again. Others may have a turn at each step."""
        page = self._store.snapshot()
        key = SORTS[self.sort]
        found: list[tuple[Any, int, SipCall]] = []
        step = AT_ONCE if self.with_message is None else AT_ONCE_WITH_MESSAGES
        for at in range(0, len(page.calls), step):
            part = page.calls[at : at + step]
            found += [(key(call), call.number, call) for call in part if self.shows(call)]
            yield
        yield
        found.sort()  # no two have the same number
        yield
        self.calls = [call for _, _, call in found]
        self._in = {call.call_id for call in self.calls}
        self._version = page.version

    def follow(self) -> bool | None:
        """What has changed since. False: nothing; None: too much, so that `rebuild` is needed."""
        news = self._store.since(self._version)
        if not news.complete:
            return None
        self._version = news.version
        if not news.calls and not news.gone:
            return False
        changed = {call.call_id: call for call in news.calls}
        leaves = self._in.intersection(changed.keys() | set(news.gone))
        coming = [call for call in news.calls if self.shows(call)]
        if self.sort == "first" and not news.gone:  # by far the most usual: calls stay where they are, new ones follow
            shown = {call.call_id for call in coming}
            if leaves <= shown:
                coming, leaves = [call for call in coming if call.call_id not in self._in], set()
        if leaves:
            self.calls = [call for call in self.calls if call.call_id not in leaves]
            self._in -= leaves
        self._put(coming)
        return True

    def _put(self, coming: list[SipCall]) -> None:
        key = SORTS[self.sort]
        self._in.update(call.call_id for call in coming)
        if len(coming) > FEW:
            self.calls += coming
            self.calls.sort(key=lambda call: (key(call), call.number))
            return
        for call in coming:
            insort(self.calls, call, key=lambda one: (key(one), one.number))


def contains(call: SipCall, wanted: str, aliases: Aliases) -> bool:
    """Whether a user, host, URI, Call-ID, state, status or address has this text, which is in lower case."""
    needle = wanted.encode("utf-8", "surrogateescape")
    searched = b"\0".join((call.from_value, call.to_value, call.uri, call.call_id)).lower()
    if needle in searched or wanted in call.state or wanted in f"{call.status or ''}":
        return True
    return any(wanted in host_text(end[0]) or wanted in aliases.name(*end).lower() for end in call.endpoints)
