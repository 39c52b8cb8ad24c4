"""From what connections and associations carry to whole messages.

sctp.py            user messages from DATA and I-DATA chunks: one that came in a chunk of its own is not copied
sctp_fragments.py  those that came in several: joined in whatever order they come

No I/O, no clock: time is the packet's. Every table is bounded and counts what gives way.
"""
