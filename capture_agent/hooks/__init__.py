"""For those who write hooks: functions that see each message before it is traced. docs/hooks.md shows how.

    from capture_agent.hooks import Message

    def on_message(message: Message) -> None:
        if message.method == "OPTIONS":
            message.drop()

seen.py      SeenMessage: what a hook, or the condition of a rule, reads (hot)
message.py   Message: the same, what has been decided about it, and the verbs that a hook has (hot)
calls.py     the message's transaction and dialog
values.py    what verbs take; HookError for the rest
guard.py     a hook that raises or is slow harms nobody (hot)
"""

from capture_agent.hooks.calls import Dialog, Transaction
from capture_agent.hooks.message import Message
from capture_agent.hooks.seen import SeenMessage
from capture_agent.hooks.values import Decision, HookError

__all__ = ["Decision", "Dialog", "HookError", "Message", "SeenMessage", "Transaction"]
