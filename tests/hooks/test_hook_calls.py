"""Transactions and dialogs as hooks see them, from a real recording through the real correlator."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture_agent.app.agent import Agent
from capture_agent.app.extensions import Extensions, NamedHook
from capture_agent.app.replaying import replay
from capture_agent.config import Config
from capture_agent.hooks import Dialog, Message, Transaction
from capture_agent.records.dialog import DialogState, TransactionState

# demo.pcap: a proxy between alice and her callees, each message with its dialog and transaction, and their states:
# method, state of the transaction, branches; then state of the dialog and how many have answered.
BOB = """
INVITE: INVITE calling 1, early 0
100: INVITE proceeding 1, early 0
INVITE: INVITE proceeding 2, early 0
180: INVITE proceeding 2, early 1
180: INVITE proceeding 2, early 1
200: INVITE accepted 2, confirmed 1
200: INVITE accepted 2, confirmed 1
ACK: ACK trying 1, confirmed 1
ACK: ACK trying 2, confirmed 1
BYE: BYE trying 1, confirmed 1
BYE: BYE trying 2, confirmed 1
200: BYE answered 2, ended 1
200: BYE answered 2, ended 1
"""
CAROL = """
INVITE: INVITE calling 1, early 0
100: INVITE proceeding 1, early 0
INVITE: INVITE proceeding 2, early 0
180: INVITE proceeding 2, early 1
180: INVITE proceeding 2, early 1
CANCEL: INVITE proceeding 2, early 1
CANCEL: INVITE proceeding 2, early 1
200: INVITE proceeding 2, early 1
200: INVITE proceeding 2, early 1
487: INVITE proceeding 2, early 1
ACK: INVITE proceeding 2, early 1
487: INVITE completed 2, ended 1
ACK: INVITE confirmed 2, ended 1
"""
OPTIONS = """
OPTIONS: OPTIONS trying 1
200: OPTIONS answered 1
"""


def told(pcap: Path, user: str) -> str:
    lines = [""]

    def tell(message: Message) -> None:
        transaction, dialog = message.transaction, message.dialog
        assert transaction is not None
        if message.to_user != user:
            return
        line = f"{message.status or message.method}: {transaction.method} {transaction.state} {transaction.branches}"
        lines.append(line + (f", {dialog.state} {len(dialog.callee_tags)}" if dialog else ""))

    agent = Agent(Config(), lossless=True, extensions=Extensions(hooks=(NamedHook("tell", tell),)))
    replay(agent, [pcap])
    assert agent.close().balanced
    return "\n".join([*lines, ""])


@pytest.mark.parametrize(("user", "want"), [("bob", BOB), ("carol", CAROL), ("proxy", OPTIONS)])
def test_how_they_stand(pcaps: Path, user: str, want: str) -> None:
    assert told(pcaps / "demo.pcap", user) == want


def test_states_have_words() -> None:
    """All states in records/dialog.py are documented."""
    text = (Path(__file__).parents[2] / "docs/hooks.md").read_text()
    for state in (*TransactionState, *DialogState):
        assert f"`{state.name.lower()}`" in text


def test_they_are_keys_and_cannot_be_written(pcaps: Path) -> None:
    calls: dict[Dialog | None, set[Transaction | None]] = {}

    def count(message: Message) -> None:
        calls.setdefault(message.dialog, set()).add(message.transaction)
        for belongs_to in (message.dialog, message.transaction):
            with pytest.raises((AttributeError, TypeError)):
                belongs_to.method = "BYE"  # type: ignore[union-attr, misc]

    agent = Agent(Config(), lossless=True, extensions=Extensions(hooks=(NamedHook("count", count),)))
    replay(agent, [pcaps / "demo.pcap"])
    (ledger,) = [ledger for ledger in agent.close().ledgers if ledger.name == "hook count"]
    assert ledger.outcomes == {"passed": 59, "dropped": 0}
    of_dialogs = {(dialog.method, len(found)) for dialog, found in calls.items() if dialog}
    assert of_dialogs == {("INVITE", 3), ("INVITE", 1)}
