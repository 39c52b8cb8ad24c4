"""Decides what to trace, and how.

policy.py      the decision for each message (hot): all SIP, or what the rules select, while tracing is on
rules.py       the rule that decides, and what it starts (hot)   conditions.py  what a rule can match (hot)
when.py        conditions in user code (hot)                  where.py       the filter language as a condition
facts.py       caches what rules read of a message (hot)
compiling.py   prepares the configured rules                  settings.py    the configuration that policy needs
filling.py     fills templates from a message
lookback.py    messages held back until a rule decides
weights.py     the memory of traces that rules and hooks start
legs.py        one correlation id for all legs of a call
hooks.py       user functions, which decide last (hot)
direction.py   in or out, according to the server's addresses
"""
