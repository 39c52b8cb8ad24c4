"""The API for hooks: functions that see each message before it is traced. docs/hooks.md shows how to write them.

    from capture_agent.hooks import Message

    def on_message(message: Message) -> None:
        if message.method == "OPTIONS":
            message.drop()

seen_message.py  SeenMessage: what a hook or a rule's condition can read (hot)
hook_message.py  Message: the same, the decisions so far, and a hook's verbs (hot)
dialog_view.py   the message's transaction and dialog
verb_values.py   the arguments of verbs; HookError
guard.py         contains hooks that raise or are slow (hot)
"""

from capture_agent.hooks.dialog_view import Dialog, Transaction
from capture_agent.hooks.hook_message import Message
from capture_agent.hooks.seen_message import SeenMessage
from capture_agent.hooks.verb_values import Decision, HookError

__all__ = ["Decision", "Dialog", "HookError", "Message", "SeenMessage", "Transaction"]
