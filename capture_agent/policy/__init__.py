"""What is traced, and how.

policy.py      the decision for each message (hot): everything that is SIP, or what rules say, while tracing is on
rules.py       which rule decides, and what it starts (hot)   conditions.py  what a rule may ask (hot)
when.py        what code of others says of a message (hot)
facts.py       what of a message rules have asked for, once (hot)
compiling.py   rules of the configuration made ready          settings.py    what policy needs of the configuration
filling.py     templates filled in from a message
lookback.py    messages held back until a rule decides
legs.py        one correlation id for all legs of a call
hooks.py       functions of others, which have the last word (hot)
direction.py   in or out, by which addresses are the server's
"""
