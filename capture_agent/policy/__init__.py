"""What is traced, and how.

trace.py      the decision for each message: everything that is SIP, while tracing is on
hooks.py      functions of others, which have the last word
direction.py  in or out, by which addresses are the server's
"""
