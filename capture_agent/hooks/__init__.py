"""For those who write hooks: functions that see each message before it is traced. docs/hooks.md shows how.

    from capture_agent.hooks import Message

    def on_message(message: Message) -> None:
        if message.method == "OPTIONS":
            message.drop()

message.py   Message: what a hook reads, and the verbs that it has (hot)
calls.py     the message's transaction and dialog
values.py    what verbs take; HookError for the rest
guard.py     a hook that raises or is slow harms nobody (hot)
"""

from capture_agent.hooks.calls import Dialog, Transaction
from capture_agent.hooks.message import Message
from capture_agent.hooks.values import Decision, HookError

__all__ = ["Decision", "Dialog", "HookError", "Message", "Transaction"]
