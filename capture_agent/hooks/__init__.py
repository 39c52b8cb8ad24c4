"""For those who write hooks: functions that see each message before it is traced. docs/hooks.md shows how.

    from capture_agent.hooks import Message

    def on_message(message: Message) -> None:
        if message.method == "OPTIONS":
            message.drop()

seen_message.py  SeenMessage: what a hook, or the condition of a rule, reads (hot)
hook_message.py  Message: the same, what has been decided about it, and the verbs that a hook has (hot)
dialog_view.py   the message's transaction and dialog
verb_values.py   what verbs take; HookError for the rest
guard.py         a hook that raises or is slow harms nobody (hot)
"""

from capture_agent.hooks.dialog_view import Dialog, Transaction
from capture_agent.hooks.hook_message import Message
from capture_agent.hooks.seen_message import SeenMessage
from capture_agent.hooks.verb_values import Decision, HookError

__all__ = ["Decision", "Dialog", "HookError", "Message", "SeenMessage", "Transaction"]
